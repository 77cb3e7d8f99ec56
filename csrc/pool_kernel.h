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
 * Windows of 2x2 side by side are what networks use. For these, `halving`, all bounds on taps are constants.
 */

#include "lanes.h"
#include "memory.h"

/* first <= i < end */
typedef struct {
    int64_t first, end;
} fc_range;

/* The taps that lie on the image, of a window that starts at pixel `start` (negative: in the padding). */
INLINE fc_range fc_taps_on_image(int64_t start, int64_t taps, int64_t pixels) {
    return (fc_range){fc_max(0, -start), fc_min(taps, pixels - start)};
}

/* The windows that see a pixel: window i sees i * stride ... i * stride + taps - 1. */
INLINE fc_range fc_windows_over(int64_t pixel, int64_t taps, int64_t stride, int64_t windows) {
    const int64_t first = pixel < taps ? 0 : (pixel - taps) / stride + 1;
    return (fc_range){first, fc_min(windows, pixel / stride + 1)};
}

INLINE int fc_halving(const fc_pool2d *pool) {
    return pool->KH == 2 && pool->KW == 2 && pool->stride_h == 2 && pool->stride_w == 2 && pool->pad_top == 0 &&
           pool->pad_left == 0 && 2 * pool->OH <= pool->H && 2 * pool->OW <= pool->W;
}

INLINE fc_pool2d fc_with_constants(const fc_pool2d *pool, const int halving) {
    fc_pool2d known = *pool;
    if (halving) {
        known.KH = known.KW = known.stride_h = known.stride_w = 2;
        known.pad_top = known.pad_left = 0;
    }
    return known;
}

/* ---- forward ------------------------------------------------------------------------------------ */

/* The taps of output (n, h, w) that lie on the image, and where: floats from the start of x to channel 0. */
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
    const int64_t origin = (n * pool->H + top) * pool->W + left;
    window.first = (origin + window.kh.first * pool->W + window.kw.first) * pool->C;
    window.last = (origin + (window.kh.end - 1) * pool->W + window.kw.end - 1) * pool->C;
    return window;
}

/* x is at the window's first tap. The first maximum wins, and the first NaN wins over any number. */
INLINE void NAME(max_window)(const fc_pool2d *pool, const fc_window *window, const int wide, const float *x, float *y,
                             fc_switches switches, int64_t at, int lanes) {
    vfloat best = vload_lanes(x, lanes);
    vint winner = vbroadcast_int((int32_t)(window->kh.first * pool->KW + window->kw.first));
    for (int64_t kh = window->kh.first; kh < window->kh.end; kh++, x += pool->W * pool->C) {
        const float *pixel = x;
        for (int64_t kw = window->kw.first; kw < window->kw.end; kw++, pixel += pool->C) {
            const vfloat value = vload_lanes(pixel, lanes);
            const vint beats = (value > best) | ((value != value) & (best == best));
            best = vselect(beats, value, best);
            winner = vselect_int(beats, vbroadcast_int((int32_t)(kh * pool->KW + kw)), winner);
        }
    }
    vstore_lanes(y + at, best, lanes);
    if (wide)
        vstore_int32(switches.wide + at, winner, lanes);
    else
        vstore_uint16(switches.narrow + at, winner, lanes);
}

/* Each row of the window is summed by itself, so that rounding errors grow with KH + KW, not KH * KW. */
INLINE void NAME(avg_window)(const fc_pool2d *pool, const fc_window *window, const float *x, float *y, int lanes) {
    const float count = (float)((window->kh.end - window->kh.first) * (window->kw.end - window->kw.first));
    vfloat sum = vbroadcast(0);
    for (int64_t kh = window->kh.first; kh < window->kh.end; kh++, x += pool->W * pool->C) {
        const float *pixel = x;
        vfloat row_sum = vbroadcast(0);
        for (int64_t kw = window->kw.first; kw < window->kw.end; kw++, pixel += pool->C)
            row_sum += vload_lanes(pixel, lanes);
        sum += row_sum;
    }
    vstore_lanes(y, sum / count, lanes);
}

