/* depthwise_kernel.h - one filter for each channel: sums over the taps, every channel in its own lane.
 *
 * Unlike in the register tile of tile_kernel.h there is no sum over channels. An output needs a vector of weights and
 * a vector of pixels for each tap, so every multiply-add loads its pixel from memory, and only the weights are shared
 * by the outputs of a tile: 9 loads for 8 multiply-adds. A tile has eight sums, which hide the latency of a
 * multiply-add: 2 rows of 4 outputs, 4 rows of 2, or 8 rows of 1.
 *
 * An output is a whole period of weights (conv2d_depthwise.c): a pixel of many channels, or several pixels of few.
 */
#include "lanes.h"

/* One vector of rows x periods outputs. rows and periods are constants; lanes is VLEN but at the end of a row, and
 * there only as many are read as there are, unless it is `roomy`. */
INLINE void NAME(depthwise_tile)(const fc_depthwise_rows *d, const int rows, const int periods, const int lanes,
                                 const int roomy, const float *x, const float *w, const float *bias, float *y) {
    vfloat sum[8];
    const vfloat start = vload(bias);
    const int64_t period = d->period, x_step = d->x_step, y_step = d->y_step;
#pragma GCC unroll 8
    for (int i = 0; i < rows * periods; i++) sum[i] = start;
    for (int64_t t = 0; t < d->taps; t++, w += period) {
        vfloat weight = vload(w);
        IN_REGISTER(weight);
        const float *from = x + d->offset[t];
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int p = 0; p < periods; p++)
                sum[r * periods + p] += vload_lanes(from + r * d->x_row + p * x_step, roomy ? VLEN : lanes) * weight;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++, y += d->y_row)
#pragma GCC unroll 4
        for (int p = 0; p < periods; p++) vstore_lanes(y + p * y_step, sum[r * periods + p], lanes);
}

/* The first `width` floats of each of rows x periods outputs. */
INLINE void NAME(depthwise_outputs)(const fc_depthwise_rows *d, const int rows, const int periods, int64_t width,
                                    const float *x, const float *w, const float *bias, float *y) {
    int64_t j = 0;
    for (; j + VLEN <= width; j += VLEN)
        NAME(depthwise_tile)(d, rows, periods, VLEN, 1, x + j, w + j, bias + j, y + j);
    if (j == width) return;
    if (d->roomy)
        NAME(depthwise_tile)(d, rows, periods, vlanes(j, width), 1, x + j, w + j, bias + j, y + j);
    else
        NAME(depthwise_tile)(d, rows, periods, vlanes(j, width), 0, x + j, w + j, bias + j, y + j);
}

/* `count` rows, `rows` at a time; those that are left one by one. */
INLINE void NAME(depthwise_down)(const fc_depthwise_rows *d, int64_t count, const int rows, const int periods,
                                 int64_t width, const float *x, const float *w, const float *bias, float *y) {
    int64_t r = 0;
    for (; r + rows <= count; r += rows)
        NAME(depthwise_outputs)(d, rows, periods, width, x + r * d->x_row, w, bias, y + r * d->y_row);
    if (rows > 4 && r + 4 <= count) {
        NAME(depthwise_outputs)(d, 4, periods, width, x + r * d->x_row, w, bias, y + r * d->y_row);
        r += 4;
    }
    for (; r < count; r++)
        NAME(depthwise_outputs)(d, 1, periods, width, x + r * d->x_row, w, bias, y + r * d->y_row);
}

/* Eight rows at a time, so that their taps stay in the first-level cache. */
static void NAME(depthwise_rows)(const fc_depthwise_rows *d, const float *x, const float *w, const float *bias,
                                 float *y) {
    const int64_t periods = d->length / d->period, rest = d->length % d->period;
    for (int64_t r = 0; r < d->rows; r += 8, x += 8 * d->x_row, y += 8 * d->y_row) {
        const int64_t count = fc_min(8, d->rows - r), step = d->period;
        int64_t p = 0;
        for (; p + 4 <= periods; p += 4)
            NAME(depthwise_down)(d, count, 2, 4, step, x + p * d->x_step, w, bias, y + p * d->y_step);
        if (p + 2 <= periods) {
            NAME(depthwise_down)(d, count, 4, 2, step, x + p * d->x_step, w, bias, y + p * d->y_step);
            p += 2;
        }
        for (; p < periods; p++) NAME(depthwise_down)(d, count, 8, 1, step, x + p * d->x_step, w, bias, y + p * d->y_step);
        if (rest) NAME(depthwise_down)(d, count, 8, 1, rest, x + p * d->x_step, w, bias, y + p * d->y_step);
    }
}

