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

/* sum[j] += the sum of dy, products[j] += that of its products with the distances. First, where there is an activation,
 * dy = dy phi'(y); its kind is a constant. */
INLINE void NAME(add_gradients)(const fc_activation kind, const int count, int lanes, int64_t width, float *dy,
                                const float *y, const float *x, const float *from, float *sum, float *products) {
    const vfloat zero = vload_lanes(from, lanes);
    vfloat s = vbroadcast(0), q = vbroadcast(0);
    for (int i = 0; i < count; i++) {
        vfloat g = vload_lanes(dy + i * width, lanes);
        if (kind != FC_LINEAR) {
            g *= NAME(slope)(kind, 0, vload_lanes(y + i * width, lanes));
            vstore_lanes(dy + i * width, g, lanes);
        }
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

INLINE void NAME(gradient_sums_as)(const fc_activation kind, int64_t rows, int64_t width, float *dy, const float *y,
                                   const float *x, const float *mean, float *sum, float *products) {
#define STEP(count, lanes, r, j)                                                                               \
    NAME(add_gradients)(kind, count, lanes, width, dy + r * width + j, y + r * width + j, x + r * width + j, mean + j, \
                        sum + j, products + j)
    EACH_PLACE(STEP)
#undef STEP
}

static void NAME(gradient_sums)(int64_t rows, int64_t width, const float *dy, const float *x, const float *mean,
                                float *sum, float *products) {
    memset(sum, 0, sizeof(float) * (size_t)width);
    memset(products, 0, sizeof(float) * (size_t)width);
    NAME(gradient_sums_as)(FC_LINEAR, rows, width, (float *)dy, dy, x, mean, sum, products);
}

/* Rows that stay in the first-level cache between one loop over them and the next. */
INLINE int64_t NAME(cached_rows)(int64_t width) {
    const int64_t rows = 1024 / width / ROWS_AT_ONCE * ROWS_AT_ONCE;
    return rows < ROWS_AT_ONCE ? ROWS_AT_ONCE : rows;
}

/* ReLU, behind nearly every batch normalisation, in the same loop as the sums; others in a loop before it. */
static void NAME(sloped_gradient_sums)(fc_activation kind, float alpha, int64_t rows, int64_t width, float *dy,
                                       const float *y, const float *x, const float *mean, float *sum,
                                       float *products) {
    if (kind == FC_LINEAR) {
        NAME(gradient_sums)(rows, width, dy, x, mean, sum, products);
        return;
    }
    memset(sum, 0, sizeof(float) * (size_t)width);
    memset(products, 0, sizeof(float) * (size_t)width);
    if (kind == FC_RELU) {
        NAME(gradient_sums_as)(FC_RELU, rows, width, dy, y, x, mean, sum, products);
        return;
    }
    const int64_t step = NAME(cached_rows)(width);
    for (int64_t r = 0; r < rows; r += step) {
        const int64_t count = rows - r < step ? rows - r : step, at = r * width;
        NAME(activate_backward)(kind, alpha, count * width, dy + at, y + at, dy + at);
        NAME(gradient_sums_as)(FC_LINEAR, count, width, dy + at, dy + at, x + at, mean, sum, products);
    }
}
#undef EACH_PLACE

/* y = phi((x - mean) scale + shift + residual), activation and whether there is a residual constants. With the mean
 * taken off first, a large one costs no digits. */
INLINE vfloat NAME(normal)(const fc_activation kind, const int adds, vfloat x, vfloat mean, vfloat scale, vfloat shift,
                           vfloat residual) {
    const vfloat z = (x - mean) * scale + shift;
    return NAME(phi)(kind, 0, adds ? z + residual : z);
}

INLINE void NAME(normalise_as)(const fc_activation kind, const int adds, int64_t rows, int64_t width, const float *x,
                               const fc_normalisation *columns, const float *residual, float *y) {
    const float *mean = columns->mean, *scale = columns->scale, *shift = columns->shift;
    const vfloat none = vbroadcast(0);
    for (int64_t r = 0; r < rows; r++, x += width, y += width, residual += adds ? width : 0) {
        int64_t j = 0;
        for (; j + VLEN <= width; j += VLEN)
            vstore(y + j, NAME(normal)(kind, adds, vload(x + j), vload(mean + j), vload(scale + j), vload(shift + j),
                                       adds ? vload(residual + j) : none));
        const int rest = vlanes(j, width);
        if (rest)
            vstore_first(y + j, NAME(normal)(kind, adds, vload_first(x + j, rest), vload_first(mean + j, rest),
                                             vload_first(scale + j, rest), vload_first(shift + j, rest),
                                             adds ? vload_first(residual + j, rest) : none), rest);
    }
}

/* As with the gradient: ReLU in the same loop, others in a loop behind it. */
static void NAME(normalise)(int64_t rows, int64_t width, const float *x, const fc_normalisation *columns,
                            const float *residual, float *y) {
    const fc_activation kind = columns->activation;
    if (kind == FC_RELU) {
        if (residual) NAME(normalise_as)(FC_RELU, 1, rows, width, x, columns, residual, y);
        else NAME(normalise_as)(FC_RELU, 0, rows, width, x, columns, NULL, y);
        return;
    }
    const int64_t step = kind == FC_LINEAR ? rows : NAME(cached_rows)(width);
    for (int64_t r = 0; r < rows; r += step) {
        const int64_t count = rows - r < step ? rows - r : step, at = r * width;
        if (residual) NAME(normalise_as)(FC_LINEAR, 1, count, width, x + at, columns, residual + at, y + at);
        else NAME(normalise_as)(FC_LINEAR, 0, count, width, x + at, columns, NULL, y + at);
        if (kind != FC_LINEAR) NAME(activate)(kind, columns->alpha, count * width, y + at, y + at);
    }
}
#undef ROWS_AT_ONCE

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
