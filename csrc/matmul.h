/* matmul.h - matrix products on the register tile: what dense layers and im2col are made of. */
#ifndef FASTCONV_MATMUL_H
#define FASTCONV_MATMUL_H

#include "kernels.h"
#include "size.h"

/* A driver looks its table of kernels up once and hands it on, here too: another thread may select another instruction
 * set meanwhile, and memory laid out for the vectors of one would be used with those of the other. */

/* A matrix of weights seen through steps, so that its transpose is the same matrix with steps swapped. */
typedef struct {
    const float *w;
    int64_t row, column; /* floats from one row, one column, to the next: one of the two is 1 */
} fc_weights;

/* y[m, k] = bias[k] + sum over c of x[m, c] w[c, k];  bias may be NULL. M x K at y_step, x at x_step. */
fc_status fc_matmul(const fc_kernels *kernels, int64_t M, int64_t C, int64_t K, const float *x, int64_t x_step,
                    fc_weights weights, const float *bias, float *y, int64_t y_step);

/* dw[c, k] += sum over m of x[m, c] dy[m, k]; with leaves of so many rows (tree.h), =; 0: no leaves. */
fc_status fc_matmul_outer(const fc_kernels *kernels, int64_t M, int64_t C, int64_t K, const float *x, int64_t x_step,
                          const float *dy, int64_t dy_step, float *dw, int64_t dw_step, int64_t leaf);

/* dx = dy w^T, some M of `all` rows: how they are summed depends on how many there are in all. */
fc_status fc_dense_backward_rows(int64_t all, int64_t M, int64_t C, int64_t K, const float *dy, const float *w,
                                 float *dx);

/* sums[k] = sum over m of a[m, k], in blocks of rows whose size does not depend on threads */
fc_status fc_column_sums(const fc_kernels *kernels, int64_t M, int64_t K, const float *a, float *sums);

/* to[i] += from[i], by all threads */
void fc_add_floats(const fc_kernels *kernels, int64_t n, const float *from, float *to);

/* Rows of weights for one tile of channels, consecutive and padded with zeros to whole vectors:
 * the tile then streams through them at one step, and edges are no special case.
 * panel (rows, lanes) <- w (rows, channels) */
void fc_pack_panel(const fc_kernels *kernels, int64_t rows, fc_weights weights, int64_t channels, int64_t lanes,
                   float *panel);

/* The t-th of `pieces` nearly equal parts of [0, n): starts at fc_part(t), ends at fc_part(t + 1).
 * 14 pixels in tiles of at most 12 become 7 + 7, not 12 + 2. Of any n, in fewer than 2^31 pieces. */
static inline int64_t fc_part(int64_t n, int64_t pieces, int64_t t) {
    int64_t product;
    if (fc_multiply(n, t, &product)) return product / pieces;
    return n / pieces * t + n % pieces * t / pieces;
}
static inline int64_t fc_pieces(int64_t n, int64_t most) { return (n + most - 1) / most; }

#endif
