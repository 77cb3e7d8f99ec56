/* affine_kernel.h - the pixels that an output pixel of affine.c is blended from, and the blending.
 *
 * Coordinates are doubles: a float's 24 bits times a pixel's number are exact in a double's 53, so the places
 * are the same on every instruction set, whether it multiplies and adds in one step or in two, and a place
 * half-way between two pixels is that everywhere.
 *
 * Finding the pixels is scalar and costs what four channels cost. Channels lie in the lanes where there are
 * enough of them; images of 1 and of 3, the most common, have loops of their own, unrolled.
 */
#include "lanes.h"
#include "memory.h"

/* Up to four pixels of an image, as row * W + column, or -1 for one that is outside and filled. */
typedef struct {
    int64_t at[4];
    float weight[4];
} fc_corners;

/* The pixel of n that stands for number i, or -1. */
INLINE int64_t fc_pixel(fc_fill fill, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (fill == FC_FILL_CONSTANT) return -1;
    if (fill == FC_FILL_NEAREST) return i < 0 ? 0 : n - 1;
    const int64_t period = fill == FC_FILL_WRAP ? n : 2 * n;
    const int64_t j = (i % period + period) % period; /* % of C keeps the sign */
    return j < n ? j : period - 1 - j;
}

INLINE int64_t fc_floor(double v) {
    const int64_t i = (int64_t)v;
    return i - ((double)i > v);
}

/* Half-way goes away from zero, as in Keras. */
INLINE int64_t fc_nearest(double v) {
    const int64_t i = fc_floor(v);
    const double over = v - (double)i;
    return i + (over > 0.5 || (over == 0.5 && v > 0));
}

/* `bilinear` is a constant at every call. Returns how many corners there are. */
INLINE int fc_find_corners(const fc_affine *affine, const int bilinear, double row, double column, fc_corners *found) {
    const int64_t H = affine->H, W = affine->W;
    if (!bilinear) {
        const int64_t i = fc_pixel(affine->fill, fc_nearest(row), H);
        const int64_t j = fc_pixel(affine->fill, fc_nearest(column), W);
        found->at[0] = i < 0 || j < 0 ? -1 : i * W + j;
        found->weight[0] = 1;
        return 1;
    }
    const int64_t top = fc_floor(row), left = fc_floor(column);
    const float f = (float)(row - (double)top), g = (float)(column - (double)left);
    found->weight[0] = (1 - f) * (1 - g);
    found->weight[1] = (1 - f) * g;
    found->weight[2] = f * (1 - g);
    found->weight[3] = f * g;
    if (top >= 0 && top + 1 < H && left >= 0 && left + 1 < W) {
        const int64_t at = top * W + left;
        found->at[0] = at, found->at[1] = at + 1, found->at[2] = at + W, found->at[3] = at + W + 1;
        return 4;
    }
    for (int corner = 0; corner < 4; corner++) {
        const int64_t i = fc_pixel(affine->fill, top + corner / 2, H);
        const int64_t j = fc_pixel(affine->fill, left + corner % 2, W);
        found->at[corner] = i < 0 || j < 0 ? -1 : i * W + j;
    }
    return 4;
}

/* `bilinear` and, where it is 1 or 3, `C` are constants at every call. */
INLINE void NAME(affine_of)(const fc_affine *affine, const int bilinear, const int64_t C, int64_t first, int64_t rows,
                            const float *x, const float *outside, float *y) {
    y += first * affine->OW * C;
    for (int64_t nh = first; nh < first + rows; nh++) {
        const int64_t n = nh / affine->OH, h = nh % affine->OH;
        const float *map = affine->maps + 6 * n, *image = x + n * affine->H * affine->W * C;
        const double column_at_0 = (double)map[1] * (double)h + map[2], row_at_0 = (double)map[4] * (double)h + map[5];
        for (int64_t w = 0; w < affine->OW; w++, y += C) {
            fc_corners corners;
            const int count = fc_find_corners(affine, bilinear, (double)map[3] * (double)w + row_at_0,
                                              (double)map[0] * (double)w + column_at_0, &corners);
            const float *pixel[4], *weight = corners.weight;
            for (int i = 0; i < count; i++) pixel[i] = corners.at[i] < 0 ? outside : image + corners.at[i] * C;
            int64_t c = 0;
            for (; c + VLEN <= C; c += VLEN) {
                vfloat sum = weight[0] * vload(pixel[0] + c);
                for (int i = 1; i < count; i++) sum += weight[i] * vload(pixel[i] + c);
                vstore(y + c, sum);
            }
            for (; c < C; c++) {
                float sum = weight[0] * pixel[0][c];
                for (int i = 1; i < count; i++) sum += weight[i] * pixel[i][c];
                y[c] = sum;
            }
        }
    }
}

static void NAME(affine)(const fc_affine *affine, int64_t first, int64_t rows, const float *x, const float *outside,
                         float *y) {
    const int64_t C = affine->C;
    if (!affine->bilinear)
        NAME(affine_of)(affine, 0, C, first, rows, x, outside, y);
    else if (C == 1)
        NAME(affine_of)(affine, 1, 1, first, rows, x, outside, y);
    else if (C == 3)
        NAME(affine_of)(affine, 1, 3, first, rows, x, outside, y);
    else
        NAME(affine_of)(affine, 1, C, first, rows, x, outside, y);
}

static void NAME(affine_backward)(const fc_affine *affine, int64_t n, const float *dy, float *dx) {
    const int64_t C = affine->C, floats = affine->H * affine->W * C;
    const float *map = affine->maps + 6 * n;
    dx += n * floats;
    dy += n * affine->OH * affine->OW * C;
    memset(dx, 0, sizeof(float) * (size_t)floats);
    for (int64_t h = 0; h < affine->OH; h++) {
        const double column_at_0 = (double)map[1] * (double)h + map[2], row_at_0 = (double)map[4] * (double)h + map[5];
        for (int64_t w = 0; w < affine->OW; w++, dy += C) {
            fc_corners corners;
            const double row = (double)map[3] * (double)w + row_at_0, column = (double)map[0] * (double)w + column_at_0;
            const int count = affine->bilinear ? fc_find_corners(affine, 1, row, column, &corners)
                                               : fc_find_corners(affine, 0, row, column, &corners);
            for (int i = 0; i < count; i++) {
                if (corners.at[i] < 0) continue;
                float *pixel = dx + corners.at[i] * C;
                for (int64_t c = 0; c < C; c++) pixel[c] += corners.weight[i] * dy[c];
            }
        }
    }
}
