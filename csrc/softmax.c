/* softmax.c - scores become probabilities; cross-entropy is how surprised they are by the truth.
 *
 *     p[n, k] = e^z[n, k] / sum over j of e^z[n, j]             l[n] = - sum over k of t[n, k] log p[n, k]
 *
 *     loss = sum over n of w[n] l[n] / N         dlogits[n, k] = w[n] (p[n, k] sum over j of t[n, j] - t[n, k]) / N
 *
 * t is the target: 1 for the right class and 0 for the others, so that the loss is -log p of the right class and
 * its gradient is p - t. Both together need no logarithm of a vanished p and no division by it.
 *
 * Tasks are rows. The losses of all rows are added up in double precision, in the order of the rows.
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* An exponential and what is around it, for every score. */
static double operations(int64_t rows, int64_t C) { return 20.0 * (double)rows * (double)C; }

static int64_t rows_in_task(int64_t C) { return fc_max(1, (1 << 12) / fc_max(1, C)); }

void fc_softmax_forward(int64_t rows, int64_t C, const float *x, float *p) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t step = rows_in_task(C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t r = 0; r < rows; r += step) kernels->softmax(fc_min(step, rows - r), C, x + r * C, p + r * C);
}

void fc_softmax_backward(int64_t rows, int64_t C, const float *dp, const float *p, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t step = rows_in_task(C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(4.0 * (double)rows * (double)C))
    for (int64_t r = 0; r < rows; r += step)
        kernels->softmax_backward(fc_min(step, rows - r), C, dp + r * C, p + r * C, dx + r * C);
}

void fc_log_softmax(int64_t rows, int64_t C, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t step = rows_in_task(C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t r = 0; r < rows; r += step) kernels->log_softmax(fc_min(step, rows - r), C, x + r * C, y + r * C);
}

void fc_log_softmax_backward(int64_t rows, int64_t C, const float *dy, const float *y, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t step = rows_in_task(C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(rows, C)))
    for (int64_t r = 0; r < rows; r += step)
        kernels->log_softmax_backward(fc_min(step, rows - r), C, dy + r * C, y + r * C, dx + r * C);
}

fc_status fc_softmax_cross_entropy(int64_t N, int64_t C, const float *logits, fc_targets targets, double *loss,
                                   float *dlogits) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t step = rows_in_task(C);
    const float scale = (float)(1.0 / (double)N);
    float *losses = fc_floats(N);
    if (!losses) return FC_OUT_OF_MEMORY;

#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(N, C)))
    for (int64_t n = 0; n < N; n += step) {
        const fc_targets from_n = {targets.labels ? targets.labels + n : NULL,
                                   targets.rows ? targets.rows + n * C : NULL,
                                   targets.weights ? targets.weights + n : NULL};
        kernels->cross_entropy(fc_min(step, N - n), C, logits + n * C, from_n, scale, FC_NO_LIMITS, losses + n,
                               dlogits + n * C);
    }

    double total = 0;
    for (int64_t n = 0; n < N; n++) total += (targets.weights ? (double)targets.weights[n] : 1.0) * (double)losses[n];
    *loss = total / (double)N;
    fc_free(losses);
    return FC_OK;
}
