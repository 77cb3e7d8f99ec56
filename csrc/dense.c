/* dense.c - the fully connected layer: every output sees every input.
 *
 *     y[m, k]  = bias[k] + sum over c of x[m, c] w[c, k]
 *     dx[m, c] = sum over k of dy[m, k] w[c, k]                 dx = dy w^T
 *     dw[c, k] = sum over m of x[m, c] dy[m, k]                 dw = x^T dy
 *
 * It is the convolution whose kernel is as large as its image, and the same register tile computes it.
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "threads.h"

fc_status fc_dense_forward(int64_t M, int64_t C, int64_t K, const float *x, const float *w, const float *bias,
                           float *y) {
    return fc_matmul(fc_kernels_active(), M, C, K, x, C, (fc_weights){w, K, 1}, bias, y, K);
}

fc_status fc_dense_backward_data(int64_t M, int64_t C, int64_t K, const float *dy, const float *w, float *dx) {
    return fc_dense_backward_rows(M, M, C, K, dy, w, dx);
}

fc_status fc_dense_backward_rows(int64_t all, int64_t M, int64_t C, int64_t K, const float *dy, const float *w,
                                 float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
    if (all <= 2) { /* too few to make up for packing w^T */
        const int64_t V = kernels->lanes, tasks = fc_pieces(C, V);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(2.0 * (double)M * (double)C * (double)K))
        for (int64_t t = 0; t < tasks; t++)
            for (int64_t m = 0; m < M; m++)
                kernels->dot_rows((int)fc_min(V, C - t * V), K, w + t * V * K, K, dy + m * K, dx + m * C + t * V);
        return FC_OK;
    }
    return fc_matmul(kernels, M, K, C, dy, K, (fc_weights){w, 1, K}, NULL, dx, C);
}

fc_status fc_dense_backward_kernel(int64_t M, int64_t C, int64_t K, const float *x, const float *dy, float *dw,
                                   float *dbias) {
    const fc_kernels *kernels = fc_kernels_active();
    fc_status status = fc_column_sums(kernels, M, K, dy, dbias);
    if (status != FC_OK) return status;
    memset(dw, 0, sizeof(float) * (size_t)(C * K));
    return fc_matmul_outer(kernels, M, C, K, x, C, dy, K, dw, K, 0);
}
