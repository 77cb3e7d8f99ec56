/* pool2d.c - pooling: a window slides over each channel and keeps one number of what it sees.
 *
 *     max   y[n, h, w, c] = max  of x[n, h*stride_h + kh - pad_top, w*stride_w + kw - pad_left, c]
 *     avg   y[n, h, w, c] = mean of the same                                          over kh, kw
 *
 * Only pixels of the image count: the padding is never a maximum and not one of the numbers averaged.
 *
 * Backward, the maximum sends its gradient to the one pixel that won, the average sends each pixel that it
 * saw an equal share. The winner is remembered in `switches`, as kh*KW + kw. On a tie the first pixel wins;
 * the first NaN wins over any number.
 *
 * Global pooling is a window as large as the image. As its taps can be more than 16 bits count, its
 * switches have 32; to the kernel an image is then a single row, so that a tap's number is its pixel's.
 *
 * Tasks are rows of the output (forward) or of the input (backward), of about 32 KB.
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

static int64_t rows_in_task(int64_t row_floats) { return fc_max(1, (1 << 13) / fc_max(1, row_floats)); }

/* A window has no more pixels than its image. */
static double operations(const fc_pool2d *pool) {
    return (double)pool->N * (double)pool->OH * (double)pool->OW * (double)pool->C *
           (double)fc_min(pool->KH, pool->H) * (double)fc_min(pool->KW, pool->W);
}

static int sizes_fit(const fc_pool2d *pool) {
    return fc_fits(fc_span(pool->H, pool->OH, pool->KH, pool->stride_h, 1, pool->pad_top)) &&
           fc_fits(fc_span(pool->W, pool->OW, pool->KW, pool->stride_w, 1, pool->pad_left)) &&
           fc_fits(pool->N, pool->H, pool->W, pool->C) && fc_fits(pool->N, pool->OH, pool->OW, pool->C);
}

static fc_status max_pool(const fc_pool2d *pool, const float *x, float *y, fc_switches switches) {
    if (!sizes_fit(pool)) return FC_TOO_LARGE;
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rows = pool->N * pool->OH, step = rows_in_task(pool->OW * pool->C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(pool)))
    for (int64_t row = 0; row < rows; row += step)
        kernels->max_pool(pool, row, fc_min(step, rows - row), x, y, switches);
    return FC_OK;
}

static fc_status max_pool_backward(const fc_pool2d *pool, const float *dy, fc_switches switches, float *dx) {
    if (!sizes_fit(pool)) return FC_TOO_LARGE;
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rows = pool->N * pool->H, step = rows_in_task(pool->W * pool->C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(pool)))
    for (int64_t row = 0; row < rows; row += step)
        kernels->max_pool_backward(pool, row, fc_min(step, rows - row), dy, switches, dx);
    return FC_OK;
}

fc_status fc_max_pool2d_forward(const fc_pool2d *pool, const float *x, float *y, uint16_t *switches) {
    return max_pool(pool, x, y, (fc_switches){.narrow = switches});
}

fc_status fc_max_pool2d_backward(const fc_pool2d *pool, const float *dy, const uint16_t *switches, float *dx) {
    return max_pool_backward(pool, dy, (fc_switches){.narrow = (uint16_t *)switches}, dx);
}

fc_status fc_avg_pool2d_forward(const fc_pool2d *pool, const float *x, float *y) {
    if (!sizes_fit(pool)) return FC_TOO_LARGE;
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rows = pool->N * pool->OH, step = rows_in_task(pool->OW * pool->C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(pool)))
    for (int64_t row = 0; row < rows; row += step)
        kernels->avg_pool(pool, row, fc_min(step, rows - row), x, y);
    return FC_OK;
}

fc_status fc_avg_pool2d_backward(const fc_pool2d *pool, const float *dy, float *dx) {
    if (!sizes_fit(pool)) return FC_TOO_LARGE;
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rows = pool->N * pool->H, step = rows_in_task(pool->W * pool->C);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(pool)))
    for (int64_t row = 0; row < rows; row += step)
        kernels->avg_pool_backward(pool, row, fc_min(step, rows - row), dy, dx);
    return FC_OK;
}

static const int64_t MOST_PIXELS = INT64_C(1) << 31; /* that switches of 32 bits number */

static fc_pool2d whole_image(int64_t N, int64_t pixels, int64_t C) {
    return (fc_pool2d){.N = N, .H = 1, .W = pixels, .C = C, .KH = 1, .KW = pixels, .OH = 1, .OW = 1,
                       .stride_h = 1, .stride_w = 1};
}

fc_status fc_global_max_pool2d_forward(int64_t N, int64_t pixels, int64_t C, const float *x, float *y,
                                       int32_t *switches) {
    const fc_pool2d pool = whole_image(N, pixels, C);
    if (pixels > MOST_PIXELS) return FC_TOO_LARGE;
    return max_pool(&pool, x, y, (fc_switches){.wide = switches});
}

fc_status fc_global_max_pool2d_backward(int64_t N, int64_t pixels, int64_t C, const float *dy, const int32_t *switches,
                                        float *dx) {
    const fc_pool2d pool = whole_image(N, pixels, C);
    if (pixels > MOST_PIXELS) return FC_TOO_LARGE;
    return max_pool_backward(&pool, dy, (fc_switches){.wide = (int32_t *)switches}, dx);
}