/* ---- the gradient of the weights ------------------------------------------------------------------ */

/* One vector of the sums of `taps` taps goes on over `count` outputs of a row, `at_once` of them side by side with
 * sums of their own: so many as hide the latency. taps and at_once are constants. */
INLINE int64_t NAME(depthwise_products)(const fc_depthwise_rows *d, const int taps, const int at_once, const int lanes,
                                        int64_t count, const int64_t *offset, const float *x, const float *dy,
                                        vfloat *sum) { /* lanes to read */
    const int64_t x_step = d->x_step, y_step = d->y_step;
    int64_t p = 0;
    for (; p + at_once <= count; p += at_once, x += at_once * x_step, dy += at_once * y_step)
#pragma GCC unroll 8
        for (int i = 0; i < at_once; i++) {
            vfloat gradient = vload_lanes(dy + i * y_step, lanes);
            IN_REGISTER(gradient);
#pragma GCC unroll 9
            for (int t = 0; t < taps; t++)
                sum[i * taps + t] += vload_lanes(x + offset[t] + i * x_step, lanes) * gradient;
        }
    return p;
}

INLINE void NAME(depthwise_gradient_tile)(const fc_depthwise_rows *d, const int taps, const int at_once,
                                          const int lanes, const int roomy, int64_t count, const int64_t *offset,
                                          const float *x, const float *dy, float *sums) {
    const int read = roomy ? VLEN : lanes;
    vfloat sum[9];
#pragma GCC unroll 9
    for (int i = 0; i < taps * at_once; i++) sum[i] = vbroadcast(0);
    for (int64_t r = 0; r < d->rows; r++, x += d->x_row, dy += d->y_row) {
        const int64_t p = NAME(depthwise_products)(d, taps, at_once, read, count, offset, x, dy, sum);
        if (at_once > 1)
            NAME(depthwise_products)(d, taps, 1, read, count - p, offset, x + p * d->x_step, dy + p * d->y_step, sum);
    }
#pragma GCC unroll 9
    for (int t = 0; t < taps; t++) {
        vfloat total = vload_lanes(sums + t * d->period, lanes);
#pragma GCC unroll 8
        for (int i = 0; i < at_once; i++) total += sum[i * taps + t];
        vstore_lanes(sums + t * d->period, total, lanes);
    }
}

INLINE void NAME(depthwise_gradient_taps)(const fc_depthwise_rows *d, const int lanes, const int roomy, int64_t count,
                                          const float *x, const float *dy, float *sums) {
    int64_t t = 0;
    for (; t + 9 <= d->taps; t += 9)
        NAME(depthwise_gradient_tile)(d, 9, 1, lanes, roomy, count, d->offset + t, x, dy, sums + t * d->period);
    for (; t + 3 <= d->taps; t += 3)
        NAME(depthwise_gradient_tile)(d, 3, 3, lanes, roomy, count, d->offset + t, x, dy, sums + t * d->period);
    for (; t < d->taps; t++)
        NAME(depthwise_gradient_tile)(d, 1, 8, lanes, roomy, count, d->offset + t, x, dy, sums + t * d->period);
}

INLINE void NAME(depthwise_gradient_vector)(const fc_depthwise_rows *d, const int lanes, int64_t count, const float *x,
                                            const float *dy, float *sums) {
    if (lanes == VLEN)
        NAME(depthwise_gradient_taps)(d, VLEN, 1, count, x, dy, sums);
    else if (d->roomy)
        NAME(depthwise_gradient_taps)(d, lanes, 1, count, x, dy, sums);
    else
        NAME(depthwise_gradient_taps)(d, lanes, 0, count, x, dy, sums);
}

/* sums[t, j] += the sum over rows and periods p of x[offset[t] + p x_step + j] dy[p y_step + j] */
static void NAME(depthwise_gradient)(const fc_depthwise_rows *d, const float *x, const float *dy, float *sums) {
    const int64_t periods = d->length / d->period, rest = d->length % d->period;
    for (int64_t j = 0; j < fc_min(d->period, d->length); j += VLEN) {
        /* Of the last period some vectors are whole, one is cut, and the rest are not there. */
        const int whole = vlanes(j, d->period);
        const int cut = j < rest && j + whole > rest;
        const int64_t count = periods + (j + whole <= rest);
        if (count) NAME(depthwise_gradient_vector)(d, whole, count, x + j, dy + j, sums + j);
        if (cut)
            NAME(depthwise_gradient_vector)(d, (int)(rest - j), 1, x + periods * d->x_step + j,
                                            dy + periods * d->y_step + j, sums + j);
    }
}
