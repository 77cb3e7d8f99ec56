/* pool_kernel.h - pooling: one number for each window, and the way back.
 *
 *     max_pool            y = the largest x under the window, and the tap it was under
 *     avg_pool            y = the mean of the x under the window
 *     max_pool_backward   dx = the sum of dy over the windows that this pixel won
 *     avg_pool_backward   dx = the sum of dy / count over the windows that saw this pixel
 *
 * Every channel is on its own, so channels lie in the lanes. The last vector of a pixel may run on into
 * the channels of the next pixel: its lanes there hold nonsense, which is overwritten when that pixel's
 * turn comes, for pixels are written in the order of memory. So 6 channels cost what 16 cost, but not what
 * 6 loops over single floats would. Only where nothing comes after (at the end of an array, or of this
 * task's rows, behind which another thread may be writing) are just the lanes that belong moved.
 *
 * Forward, each output gathers from its taps. Backward, each input pixel gathers from the windows that saw
 * it: dx is written once and never read, pixels that no window saw get their zero, and however windows
 * overlap, any split of the rows gives the same bits.
 *
 * Windows of 2x2 side by side, which halve an image, are what networks use, and 3x3. Forward, the bounds of all loops
 * over taps are then constants, but for windows of 3x3 that see padding; backward, no pixel of the halved image needs to
 * look for its window.
 */
#include "lanes.h"
#include "memory.h"

/* first <= i < end */
typedef struct {
    int64_t first, end;
} fc_range;

INLINE int fc_halving(const fc_pool2d *pool) {
    return pool->KH == 2 && pool->KW == 2 && pool->stride_h == 2 && pool->stride_w == 2 && pool->pad_top == 0 &&
           pool->pad_left == 0 && 2 * pool->OH <= pool->H && 2 * pool->OW <= pool->W;
}

/* The taps that lie on the image, of a window that starts at pixel `start` (negative: in the padding). */
INLINE fc_range fc_taps_on_image(int64_t start, int64_t taps, int64_t pixels) {
    return (fc_range){fc_max(0, -start), fc_min(taps, pixels - start)};
}

enum { ANY_SIZE, HALVING, THREE };                    /* of windows */
enum { NO_SWITCHES, NARROW_SWITCHES, WIDE_SWITCHES }; /* nobody goes back; 16 bits; 32 */

/* ---- forward ------------------------------------------------------------------------------------ */

/* The taps of an output that lie on the image, and where: floats from the start of x to channel 0. */
typedef struct {
    fc_range kh, kw;
    int64_t first, last;
} fc_window;

INLINE fc_window NAME(window_at)(const fc_pool2d *pool, const int halving, int64_t n, int64_t h, int64_t w) {
    const int64_t top = h * pool->stride_h - pool->pad_top, left = w * pool->stride_w - pool->pad_left;
    fc_window window = {{0, 2}, {0, 2}, 0, 0};
    if (!halving) {
        window.kh = fc_taps_on_image(top, pool->KH, pool->H);
        window.kw = fc_taps_on_image(left, pool->KW, pool->W);
    }
    const int64_t row = n * pool->H + top + window.kh.first, column = left + window.kw.first; /* in the image */
    const int64_t more = (window.kh.end - window.kh.first - 1) * pool->W + window.kw.end - window.kw.first - 1;
    window.first = (row * pool->W + column) * pool->C;
    window.last = window.first + more * pool->C;
    return window;
}

/* x is at the window's first tap. The first maximum wins, and the first NaN wins over any number. */
INLINE void NAME(max_window)(const fc_pool2d *pool, const fc_window *window, const int kept, const float *x, float *y,
                             fc_switches switches, int64_t at, int lanes) {
    vfloat best = vload_lanes(x, lanes);
    vint winner = vbroadcast_int((int32_t)(window->kh.first * pool->KW + window->kw.first));
#pragma GCC unroll 3
    for (int64_t kh = window->kh.first; kh < window->kh.end; kh++, x += pool->W * pool->C) {
        const float *pixel = x;
#pragma GCC unroll 3
        for (int64_t kw = window->kw.first; kw < window->kw.end; kw++, pixel += pool->C) {
            const vfloat value = vload_lanes(pixel, lanes);
            const vint beats = (value > best) | ((value != value) & (best == best));
            best = vselect(beats, value, best);
            if (kept) winner = vselect_int(beats, vbroadcast_int((int32_t)(kh * pool->KW + kw)), winner);
        }
    }
    vstore_lanes(y + at, best, lanes);
    if (kept == WIDE_SWITCHES)
        vstore_int32(switches.wide + at, winner, lanes);
    else if (kept)
        vstore_uint16(switches.narrow + at, winner, lanes);
}

