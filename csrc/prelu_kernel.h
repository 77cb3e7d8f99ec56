/* prelu_kernel.h - rows of `width` floats, each column with a slope of its own; the equations are in prelu.c. */
#include "lanes.h"

INLINE void NAME(prelu_step)(int lanes, const float *x, const float *alpha, float *y) {
    const vfloat value = vload_lanes(x, lanes);
    vstore_lanes(y, vselect(value < 0.0f, vload_lanes(alpha, lanes) * value, value), lanes);
}

static void NAME(prelu)(int64_t rows, int64_t width, const float *x, const float *alpha, float *y) {
    for (int64_t r = 0; r < rows; r++, x += width, y += width) {
        int64_t j = 0;
        for (; j + VLEN <= width; j += VLEN) NAME(prelu_step)(VLEN, x + j, alpha + j, y + j);
        if (j < width) NAME(prelu_step)(vlanes(j, width), x + j, alpha + j, y + j);
    }
}

INLINE void NAME(prelu_backward_step)(int lanes, const float *dy, const float *x, const float *alpha, float *dx,
                                      float *sum) {
    const vfloat value = vload_lanes(x, lanes), gradient = vload_lanes(dy, lanes);
    vstore_lanes(dx, vselect(value > 0.0f, gradient, vload_lanes(alpha, lanes) * gradient), lanes);
    const vfloat part = vselect(value >= 0.0f, vbroadcast(0), gradient * value);
    vstore_lanes(sum, vload_lanes(sum, lanes) + part, lanes);
}

static void NAME(prelu_backward)(int64_t rows, int64_t width, const float *dy, const float *x, const float *alpha,
                                 float *dx, float *sums) {
    memset(sums, 0, sizeof(float) * (size_t)width);
    for (int64_t r = 0; r < rows; r++, dy += width, x += width, dx += width) {
        int64_t j = 0;
        for (; j + VLEN <= width; j += VLEN)
            NAME(prelu_backward_step)(VLEN, dy + j, x + j, alpha + j, dx + j, sums + j);
        if (j < width) NAME(prelu_backward_step)(vlanes(j, width), dy + j, x + j, alpha + j, dx + j, sums + j);
    }
}
