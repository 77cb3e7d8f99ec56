/* bundle_kernel.h - lesson 5: images in the lanes.
 *
 * tile_kernel.h puts output channels into the lanes of a vector. LeNet's first layer has 6 of them: 10 of 16
 * lanes multiply zeros. But a batch has many images, and all of them meet the same weights. So put VLEN
 * images side by side, a bundle, stored [H][W][C][VLEN]: every lane works, whatever the channels, and
 *
 *     y[p, k] = bias[k] + sum over r, j of x[p*x_step + offset[r] + j] w[(r*length + j)*w_step + k]
 *
 * is the same sum with the parts exchanged: x is now the vector (of images) and the weight the number that is
 * broadcast. Offsets and steps count vectors. The kernel needs no packing: HWIO is the order it is read in.
 *
 * A tile is BUNDLE_PIXELS by BUNDLE_CHANNELS sums. For AVX-512, 4 x 6: one step loads 4 vectors and 6 weights
 * for 24 multiply-adds, 29 of 32 registers. AVX2 has 16, enough for twelve sums in two shapes: 3 x 4, and wide ones
 * of 2 x 6 (8 loads, 15 registers) for LeNet's 6 channels, which would be two tiles of 3 x 3. Measured, AVX2: LeNet-5's
 * training in 0.96 of the time, and in 0.97 of that since each gradient is read once, into a register.
 */
#include "lanes.h"

#ifndef BUNDLE_WIDE_PIXELS
#define BUNDLE_WIDE_PIXELS BUNDLE_PIXELS
#define BUNDLE_WIDE_CHANNELS BUNDLE_CHANNELS
#endif

INLINE void NAME(bundle_tile_of)(const int P, const int K, const fc_product *product, const float *x, const float *w,
                                 const float *bias, float *y) {
    const int64_t x_step = product->x_step * VLEN, w_step = product->w_step, length = product->length;
    vfloat sum[BUNDLE_PIXELS][BUNDLE_WIDE_CHANNELS];
#pragma GCC unroll 8
    for (int p = 0; p < P; p++)
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) sum[p][k] = bias ? vbroadcast(bias[k]) : (vfloat){0};

    for (int64_t r = 0; r < product->runs; r++, w += product->w_skip) {
        const float *run = x + product->offset[r] * VLEN;
        for (int64_t j = 0; j < length; j++, run += VLEN, w += w_step) {
            vfloat images[BUNDLE_PIXELS];
#pragma GCC unroll 8
            for (int p = 0; p < P; p++) images[p] = vload(run + p * x_step);
#pragma GCC unroll 8
            for (int k = 0; k < K; k++) {
                const vfloat weight = vbroadcast(w[k]);
#pragma GCC unroll 8
                for (int p = 0; p < P; p++) sum[p][k] += images[p] * weight;
            }
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; p++)
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) vstore(y + (p * product->y_step + k) * VLEN, sum[p][k]);
}

/* dw[j, k] += sum over pixels of x[pixel, j] dy[pixel, k], image by image: the lanes are added up at the end. Between
 * one j and the next lie x_next vectors of x, 1 but for connected_kernel.h, which has channels filter[k] in place of k
 * too. */
INLINE void NAME(bundle_outer_tile_of)(const int J, const int K, const fc_pixels *pixels, int64_t x_next,
                                       const int64_t *filter, const float *x, const float *dy, float *dw,
                                       int64_t dw_step) {
    vfloat sum[BUNDLE_PIXELS][BUNDLE_WIDE_CHANNELS];
#pragma GCC unroll 8
    for (int j = 0; j < J; j++)
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) sum[j][k] = pixels->fresh ? (vfloat){0} : vload(dw + (j * dw_step + k) * VLEN);

    for (int64_t h = 0; h < pixels->rows; h++) {
        const float *x_pixel = x + h * pixels->x_row * VLEN, *dy_pixel = dy + h * pixels->dy_row * VLEN;
        for (int64_t w = 0; w < pixels->pixels; w++) {
            vfloat images[BUNDLE_PIXELS];
#pragma GCC unroll 8
            for (int j = 0; j < J; j++) images[j] = vload(x_pixel + j * x_next * VLEN);
#pragma GCC unroll 8
            for (int k = 0; k < K; k++) {
                vfloat gradient = vload(dy_pixel + (filter ? filter[k] : k) * VLEN);
                IN_REGISTER(gradient);
#pragma GCC unroll 8
                for (int j = 0; j < J; j++) sum[j][k] += images[j] * gradient;
            }
            x_pixel += pixels->x_step * VLEN;
            dy_pixel += pixels->dy_step * VLEN;
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < J; j++)
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) vstore(dw + (j * dw_step + k) * VLEN, sum[j][k]);
}

