/* batch_norm_kernel.h - rows of `width` floats, each column by itself: sums down the rows, and columns scaled.
 *
 * The equations are in batch_norm.c. Rows are walked in their order, which is that of memory, and the sums of all
 * columns stay in the first-level cache. To keep them from being loaded and stored for each number, four rows are
 * added up in registers first: six loads and stores for four vectors of x instead of twelve.
 */
#include "lanes.h"

#define ROWS_AT_ONCE 4

/* sum[j] += the sum over `count` rows of x - from; count and lanes are constants but at the ends. */
INLINE void NAME(add_distances)(const int count, int lanes, int64_t width, const float *x, const float *from,
                                float *sum) {
    const vfloat zero = vload_lanes(from, lanes);
    vfloat s = vload_lanes(x, lanes) - zero;
    for (int i = 1; i < count; i++) s += vload_lanes(x + i * width, lanes) - zero;
    vstore_lanes(sum, vload_lanes(sum, lanes) + s, lanes);
}

/* The same, and the squares of the distances. */
INLINE void NAME(add_squares)(const int count, int lanes, int64_t width, const float *x, const float *from,
                              float *sum, float *squares) {
    const vfloat zero = vload_lanes(from, lanes);
    vfloat s = vbroadcast(0), q = vbroadcast(0);
    for (int i = 0; i < count; i++) {
        const vfloat d = vload_lanes(x + i * width, lanes) - zero;
        s += d;
        q += d * d;
    }
    vstore_lanes(sum, vload_lanes(sum, lanes) + s, lanes);
    vstore_lanes(squares, vload_lanes(squares, lanes) + q, lanes);
}

/* sum[j] += the sum of dy, products[j] += that of its products with the distances. */
INLINE void NAME(add_gradients)(const int count, int lanes, int64_t width, const float *dy, const float *x,
                                const float *from, float *sum, float *products) {
    const vfloat zero = vload_lanes(from, lanes);
    vfloat s = vbroadcast(0), q = vbroadcast(0);
    for (int i = 0; i < count; i++) {
        const vfloat g = vload_lanes(dy + i * width, lanes);
        s += g;
        q += g * (vload_lanes(x + i * width, lanes) - zero);
    }
    vstore_lanes(sum, vload_lanes(sum, lanes) + s, lanes);
    vstore_lanes(products, vload_lanes(products, lanes) + q, lanes);
}

/* STEP(count, lanes, r, j) for all rows from r on and columns from j on, as many at once as there are. */
#define EACH_PLACE(STEP)                                                                                  \
    for (int64_t r = 0; r < rows; r += rows - r < ROWS_AT_ONCE ? 1 : ROWS_AT_ONCE) {                      \
        const int single = rows - r < ROWS_AT_ONCE;                                                       \
        int64_t j = 0;                                                                                    \
        if (single) for (; j + VLEN <= width; j += VLEN) { STEP(1, VLEN, r, j); }                         \
        else for (; j + VLEN <= width; j += VLEN) { STEP(ROWS_AT_ONCE, VLEN, r, j); }                     \
        if (j < width) { STEP(single ? 1 : ROWS_AT_ONCE, vlanes(j, width), r, j); }                       \
    }

static void NAME(distance_sums)(int64_t rows, int64_t width, const float *x, const float *from, float *sum,
                                float *squares) {
#define STEP(count, lanes, r, j) \
    NAME(add_squares)(count, lanes, width, x + r * width + j, from + j, sum + j, squares + j)
    EACH_PLACE(STEP)
#undef STEP
}

/* about[j] = the mean of column j, rounded; sum and squares = those of the distances from there. The mean itself is
 * a sum of distances, from the first row: a thousand large numbers would add up to one whose last digit is large. */
static void NAME(moments)(int64_t rows, int64_t width, const float *x, float *about, float *sum, float *squares) {
    const size_t bytes = sizeof(float) * (size_t)width;
    memset(sum, 0, bytes);
#define STEP(count, lanes, r, j) NAME(add_distances)(count, lanes, width, x + r * width + j, x + j, sum + j)
    EACH_PLACE(STEP)
#undef STEP
    for (int64_t j = 0; j < width; j++) about[j] = x[j] + sum[j] / (float)rows;
    memset(sum, 0, bytes);
    memset(squares, 0, bytes);
    NAME(distance_sums)(rows, width, x, about, sum, squares);
}

static void NAME(gradient_sums)(int64_t rows, int64_t width, const float *dy, const float *x, const float *mean,
                                float *sum, float *products) {
    memset(sum, 0, sizeof(float) * (size_t)width);
    memset(products, 0, sizeof(float) * (size_t)width);
#define STEP(count, lanes, r, j) \
    NAME(add_gradients)(count, lanes, width, dy + r * width + j, x + r * width + j, mean + j, sum + j, products + j)
    EACH_PLACE(STEP)
#undef STEP
}
#undef EACH_PLACE
#undef ROWS_AT_ONCE

/* y = (x - mean) scale + shift. With the mean taken off first, a large one costs no digits. */
static void NAME(normalise)(int64_t rows, int64_t width, const float *x, const float *mean, const float *scale,
                            const float *shift, float *y) {
    for (int64_t r = 0; r < rows; r++, x += width, y += width) {
        int64_t j = 0;
        for (; j + VLEN <= width; j += VLEN)
            vstore(y + j, (vload(x + j) - vload(mean + j)) * vload(scale + j) + vload(shift + j));
        const int rest = vlanes(j, width);
        if (rest)
            vstore_first(y + j, (vload_first(x + j, rest) - vload_first(mean + j, rest)) * vload_first(scale + j, rest) +
                                    vload_first(shift + j, rest), rest);
    }
}

INLINE vfloat NAME(input_gradient)(vfloat dy, vfloat x, vfloat mean, vfloat scale, vfloat mean_dy, vfloat slope) {
    return (dy - mean_dy - (x - mean) * slope) * scale;
}

static void NAME(normalise_backward)(int64_t rows, int64_t width, const float *dy, const float *x,
                                     const fc_norm_gradient *columns, float *dx) {
    const fc_norm_gradient of = *columns;
    for (int64_t r = 0; r < rows; r++, dy += width, x += width, dx += width) {
        int64_t j = 0;
        for (; j + VLEN <= width; j += VLEN)
            vstore(dx + j, NAME(input_gradient)(vload(dy + j), vload(x + j), vload(of.mean + j), vload(of.scale + j),
                                                vload(of.mean_dy + j), vload(of.slope + j)));
        const int rest = vlanes(j, width);
        if (rest)
            vstore_first(dx + j, NAME(input_gradient)(vload_first(dy + j, rest), vload_first(x + j, rest),
                                                      vload_first(of.mean + j, rest), vload_first(of.scale + j, rest),
                                                      vload_first(of.mean_dy + j, rest),
                                                      vload_first(of.slope + j, rest)), rest);
    }
}
