/* resample_kernel.h - rows and pixels blended from two neighbours each; the equations are in resample.c. */
#include "lanes.h"

/* y = u a + v b; only u a where v is 0, so that what is not seen (NaN, infinity) does not matter; a copy where u is 1.
 */
INLINE vfloat NAME(blended)(float u, float v, const float *a, const float *b, int lanes) {
    const vfloat first = vload_lanes(a, lanes);
    if (v == 0) return u == 1 ? first : u * first;
    return u * first + v * vload_lanes(b, lanes);
}

static void NAME(blend)(int64_t n, float u, const float *a, float v, const float *b, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, NAME(blended)(u, v, a + i, b + i, VLEN));
    for (; i < n; i++) y[i] = v == 0 ? u * a[i] : u * a[i] + v * b[i];
}

/* y += u x */
static void NAME(add_scaled)(int64_t n, float u, const float *x, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, vload(y + i) + u * vload(x + i));
    for (; i < n; i++) y[i] += u * x[i];
}

/* Every pixel of a row of y from two of x. */
static void NAME(resample_row)(const fc_resample_axis *axis, int64_t C, const float *x, float *y) {
    for (int64_t w = 0; w < axis->outputs; w++, y += C) {
        const float *a = x + axis->first[w] * C;
        NAME(blend)(C, axis->weight[w], a, axis->next[w], a + C, y);
    }
}

/* dx of the row gets what it gave to each pixel of y. */
static void NAME(resample_row_backward)(const fc_resample_axis *axis, int64_t C, const float *dy, float *dx) {
    memset(dx, 0, sizeof(float) * (size_t)(axis->source * C));
    for (int64_t w = 0; w < axis->outputs; w++, dy += C) {
        float *a = dx + axis->first[w] * C;
        NAME(add_scaled)(C, axis->weight[w], dy, a);
        if (axis->next[w] != 0) NAME(add_scaled)(C, axis->next[w], dy, a + C);
    }
}
