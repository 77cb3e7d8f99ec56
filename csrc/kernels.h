/* kernels.h - the table of vector kernels that each instruction set fills in.
 *
 * A kernel is a leaf: no threads, no allocation, no question of which CPU this is. The drivers (the
 * .c files named after an operation) split the work, own the memory and call kernels through this
 * table. The kernels themselves are written once, in the *_kernel.h files, and compiled once per
 * instruction set by the isa_*.c files.
 */
#ifndef FASTCONV_KERNELS_H
#define FASTCONV_KERNELS_H

#include <stdint.h>

#include "fastconv.h"

/* A sum of products over runs of consecutive floats: what a convolution or a matrix product needs
 * to know besides its operands.  See tile_kernel.h. */
typedef struct {
    int64_t runs;           /* how many runs */
    const int64_t *offset;  /* where each begins, in floats from the first pixel's pointer */
    int64_t length;         /* floats in each */
    int64_t x_step;         /* floats from one output pixel's run to the next pixel's */
    int64_t w_step;         /* floats from one row of weights to the next */
    int64_t y_step;         /* floats from one output pixel to the next */
} fc_product;

/* Pixels for a sum of outer products: images of rows of pixels, each at a constant step. */
typedef struct {
    int64_t images, rows, pixels;
    int64_t x_image, x_row, x_step;
    int64_t dy_image, dy_row, dy_step;
} fc_pixels;

typedef struct {
    const char *name;
    int lanes;       /* floats in a vector */
    int tile_pixels; /* most pixels (or rows of dkernel) that a register tile holds */
    int tile_lanes;  /* most channels that a register tile holds: two vectors */

    /* y[p, k] = bias[k] + sum over runs r, j of x[p*x_step + offset[r] + j] w[(r*length + j)*w_step + k]
     * for p < pixels <= tile_pixels, k < channels <= tile_lanes; w and bias readable to a whole vector. */
    void (*product_tile)(const fc_product *product, int pixels, int channels, const float *x, const float *w,
                         const float *bias, float *y);

    /* dw[j, k] += sum over pixels p of x[p, j] dy[p, k]
     * for j < rows <= tile_pixels, k < channels <= tile_lanes; dy readable to a whole vector. */
    void (*outer_tile)(const fc_pixels *pixels, int rows, int channels, const float *x, const float *dy,
                       float *dw, int64_t dw_step);

    /* The transforms of conv2d_winograd.c. Pixels and taps are pointers to C (or `channels`) floats each; the
     * transformed side is 36 blocks of as many floats, `step` apart. */
    void (*winograd_input)(const float *const *pixel, int64_t C, float *to, int64_t step);
    void (*winograd_gradient)(const float *const *pixel, int64_t C, float *to, int64_t step);
    void (*winograd_weights)(const float *const *tap, int64_t C, float *to, int64_t step);
    void (*winograd_output)(const float *from, int64_t step, const float *bias, int channels, float *const *pixel);
    void (*winograd_weights_gradient)(const float *from, int64_t step, int channels, float *const *tap);

    /* sums[k] += a[0, k] + a[1, k] + ... + a[rows-1, k], in that order */
    void (*add_rows)(int64_t rows, int64_t K, const float *a, float *sums);

    /* rounds x 2 x 12 x lanes multiply-adds in registers; returns something that depends on all of them */
    float (*fma_burst)(int64_t rounds);
} fc_kernels;

extern const fc_kernels fc_kernels__baseline, fc_kernels__avx2, fc_kernels__avx512, fc_kernels__neon;

const fc_kernels *fc_kernels_active(void);

#endif
