/* bundle_winograd.h - convolutions of bundles with fewer multiplications: see bundle_winograd.c. */
#ifndef FASTCONV_BUNDLE_WINOGRAD_H
#define FASTCONV_BUNDLE_WINOGRAD_H

#include "kernels.h"

/* A convolution at stride 1 from H x W pixels of C channels to OH x OW of K, with kernels of side x side. */
typedef struct {
    int64_t side, H, W, C, OH, OW, K, top, left;
    int64_t products; /* pairs of an output and a tap that sees the image, not its border */
} fc_winograd;

/* Whether it takes less than the direct sums, forward, and for both gradients. Only kernels of 3x3 and 5x5 do. */
int fc_winograd_pays(const fc_winograd *g);
int fc_winograd_pays_back(const fc_winograd *g);

int64_t fc_winograd_tiles(const fc_winograd *g); /* of one image; side 3 or 5 */

/* `outputs` rounded up to whole tiles: x needs side - 1 more rows and columns than that, dy as many. */
int64_t fc_winograd_tiled(int64_t outputs, int64_t side);

int64_t fc_winograd_weights_size(const fc_winograd *g);                          /* floats of U and dU */
int64_t fc_winograd_scratch(const fc_winograd *g, const fc_kernels *kernels);    /* floats */

/* U = G kernel G^T, and dkernel = G^T dU G */
void fc_winograd_weights(const fc_winograd *g, const fc_kernels *kernels, const float *kernel, float *U);
void fc_winograd_weights_gradient(const fc_winograd *g, const fc_kernels *kernels, const float *dU, float *dkernel);

/* turned[position, k, c] = U[position, c, k], for the way back */
void fc_winograd_turn(const fc_winograd *g, const fc_kernels *kernels, const float *U, float *turned);

/* Bundles, steps in vectors. x is the first pixel that the first tap sees, dx the first of the image; bias may be NULL,
 * and so may dx, or dU with x. dU is added to, dx overwritten. */
void fc_winograd_convolve(const fc_winograd *g, const fc_kernels *kernels, const float *x, int64_t x_row,
                          const float *U, const float *bias, float *y, int64_t y_row, float *scratch);
void fc_winograd_backward(const fc_winograd *g, const fc_kernels *kernels, const float *x, int64_t x_row,
                          const float *dy, int64_t dy_row, const float *turned, float *dU, float *dx, int64_t dx_row,
                          float *scratch);

#endif