/* Each row of the window is summed by itself, so that rounding errors grow with KH + KW, not KH * KW. */
INLINE void NAME(avg_window)(const fc_pool2d *pool, const fc_window *window, const float *x, float *y, int64_t at,
                             int lanes) {
    const float count = (float)((window->kh.end - window->kh.first) * (window->kw.end - window->kw.first));
    vfloat sum = vbroadcast(0);
#pragma GCC unroll 3
    for (int64_t kh = window->kh.first; kh < window->kh.end; kh++, x += pool->W * pool->C) {
        const float *pixel = x;
        vfloat row_sum = vbroadcast(0);
#pragma GCC unroll 3
        for (int64_t kw = window->kw.first; kw < window->kw.end; kw++, pixel += pool->C)
            row_sum += vload_lanes(pixel, lanes);
        sum += row_sum;
    }
    vstore_lanes(y + at, sum / count, lanes);
}

/* All channels of the output at y + at; x and y end at x_end and y_end. */
INLINE void NAME(pool_window)(const fc_pool2d *pool, const int max, const int kept, const fc_window window,
                              int64_t x_end, int64_t y_end, const float *x, float *y, fc_switches switches,
                              int64_t at) {
    for (int64_t c = 0; c < pool->C; c += VLEN) {
        const int roomy = window.last + c + VLEN <= x_end && at + c + VLEN <= y_end;
        const int lanes = vlanes(c, pool->C);
        const float *from = x + window.first + c;
        if (max && roomy)
            NAME(max_window)(pool, &window, kept, from, y, switches, at + c, VLEN);
        else if (max)
            NAME(max_window)(pool, &window, kept, from, y, switches, at + c, lanes);
        else if (roomy)
            NAME(avg_window)(pool, &window, from, y, at + c, VLEN);
        else
            NAME(avg_window)(pool, &window, from, y, at + c, lanes);
    }
}

