/* rbf.c - how far each row is from each prototype, squared.
 *
 *     y[m, k]  = sum over c of (x[m, c] - w[k, c])^2
 *     dx[m, c] = sum over k of 2 dy[m, k] (x[m, c] - w[k, c])
 *     dw[k, c] = sum over m of 2 dy[m, k] (w[k, c] - x[m, c])
 *
 * The output layer of LeNet-5 (LeCun et al. 1998, section II-B), whose prototypes are pictures of the digits. Every
 * row of a result is computed by one thread in one order.
 */
#include "kernels.h"
#include "threads.h"

static double operations(int64_t M, int64_t C, int64_t K) { return 3.0 * (double)(M * C) * (double)K; }

void fc_rbf_forward(int64_t M, int64_t C, int64_t K, const float *x, const float *w, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(M, C, K)))
    for (int64_t m = 0; m < M; m++) kernels->squared_distances(C, K, x + m * C, w, y + m * K);
}

void fc_rbf_backward_data(int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w,
                          float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(M, C, K)))
    for (int64_t m = 0; m < M; m++) kernels->weighted_differences(C, K, dy + m * K, 1, x + m * C, w, dx + m * C);
}

void fc_rbf_backward_kernel(int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w,
                            float *dw) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(M, C, K)))
    for (int64_t k = 0; k < K; k++) kernels->weighted_differences(C, M, dy + k, K, w + k * C, x, dw + k * C);
}