INLINE void NAME(max_pool_of)(const fc_pool2d *any_pool, const int halving, const int wide, int64_t first,
                              int64_t rows, const float *x, float *y, fc_switches switches) {
    const fc_pool2d pool = fc_with_constants(any_pool, halving);
    const int64_t x_end = pool.N * pool.H * pool.W * pool.C, y_end = (first + rows) * pool.OW * pool.C;
    int64_t at = first * pool.OW * pool.C;
    for (int64_t nh = first; nh < first + rows; nh++)
        for (int64_t w = 0; w < pool.OW; w++) {
            const fc_window window = NAME(window_at)(&pool, halving, nh / pool.OH, nh % pool.OH, w);
            for (int64_t c = 0; c < pool.C; c += VLEN) {
                const int roomy = window.last + c + VLEN <= x_end && at + c + VLEN <= y_end;
                const int lanes = vlanes(c, pool.C);
                if (roomy)
                    NAME(max_window)(&pool, &window, wide, x + window.first + c, y, switches, at + c, VLEN);
                else
                    NAME(max_window)(&pool, &window, wide, x + window.first + c, y, switches, at + c, lanes);
            }
            at += pool.C;
        }
}

INLINE void NAME(avg_pool_of)(const fc_pool2d *any_pool, const int halving, int64_t first, int64_t rows,
                              const float *x, float *y) {
    const fc_pool2d pool = fc_with_constants(any_pool, halving);
    const int64_t x_end = pool.N * pool.H * pool.W * pool.C, y_end = (first + rows) * pool.OW * pool.C;
    int64_t at = first * pool.OW * pool.C;
    for (int64_t nh = first; nh < first + rows; nh++)
        for (int64_t w = 0; w < pool.OW; w++) {
            const fc_window window = NAME(window_at)(&pool, halving, nh / pool.OH, nh % pool.OH, w);
            for (int64_t c = 0; c < pool.C; c += VLEN) {
                const int roomy = window.last + c + VLEN <= x_end && at + c + VLEN <= y_end;
                const int lanes = vlanes(c, pool.C);
                if (roomy)
                    NAME(avg_window)(&pool, &window, x + window.first + c, y + at + c, VLEN);
                else
                    NAME(avg_window)(&pool, &window, x + window.first + c, y + at + c, lanes);
            }
            at += pool.C;
        }
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* The outputs (h, w) of image n whose windows see pixel (row, column), which is counted from the padding's
 * first: window h has it under tap kh = row - h * stride_h. */
typedef struct {
    fc_range h, w;
    int64_t row, column;
    int64_t first, last; /* floats from the start of dy to channel 0 of the first and the last of them */
} fc_seen_by;

INLINE fc_seen_by NAME(seen_by)(const fc_pool2d *pool, int64_t n, int64_t row, int64_t column) {
    fc_seen_by seen = {.row = row + pool->pad_top, .column = column + pool->pad_left};
    seen.h = fc_windows_over(seen.row, pool->KH, pool->stride_h, pool->OH);
    seen.w = fc_windows_over(seen.column, pool->KW, pool->stride_w, pool->OW);
    seen.first = ((n * pool->OH + seen.h.first) * pool->OW + seen.w.first) * pool->C;
    seen.last = ((n * pool->OH + seen.h.end - 1) * pool->OW + seen.w.end - 1) * pool->C;
    return seen;
}

/* dy and switches are at the first window, dx at the pixel. */
INLINE void NAME(max_pixel)(const fc_pool2d *pool, const fc_seen_by *seen, const int wide, const float *dy,
                            fc_switches switches, int64_t from, float *dx, int lanes) {
    vfloat sum = vbroadcast(0);
    for (int64_t h = seen->h.first; h < seen->h.end; h++, from += pool->OW * pool->C)
        for (int64_t w = seen->w.first; w < seen->w.end; w++) {
            const int64_t tap = (seen->row - h * pool->stride_h) * pool->KW + seen->column - w * pool->stride_w;
            const int64_t output = from + (w - seen->w.first) * pool->C;
            const vint winner = wide ? vload_int32(switches.wide + output, lanes)
                                     : vload_uint16(switches.narrow + output, lanes);
            sum += vselect(winner == (int32_t)tap, vload_lanes(dy + output, lanes), vbroadcast(0));
        }
    vstore_lanes(dx, sum, lanes);
}

INLINE void NAME(avg_pixel)(const fc_pool2d *pool, const fc_seen_by *seen, const float *dy, float *dx, int lanes) {
    vfloat sum = vbroadcast(0);
    for (int64_t h = seen->h.first; h < seen->h.end; h++, dy += pool->OW * pool->C) {
        const fc_range kh = fc_taps_on_image(h * pool->stride_h - pool->pad_top, pool->KH, pool->H);
        for (int64_t w = seen->w.first; w < seen->w.end; w++) {
            const fc_range kw = fc_taps_on_image(w * pool->stride_w - pool->pad_left, pool->KW, pool->W);
            const float count = (float)((kh.end - kh.first) * (kw.end - kw.first));
            sum += vload_lanes(dy + (w - seen->w.first) * pool->C, lanes) * (1.0f / count);
        }
    }
    vstore_lanes(dx, sum, lanes);
}

INLINE void NAME(max_pool_backward_of)(const fc_pool2d *any_pool, const int halving, const int wide, int64_t first,
                                       int64_t rows, const float *dy, fc_switches switches, float *dx) {
    const fc_pool2d pool = fc_with_constants(any_pool, halving);
    const int64_t dy_end = pool.N * pool.OH * pool.OW * pool.C, dx_end = (first + rows) * pool.W * pool.C;
    int64_t at = first * pool.W * pool.C;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t column = 0; column < pool.W; column++) {
            const fc_seen_by seen = NAME(seen_by)(&pool, row / pool.H, row % pool.H, column);
            for (int64_t c = 0; c < pool.C; c += VLEN) {
                const int roomy = seen.last + c + VLEN <= dy_end && at + c + VLEN <= dx_end;
                const int lanes = vlanes(c, pool.C);
                if (roomy)
                    NAME(max_pixel)(&pool, &seen, wide, dy, switches, seen.first + c, dx + at + c, VLEN);
                else
                    NAME(max_pixel)(&pool, &seen, wide, dy, switches, seen.first + c, dx + at + c, lanes);
            }
            at += pool.C;
        }
}

