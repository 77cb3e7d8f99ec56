/* affine.c - images shifted, turned and stretched: every output pixel looks up where it came from.
 *
 *     column = a0 w + a1 h + a2        y[n, h, w, c] = x[n, row, column, c]
 *     row    = b0 w + b1 h + b2
 *
 * The map goes from the output to the input (it is the inverse of what one sees the image do), so that every
 * output pixel gets exactly one value. Row and column are hardly ever whole numbers. Then either the nearest
 * pixel is taken, or the four around the place are blended (bilinear): with i = floor(row), f = row - i and
 * j = floor(column), g = column - j,
 *
 *     y = (1-f) ((1-g) x[i, j] + g x[i, j+1]) + f ((1-g) x[i+1, j] + g x[i+1, j+1])
 *
 * Pixels that do not exist are, along each axis,
 *
 *     constant   a value      k k k | a b c d | k k k
 *     nearest    the edge     a a a | a b c d | d d d
 *     reflect    a mirror     c b a | a b c d | d c b
 *     wrap       a circle     b c d | a b c d | a b c
 *
 * Backward, y is linear in x, so the adjoint hands dy to the same pixels with the same weights. Which pixels
 * share one is as good as random, so it scatters: dx of an image is added up by one thread, in the order of
 * dy. Tasks are rows of about 8,192 pixels forward, images backward.
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

static double operations(const fc_affine *affine) {
    return (double)(affine->N * affine->OH * affine->OW) * (double)(8 * affine->C + 16);
}

fc_status fc_affine_forward(const fc_affine *affine, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rows = affine->N * affine->OH, step = fc_max(1, (1 << 13) / affine->OW);
    float *outside = fc_floats(affine->C); /* a pixel of the constant, for all that lie outside */
    if (outside == NULL) return FC_OUT_OF_MEMORY;
    for (int64_t c = 0; c < affine->C; c++) outside[c] = affine->fill_value;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(affine)))
    for (int64_t row = 0; row < rows; row += step)
        kernels->affine(affine, row, fc_min(step, rows - row), x, outside, y);
    fc_free(outside);
    return FC_OK;
}

void fc_affine_backward(const fc_affine *affine, const float *dy, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(affine)))
    for (int64_t n = 0; n < affine->N; n++) kernels->affine_backward(affine, n, dy, dx);
}