/* Any number of pixels, tile after tile in one call: with the few channels that bundles are for, a tile of Winograd's
 * products is done in 40 cycles, and being called takes half as many. */
INLINE void NAME(bundle_tiles_of)(const int K, const fc_product *product, int64_t pixels, const float *x, const float *w,
                                  const float *bias, float *y) {
    const int most = K <= BUNDLE_CHANNELS ? BUNDLE_PIXELS : BUNDLE_WIDE_PIXELS;
    const int64_t x_step = most * product->x_step * VLEN, y_step = most * product->y_step * VLEN;
    for (; pixels >= most; pixels -= most, x += x_step, y += y_step)
        NAME(bundle_tile_of)(most, K, product, x, w, bias, y);
    if (most > 3 && pixels == 3) NAME(bundle_tile_of)(3, K, product, x, w, bias, y);
    if (most > 2 && pixels == 2) NAME(bundle_tile_of)(2, K, product, x, w, bias, y);
    if (most > 1 && pixels == 1) NAME(bundle_tile_of)(1, K, product, x, w, bias, y);
}

/* Cases for all sizes of tiles up to each of the two shapes. */
#define UP_TO_4(P) CASE(P, 1) CASE(P, 2) CASE(P, 3) CASE(P, 4)
#define FROM_5_TO_6(P) CASE(P, 5) CASE(P, 6)
#if BUNDLE_PIXELS == 4 && BUNDLE_CHANNELS == 6
#define TALL_CASES \
    UP_TO_4(1) UP_TO_4(2) UP_TO_4(3) UP_TO_4(4) FROM_5_TO_6(1) FROM_5_TO_6(2) FROM_5_TO_6(3) FROM_5_TO_6(4)
#elif BUNDLE_PIXELS == 3 && BUNDLE_CHANNELS == 4
#define TALL_CASES UP_TO_4(1) UP_TO_4(2) UP_TO_4(3)
#elif BUNDLE_PIXELS == 2 && BUNDLE_CHANNELS == 4
#define TALL_CASES UP_TO_4(1) UP_TO_4(2)
#endif
#if BUNDLE_WIDE_CHANNELS == BUNDLE_CHANNELS
#define WIDE_CASES
#elif BUNDLE_WIDE_PIXELS == 2 && BUNDLE_WIDE_CHANNELS == 6
#define WIDE_CASES FROM_5_TO_6(1) FROM_5_TO_6(2)
#endif

static void NAME(bundle_tiles)(const fc_product *product, int64_t pixels, int channels, const float *x, const float *w,
                               const float *bias, float *y) {
#define CASE(P, K) \
    case K: NAME(bundle_tiles_of)(K, product, pixels, x, w, bias, y); break;
    switch (channels) {
        UP_TO_4(1)
#if BUNDLE_WIDE_CHANNELS == 6
        FROM_5_TO_6(1)
#endif
    }
#undef CASE
}

static void NAME(bundle_outer_tile)(const fc_pixels *pixels, int rows, int channels, const float *x, const float *dy,
                                    float *dw, int64_t dw_step) {
#define CASE(J, K) \
    case J * 8 + K: NAME(bundle_outer_tile_of)(J, K, pixels, 1, NULL, x, dy, dw, dw_step); break;
    switch (rows * 8 + channels) { TALL_CASES WIDE_CASES }
#undef CASE
}

/* ---- pooling, [H][W][C] vectors ----------------------------------------------------------------- */

/* Nearly all windows are 2 x 2 or 3 x 3: their loops vanish. Measured, AVX2: pooling in half of the time. */
#define POOL(op, ...)                                                             \
    if (pool->size_h == 2 && pool->size_w == 2) NAME(op)(2, 2, __VA_ARGS__);      \
    else if (pool->size_h == 3 && pool->size_w == 3) NAME(op)(3, 3, __VA_ARGS__); \
    else NAME(op)(pool->size_h, pool->size_w, __VA_ARGS__);
#define POOL_BACKWARD(op, ...)                             \
    if (pool->adds) {                                      \
        POOL(op, 1, __VA_ARGS__)                           \
    } else {                                               \
        POOL(op, 0, __VA_ARGS__)                           \
    }