INLINE void NAME(avg_pool_backward_of)(const fc_pool2d *any_pool, const int halving, int64_t first, int64_t rows,
                                       const float *dy, float *dx) {
    const fc_pool2d pool = fc_with_constants(any_pool, halving);
    const int64_t dy_end = pool.N * pool.OH * pool.OW * pool.C, dx_end = (first + rows) * pool.W * pool.C;
    int64_t at = first * pool.W * pool.C;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t column = 0; column < pool.W; column++) {
            const fc_seen_by seen = NAME(seen_by)(&pool, row / pool.H, row % pool.H, column);
            for (int64_t c = 0; c < pool.C; c += VLEN) {
                const int roomy = seen.last + c + VLEN <= dy_end && at + c + VLEN <= dx_end;
                const int lanes = vlanes(c, pool.C);
                if (roomy)
                    NAME(avg_pixel)(&pool, &seen, dy + seen.first + c, dx + at + c, VLEN);
                else
                    NAME(avg_pixel)(&pool, &seen, dy + seen.first + c, dx + at + c, lanes);
            }
            at += pool.C;
        }
}

/* ---- with constants, or without ------------------------------------------------------------------ */

static void NAME(max_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y,
                           fc_switches switches) {
    if (switches.wide) NAME(max_pool_of)(pool, 0, 1, first, rows, x, y, switches);
    else if (fc_halving(pool)) NAME(max_pool_of)(pool, 1, 0, first, rows, x, y, switches);
    else NAME(max_pool_of)(pool, 0, 0, first, rows, x, y, switches);
}

static void NAME(max_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy,
                                    fc_switches switches, float *dx) {
    if (switches.wide) NAME(max_pool_backward_of)(pool, 0, 1, first, rows, dy, switches, dx);
    else if (fc_halving(pool)) NAME(max_pool_backward_of)(pool, 1, 0, first, rows, dy, switches, dx);
    else NAME(max_pool_backward_of)(pool, 0, 0, first, rows, dy, switches, dx);
}

static void NAME(avg_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y) {
    if (fc_halving(pool)) NAME(avg_pool_of)(pool, 1, first, rows, x, y);
    else NAME(avg_pool_of)(pool, 0, first, rows, x, y);
}

static void NAME(avg_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy,
                                    float *dx) {
    if (fc_halving(pool)) NAME(avg_pool_backward_of)(pool, 1, first, rows, dy, dx);
    else NAME(avg_pool_backward_of)(pool, 0, first, rows, dy, dx);
}
