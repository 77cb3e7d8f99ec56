/* batch_norm.c - every channel shifted and scaled to mean 0 and variance 1 over the batch, then to what is learned.
 *
 * Ioffe & Szegedy 2015, section 3. Over the m = N H W rows r of x (m, C), for every channel c:
 *
 *     mean = sum x[r] / m        variance = sum (x[r] - mean)^2 / m        inv = 1 / sqrt(variance + epsilon)
 *
 *     x_hat[r] = (x[r] - mean) inv                      y[r] = gamma x_hat[r] + beta
 *
 *     dbeta = sum dy[r]                                 dgamma = sum dy[r] x_hat[r]
 *     dx[r] = gamma inv (dy[r] - dbeta / m - x_hat[r] dgamma / m)
 *
 * The last two terms are how x[r] moves all others by way of mean and variance: a shift of all x, or a stretching
 * of all x, changes nothing in y, and no gradient goes that way. In inference mean and variance are constants, and
 * dx = gamma inv dy.
 *
 * A few operations on each number: what this waits for is memory. mean and variance must be there before the
 * first y, so that x comes from memory twice, and y goes there: 3 arrays forward. Backward the two sums must be
 * there before the first dx: dy and x twice, dx once, 5 arrays. Fewer there cannot be where x is larger than
 * the caches; NumPy, operation by operation, moves some 12 and 14.
 *
 * The variance as mean of squares less square of mean, which one pass could do, loses all digits where the mean is
 * large. So a piece of the rows (fold.h) is read twice while it is in the cache: its mean first, then squares of
 * distances from that. Pieces are joined in double precision (Chan, Golub & LeVeque 1983), in their order:
 *
 *     m = m_a + m_b     mean = mean_a + delta m_b / m     sum of squares = S_a + S_b + delta^2 m_a m_b / m
 *
 * with delta = mean_b - mean_a.
 *
 * What follows, an addition and an activation, is done to y before it goes to memory, and its slope comes to dy where
 * the two sums are made.
 */
#include <math.h>

#include "fold.h"
#include "kernels.h"
#include "threads.h"

static double operations(int64_t rows, int64_t C) { return 4.0 * (double)rows * (double)C; }

/* Joins `rows` more rows to those `seen`: columns of C channels about `about`, with their sums from there. */
static void join(int64_t C, double seen, double rows, const float *about, const float *sum, const float *squares,
                 double *mean, double *total) {
    const double share = rows / (seen + rows);
    for (int64_t c = 0; c < C; c++) {
        const double offset = (double)sum[c] / rows;
        const double delta = (double)about[c] + offset - mean[c];
        mean[c] += delta * share;
        total[c] += (double)squares[c] - (double)sum[c] * offset + delta * delta * seen * share;
    }
}

fc_status fc_moments(int64_t rows, int64_t C, const float *x, float *mean, float *variance) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, C);
    float *parts = fc_floats(fc_volume(f.pieces, 3, f.period));
    double *wide = calloc((size_t)C, 2 * sizeof(double));
    if (!parts || !wide) {
        fc_free(parts);
        free(wide);
        return FC_OUT_OF_MEMORY;
    }
    double *total = wide + C;

#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        float *about = parts + p * 3 * f.period;
        kernels->moments(piece.rows, piece.width, x + piece.start, about, about + f.period, about + 2 * f.period);
    }

    double seen = 0;
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        const float *about = parts + p * 3 * f.period;
        for (int64_t j = 0; j < piece.width; j += C, seen += (double)piece.rows)
            join(C, seen, (double)piece.rows, about + j, about + f.period + j, about + 2 * f.period + j, wide, total);
    }
    for (int64_t c = 0; c < C; c++) {
        mean[c] = (float)wide[c];
        variance[c] = total[c] < 0 ? 0 : (float)(total[c] / (double)rows); /* rounding may go below 0 */
    }
    fc_free(parts);
    free(wide);
    return FC_OK;
}

/* What follows computes with columns, one for each channel and then repeated. */
static double inverse_deviation(float variance, double epsilon) { return 1 / sqrt((double)variance + epsilon); }

fc_status fc_batch_norm_forward(int64_t rows, int64_t C, const float *x, const float *mean, const float *variance,
                                const float *gamma, const float *beta, double epsilon, const fc_ending *ending,
                                float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, C);
    float *columns = fc_floats(3 * f.period);
    if (!columns) return FC_OUT_OF_MEMORY;
    float *about = columns, *scale = about + f.period, *shift = scale + f.period;
    for (int64_t c = 0; c < C; c++) {
        about[c] = mean[c];
        scale[c] = (float)((gamma ? (double)gamma[c] : 1) * inverse_deviation(variance[c], epsilon));
        shift[c] = beta ? beta[c] : 0;
    }
    fc_repeat(&f, about), fc_repeat(&f, scale), fc_repeat(&f, shift);
    const fc_ending none = {.activation = FC_LINEAR}, *end = ending ? ending : &none;
    const fc_normalisation all = {about, scale, shift, end->activation, end->alpha};