/* Pixels of C vectors in an output row from windows of size_h x size_w, all of them inside the image. */
INLINE void NAME(bundle_max_pool_of)(const int64_t size_h, const int64_t size_w, const fc_bundle_pool *pool,
                                    const float *x, float *y) {
    const int64_t n = pool->C * VLEN;
    for (int64_t w = 0; w < pool->pixels; w++, x += pool->x_step * VLEN, y += n)
        for (int64_t c = 0; c < n; c += VLEN) {
            vfloat most = vload(x + c);
#pragma GCC unroll 3
            for (int64_t kh = 0; kh < size_h; kh++)
#pragma GCC unroll 3
                for (int64_t kw = 0; kw < size_w; kw++) {
                    const vfloat candidate = vload(x + kh * pool->x_row * VLEN + kw * n + c);
                    most = vselect((candidate > most) | ((candidate != candidate) & (most == most)), candidate, most);
                }
            vstore(y + c, most);
        }
}

/* dx = gradient where `here`, else 0; or where it is added, += that. */
INLINE void NAME(bundle_give)(const int adds, float *dx, vint here, vfloat gradient) {
    const vfloat share = vselect(here, gradient, (vfloat){0});
    vstore(dx, adds ? vload(dx) + share : share);
}

/* The first pixel of the window that has the bits of the maximum, be it NaN, gets the gradient; no switches need be
 * kept. */
INLINE void NAME(bundle_max_pool_backward_of)(const int64_t size_h, const int64_t size_w, const int adds,
                                              const fc_bundle_pool *pool, const float *x, const float *y,
                                              const float *dy, float *dx) {
    const int64_t n = pool->C * VLEN, step = pool->x_step * VLEN;
    for (int64_t w = 0; w < pool->pixels; w++, x += step, dx += step, y += n, dy += n)
        for (int64_t c = 0; c < n; c += VLEN) {
            const vint most = vbits(vload(y + c));
            const vfloat gradient = vload(dy + c);
            vint wanted = vbroadcast_int(-1);
#pragma GCC unroll 3
            for (int64_t kh = 0; kh < size_h; kh++)
#pragma GCC unroll 3
                for (int64_t kw = 0; kw < size_w; kw++) {
                    const vint here = wanted & (vbits(vload(x + kh * pool->x_row * VLEN + kw * n + c)) == most);
                    NAME(bundle_give)(adds, dx + kh * pool->dx_row * VLEN + kw * n + c, here, gradient);
                    wanted &= ~here;
                }
        }
}

INLINE void NAME(bundle_avg_pool_of)(const int64_t size_h, const int64_t size_w, const fc_bundle_pool *pool,
                                    const float *x, float *y) {
    const int64_t n = pool->C * VLEN;
    const float share = 1.0f / (float)(size_h * size_w);
    for (int64_t w = 0; w < pool->pixels; w++, x += pool->x_step * VLEN, y += n)
        for (int64_t c = 0; c < n; c += VLEN) {
            vfloat sum = (vfloat){0};
#pragma GCC unroll 3
            for (int64_t kh = 0; kh < size_h; kh++)
#pragma GCC unroll 3
                for (int64_t kw = 0; kw < size_w; kw++) sum += vload(x + kh * pool->x_row * VLEN + kw * n + c);
            vstore(y + c, sum * share);
        }
}

INLINE void NAME(bundle_avg_pool_backward_of)(const int64_t size_h, const int64_t size_w, const int adds,
                                              const fc_bundle_pool *pool, const float *dy, float *dx) {
    const int64_t n = pool->C * VLEN;
    const float share = 1.0f / (float)(size_h * size_w);
    for (int64_t w = 0; w < pool->pixels; w++, dx += pool->x_step * VLEN, dy += n)
        for (int64_t c = 0; c < n; c += VLEN) {
            const vfloat gradient = vload(dy + c) * share;
#pragma GCC unroll 3
            for (int64_t kh = 0; kh < size_h; kh++)
#pragma GCC unroll 3
                for (int64_t kw = 0; kw < size_w; kw++) {
                    float *to = dx + kh * pool->dx_row * VLEN + kw * n + c;
                    vstore(to, adds ? vload(to) + gradient : gradient);
                }
        }
}

static void NAME(bundle_max_pool)(const fc_bundle_pool *pool, const float *x, float *y) {
    POOL(bundle_max_pool_of, pool, x, y)
}
static void NAME(bundle_max_pool_backward)(const fc_bundle_pool *pool, const float *x, const float *y, const float *dy,
                                           float *dx) {
    POOL_BACKWARD(bundle_max_pool_backward_of, pool, x, y, dy, dx)
}
static void NAME(bundle_avg_pool)(const fc_bundle_pool *pool, const float *x, float *y) {
    POOL(bundle_avg_pool_of, pool, x, y)
}
static void NAME(bundle_avg_pool_backward)(const fc_bundle_pool *pool, const float *dy, float *dx) {
    POOL_BACKWARD(bundle_avg_pool_backward_of, pool, dy, dx)
}
#undef POOL_BACKWARD
#undef POOL