/* `max`, `kept` (switches) and `size` are constants at every call. */
INLINE void NAME(pool_of)(const fc_pool2d *any_pool, const int max, const int kept, const int size, int64_t first,
                          int64_t rows, const float *x, float *y, fc_switches switches) {
    fc_pool2d pool = *any_pool;
    const int halving = size == HALVING;
    if (halving) {
        pool.KH = pool.KW = pool.stride_h = pool.stride_w = 2;
        pool.pad_top = pool.pad_left = 0;
    }
    if (size == THREE) pool.KH = pool.KW = 3;
    const int64_t x_end = pool.N * pool.H * pool.W * pool.C, y_end = (first + rows) * pool.OW * pool.C;
    int64_t at = first * pool.OW * pool.C;
    for (int64_t nh = first; nh < first + rows; nh++) {
        const int64_t n = nh / pool.OH, h = nh % pool.OH;
        for (int64_t w = 0; w < pool.OW; w++, at += pool.C) {
            fc_window window = NAME(window_at)(&pool, halving, n, h, w);
            const fc_range all = {0, 3};
            const int whole = window.kh.end - window.kh.first == 3 && window.kw.end - window.kw.first == 3;
            if (size == THREE && whole) {
                window.kh = window.kw = all;
                NAME(pool_window)(&pool, max, kept, window, x_end, y_end, x, y, switches, at);
            } else {
                NAME(pool_window)(&pool, max, kept, window, x_end, y_end, x, y, switches, at);
            }
        }
    }
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* The windows that see pixel (row, column), which is counted from the padding's first, and where their outputs
 * lie: floats from the start of dy to channel 0. Window (h, w) has the pixel under tap kh = row - h * stride. */
typedef struct {
    int64_t row, column;
    fc_range h, w;
    int64_t first, last;
} fc_viewers;

/* From the windows over an earlier pixel, or {0, 0}, to those over this one: both ends only move on. */
INLINE void NAME(slide_to)(int64_t pixel, fc_range *windows, int64_t taps, int64_t stride, int64_t outputs) {
    while (windows->end < outputs && windows->end * stride <= pixel) windows->end++;
    while (windows->first < windows->end && windows->first * stride + taps <= pixel) windows->first++;
}

INLINE void NAME(max_pixel)(const fc_pool2d *pool, const fc_viewers *viewers, const int wide, const float *dy,
                            fc_switches switches, int64_t c, float *dx, int lanes) {
    vfloat sum = vbroadcast(0);
    for (int64_t h = viewers->h.first; h < viewers->h.end; h++) {
        const int64_t kh = viewers->row - h * pool->stride_h;
        int64_t from = viewers->first + (h - viewers->h.first) * pool->OW * pool->C + c;
        for (int64_t w = viewers->w.first; w < viewers->w.end; w++, from += pool->C) {
            const int64_t kw = viewers->column - w * pool->stride_w;
            const vint winner = wide ? vload_int32(switches.wide + from, lanes)
                                     : vload_uint16(switches.narrow + from, lanes);
            const vint won = winner == (int32_t)(kh * pool->KW + kw);
            sum += vselect(won, vload_lanes(dy + from, lanes), vbroadcast(0));
        }
    }
    vstore_lanes(dx, sum, lanes);
}

INLINE void NAME(avg_pixel)(const fc_pool2d *pool, const fc_viewers *viewers, const float *dy, int64_t c, float *dx,
                            int lanes) {
    vfloat sum = vbroadcast(0);
    for (int64_t h = viewers->h.first; h < viewers->h.end; h++) {
        const fc_range kh = fc_taps_on_image(h * pool->stride_h - pool->pad_top, pool->KH, pool->H);
        int64_t from = viewers->first + (h - viewers->h.first) * pool->OW * pool->C + c;
        for (int64_t w = viewers->w.first; w < viewers->w.end; w++, from += pool->C) {
            const fc_range kw = fc_taps_on_image(w * pool->stride_w - pool->pad_left, pool->KW, pool->W);
            const float count = (float)((kh.end - kh.first) * (kw.end - kw.first));
            sum += vload_lanes(dy + from, lanes) * (1.0f / count);
        }
    }
    vstore_lanes(dx, sum, lanes);
}

/* `max` and `wide` are constants at every call. */
INLINE void NAME(pool_backward_of)(const fc_pool2d *pool, const int max, const int wide, int64_t first, int64_t rows,
                                   const float *dy, fc_switches switches, float *dx) {
    const int64_t C = pool->C, dy_end = pool->N * pool->OH * pool->OW * C, dx_end = (first + rows) * pool->W * C;
    int64_t at = first * pool->W * C;
    for (int64_t nh = first; nh < first + rows; nh++) {
        const int64_t outputs = nh / pool->H * pool->OH; /* rows of them before this image */
        fc_viewers viewers = {.row = nh % pool->H + pool->pad_top};
        NAME(slide_to)(viewers.row, &viewers.h, pool->KH, pool->stride_h, pool->OH);
        for (int64_t column = 0; column < pool->W; column++, at += C) {
            viewers.column = column + pool->pad_left;
            NAME(slide_to)(viewers.column, &viewers.w, pool->KW, pool->stride_w, pool->OW);
            viewers.first = ((outputs + viewers.h.first) * pool->OW + viewers.w.first) * C;
            viewers.last = ((outputs + viewers.h.end - 1) * pool->OW + viewers.w.end - 1) * C;
            for (int64_t c = 0; c < C; c += VLEN) {
                const int roomy = viewers.last + c + VLEN <= dy_end && at + c + VLEN <= dx_end;
                const int lanes = vlanes(c, C);
                if (max && roomy)
                    NAME(max_pixel)(pool, &viewers, wide, dy, switches, c, dx + at + c, VLEN);
                else if (max)
                    NAME(max_pixel)(pool, &viewers, wide, dy, switches, c, dx + at + c, lanes);
                else if (roomy)
                    NAME(avg_pixel)(pool, &viewers, dy, c, dx + at + c, VLEN);
                else
                    NAME(avg_pixel)(pool, &viewers, dy, c, dx + at + c, lanes);
            }
        }
    }
}

/* The gradients of two neighbouring pixels, whose taps are `tap` and the next, from their one window. */
INLINE void NAME(share)(const int max, const float *dy, fc_switches switches, int64_t from, int32_t tap, float *dx,
                        float *next_dx, int lanes) {
    const vfloat gradient = vload_lanes(dy + from, lanes);
    if (max) {
        const vint winner = vload_uint16(switches.narrow + from, lanes);
        vstore_lanes(dx, vselect(winner == tap, gradient, vbroadcast(0)), lanes);
        vstore_lanes(next_dx, vselect(winner == tap + 1, gradient, vbroadcast(0)), lanes);
    } else {
        vstore_lanes(dx, 0.25f * gradient, lanes);
        vstore_lanes(next_dx, 0.25f * gradient, lanes);
    }
}

/* 2x2 side by side: window (h, w) alone sees pixels (2 h, 2 w) ... (2 h + 1, 2 w + 1). As two pixels are
 * written together, their last vectors, which run on into the next pixel, come first. */
INLINE void NAME(halving_backward)(const fc_pool2d *pool, const int max, int64_t first, int64_t rows, const float *dy,
                                   fc_switches switches, float *dx) {
    const int64_t C = pool->C, dy_end = pool->N * pool->OH * pool->OW * C, dx_end = (first + rows) * pool->W * C;
    int64_t at = first * pool->W * C;
    for (int64_t nh = first; nh < first + rows; nh++) {
        const int64_t n = nh / pool->H, row = nh % pool->H;
        const int64_t windows = row < 2 * pool->OH ? pool->OW : 0; /* no window sees the last of an odd number */
        const int32_t tap = (int32_t)(2 * (row % 2));
        int64_t from = (n * pool->OH + row / 2) * pool->OW * C;
        for (int64_t w = 0; w < windows; w++, from += C, at += 2 * C)
            for (int64_t c = (C - 1) / VLEN * VLEN; c >= 0; c -= VLEN) {
                float *to = dx + at + c;
                if (from + c + VLEN <= dy_end && at + C + c + VLEN <= dx_end)
                    NAME(share)(max, dy, switches, from + c, tap, to, to + C, VLEN);
                else
                    NAME(share)(max, dy, switches, from + c, tap, to, to + C, vlanes(c, C));
            }
        const int64_t rest = (pool->W - 2 * windows) * C;
        memset(dx + at, 0, sizeof(float) * (size_t)rest);
        at += rest;
    }
}

/* ---- with constants, or without ------------------------------------------------------------------ */

INLINE void NAME(pool_by_size)(const fc_pool2d *pool, const int max, const int kept, int64_t first, int64_t rows,
                               const float *x, float *y, fc_switches switches) {
    if (fc_halving(pool)) NAME(pool_of)(pool, max, kept, HALVING, first, rows, x, y, switches);
    else if (pool->KH == 3 && pool->KW == 3) NAME(pool_of)(pool, max, kept, THREE, first, rows, x, y, switches);
    else NAME(pool_of)(pool, max, kept, ANY_SIZE, first, rows, x, y, switches);
}

static void NAME(max_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y,
                           fc_switches switches) {
    if (switches.wide) NAME(pool_of)(pool, 1, WIDE_SWITCHES, ANY_SIZE, first, rows, x, y, switches);
    else if (switches.narrow) NAME(pool_by_size)(pool, 1, NARROW_SWITCHES, first, rows, x, y, switches);
    else NAME(pool_by_size)(pool, 1, NO_SWITCHES, first, rows, x, y, switches);
}

static void NAME(max_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy,
                                    fc_switches switches, float *dx) {
    if (switches.wide) NAME(pool_backward_of)(pool, 1, 1, first, rows, dy, switches, dx);
    else if (fc_halving(pool)) NAME(halving_backward)(pool, 1, first, rows, dy, switches, dx);
    else NAME(pool_backward_of)(pool, 1, 0, first, rows, dy, switches, dx);
}

static void NAME(avg_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y) {
    const fc_switches none = {NULL, NULL};
    NAME(pool_by_size)(pool, 0, NO_SWITCHES, first, rows, x, y, none);
}

static void NAME(avg_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy,
                                    float *dx) {
    const fc_switches none = {NULL, NULL};
    if (fc_halving(pool)) NAME(halving_backward)(pool, 0, first, rows, dy, none, dx);
    else NAME(pool_backward_of)(pool, 0, 0, first, rows, dy, none, dx);
}
