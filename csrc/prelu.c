/* prelu.c - a leaky rectifier whose slopes are learned, one for each column of x (rows, K).
 *
 *     y[r, k] = x[r, k]   where x >= 0     dx[r, k] = dy[r, k]              where x > 0
 *               alpha[k] x[r, k]   else               alpha[k] dy[r, k]     else
 *
 *     dalpha[k] = sum over r with x[r, k] < 0 of dy[r, k] x[r, k]
 *
 * He, Zhang, Ren & Sun 2015, *Delving deep into rectifiers*. Columns are channels, where the slopes are shared over
 * the image, or all numbers of an example. The rows are cut into pieces (fold.h); their sums are added up in double
 * precision, in their order.
 */
#include "fold.h"
#include "kernels.h"
#include "threads.h"

static double operations(int64_t rows, int64_t K) { return 2.0 * (double)rows * (double)K; }

/* The slopes as columns, with room for `more` floats behind them; NULL if there is no memory. */
static float *repeated(const fc_folded *f, const float *alpha, int64_t more) {
    float *columns = fc_floats(fc_plus(f->period, more));
    if (!columns) return NULL;
    memcpy(columns, alpha, sizeof(float) * (size_t)f->C);
    fc_repeat(f, columns);
    return columns;
}

fc_status fc_prelu_forward(int64_t rows, int64_t K, const float *x, const float *alpha, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, K);
    float *slopes = repeated(&f, alpha, 0);
    if (!slopes) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, K)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        kernels->prelu(piece.rows, piece.width, x + piece.start, slopes, y + piece.start);
    }
    fc_free(slopes);
    return FC_OK;
}

fc_status fc_prelu_backward(int64_t rows, int64_t K, const float *dy, const float *x, const float *alpha, float *dx,
                            float *dalpha) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, K);
    float *slopes = repeated(&f, alpha, fc_times(f.pieces, f.period));
    if (!slopes) return FC_OUT_OF_MEMORY;
    float *sums = slopes + f.period;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, K)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        const int64_t at = piece.start;
        kernels->prelu_backward(piece.rows, piece.width, dy + at, x + at, slopes, dx + at, sums + p * f.period);
    }
    for (int64_t k = 0; k < K; k++) {
        double total = 0;
        for (int64_t p = 0; p < f.pieces; p++)
            for (int64_t j = k, width = fc_piece_of(&f, p).width; j < width; j += K)
                total += (double)sums[p * f.period + j];
        dalpha[k] = (float)total;
    }
    fc_free(slopes);
    return FC_OK;
}