#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        kernels->normalise(piece.rows, piece.width, x + piece.start, &all,
                           end->residual ? end->residual + piece.start : NULL, y + piece.start);
    }
    fc_free(columns);
    return FC_OK;
}

/* C sums of dy phi'(y), and C of its products with x - mean; phi'(y) is multiplied into dy. */
static fc_status gradient_sums(int64_t rows, int64_t C, const fc_ending *ending, float *dy, const float *y,
                               const float *x, const float *mean, double *wide) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, C);
    float *about = fc_floats(fc_times(f.pieces * 2 + 1, f.period));
    if (!about) return FC_OUT_OF_MEMORY;
    float *parts = about + f.period;
    double *products = wide + C;
    memcpy(about, mean, sizeof(float) * (size_t)C);
    fc_repeat(&f, about);

#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        float *sum = parts + p * 2 * f.period;
        kernels->sloped_gradient_sums(ending->activation, ending->alpha, piece.rows, piece.width, dy + piece.start,
                                      y + piece.start, x + piece.start, about, sum, sum + f.period);
    }

    for (int64_t p = 0; p < f.pieces; p++) {
        const int64_t width = fc_piece_of(&f, p).width;
        const float *sum = parts + p * 2 * f.period;
        for (int64_t j = 0; j < width; j += C)
            for (int64_t c = 0; c < C; c++) {
                wide[c] += (double)sum[j + c];
                products[c] += (double)sum[f.period + j + c];
            }
    }
    fc_free(about);
    return FC_OK;
}

fc_status fc_gradient_moments(int64_t rows, int64_t C, const fc_ending *ending, float *dy, const float *y,
                              const float *x, const float *mean, float *sums, float *products) {
    double *wide = calloc((size_t)C, 2 * sizeof(double));
    const fc_status status = wide ? gradient_sums(rows, C, ending, dy, y, x, mean, wide) : FC_OUT_OF_MEMORY;
    for (int64_t c = 0; c < C && status == FC_OK; c++) {
        sums[c] = (float)wide[c];
        products[c] = (float)wide[C + c];
    }
    free(wide);
    return status;
}

fc_status fc_batch_norm_backward_weights(int64_t rows, int64_t C, const float *dy, const float *x, const float *mean,
                                         const float *variance, double epsilon, float *dgamma, float *dbeta) {
    const fc_ending none = {.activation = FC_LINEAR}; /* dy stays as it is */
    double *wide = calloc((size_t)C, 2 * sizeof(double));
    const fc_status status = wide ? gradient_sums(rows, C, &none, (float *)dy, dy, x, mean, wide) : FC_OUT_OF_MEMORY;
    for (int64_t c = 0; c < C && status == FC_OK; c++) {
        dbeta[c] = (float)wide[c];
        dgamma[c] = (float)(wide[C + c] * inverse_deviation(variance[c], epsilon));
    }
    free(wide);
    return status;
}

fc_status fc_batch_norm_backward_data(int64_t rows, int64_t C, const float *dy, const float *x, const float *mean,
                                      const float *variance, const float *gamma, const float *dgamma,
                                      const float *dbeta, double epsilon, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_folded f = fc_fold(kernels->lanes, rows, C);
    float *columns = fc_floats(4 * f.period);
    if (!columns) return FC_OUT_OF_MEMORY;
    float *about = columns, *scale = about + f.period, *mean_dy = scale + f.period, *slope = mean_dy + f.period;
    for (int64_t c = 0; c < C; c++) {
        const double inv = inverse_deviation(variance[c], epsilon);
        about[c] = dgamma ? mean[c] : 0;
        scale[c] = (float)((gamma ? (double)gamma[c] : 1) * inv);
        mean_dy[c] = dgamma ? (float)((double)dbeta[c] / (double)rows) : 0;
        slope[c] = dgamma ? (float)(inv * (double)dgamma[c] / (double)rows) : 0;
    }
    fc_repeat(&f, about), fc_repeat(&f, scale), fc_repeat(&f, mean_dy), fc_repeat(&f, slope);
    const fc_norm_gradient all = {about, scale, mean_dy, slope};
    const fc_normalisation scaled = {.mean = about, .scale = scale, .shift = mean_dy}; /* zeros but scale */

#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t p = 0; p < f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&f, p);
        const int64_t at = piece.start;
        if (dgamma) kernels->normalise_backward(piece.rows, piece.width, dy + at, x + at, &all, dx + at);
        else kernels->normalise(piece.rows, piece.width, dy + at, &scaled, NULL, dx + at);
    }
    fc_free(columns);
    return FC_OK;
}
