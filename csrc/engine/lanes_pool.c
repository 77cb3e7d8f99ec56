/* lanes_pool.c - pooling of a bundle.
 *
 *     y[h, w, c] = the maximum, or the mean, of those x[h s + kh - pad, w s + kw - pad, c] that are inside the image
 *
 * over the window's taps kh, kw; a global pool's window is the image. The maximum's gradient goes to its first pixel in
 * the order of taps, the mean's in equal parts to all. Windows that are cut by an edge are done one by one, those in
 * between in one call for a row of them.
 */
#include "lanes.h"

static int is_max(const fc_op *op) { return op->kind == FC_OP_MAX_POOL || op->kind == FC_OP_GLOBAL_MAX_POOL; }

static fc_axes windows_of(const fc_op *op) {
    const fc_size x = op->x[0];
    if (op->kind == FC_OP_GLOBAL_MAX_POOL || op->kind == FC_OP_GLOBAL_AVG_POOL)
        return (fc_axes){fc_axis_forward(x.H, 1, x.H, x.H, 1, 0), fc_axis_forward(x.W, 1, x.W, x.W, 1, 0)};
    return fc_axes_of(op);
}

int fc_lanes_pool_needs(const fc_op *op) { return is_max(op) ? FC_NEEDS_X | FC_NEEDS_Y : 0; }

/* Windows from w to end - 1 of row h, whose taps kh and kw are inside. */
static void pool_windows(const fc_work *work, const fc_axes *axes, int adds, int backward, int64_t h, int64_t w,
                         int64_t end, fc_interval kh, fc_interval kw) {
    const fc_kernels *kernels = work->kernels;
    const fc_op *op = work->op;
    const int64_t V = kernels->lanes, C = op->y.C;
    const int64_t row = h * axes->rows.step - axes->rows.before + kh.begin;
    const int64_t column = w * axes->columns.step - axes->columns.before + kw.begin;
    const fc_bundle_pool pool = {.pixels = end - w, .C = C, .size_h = kh.end - kh.begin, .size_w = kw.end - kw.begin,
                                 .x_step = axes->columns.step * C, .x_row = work->x[0].row,
                                 .dx_row = work->dx[0].row, .adds = adds};
    const float *x = work->x[0].at ? fc_row_of(work, work->x[0], row) + column * C * V : NULL;
    float *y = work->y.at ? fc_row_of(work, work->y, h) + w * C * V : NULL;
    if (!backward) {
        (is_max(op) ? kernels->bundle_max_pool : kernels->bundle_avg_pool)(&pool, x, y);
        return;
    }
    const float *dy = fc_row_of(work, work->dy, h) + w * C * V;
    float *dx = fc_row_of(work, work->dx[0], row) + column * C * V;
    if (is_max(op)) kernels->bundle_max_pool_backward(&pool, x, y, dy, dx);
    else kernels->bundle_avg_pool_backward(&pool, dy, dx);
}

static void pool_rows(const fc_work *work, const fc_axes *axes, int adds, int backward) {
    const fc_lane_axis *columns = &axes->columns;
    const fc_interval whole = fc_whole_outputs(columns);
    for (int64_t h = 0; h < axes->rows.outputs; h++) {
        const fc_interval kh = fc_taps_of(&axes->rows, h, h + 1);
        for (int64_t w = 0, end; w < columns->outputs; w = end) {
            end = w == whole.begin && w < whole.end ? whole.end : w + 1;
            pool_windows(work, axes, adds, backward, h, w, end, kh, fc_taps_of(columns, w, end));
        }
    }
}

fc_status fc_lanes_pool_forward(const fc_work *work) {
    const fc_axes axes = windows_of(work->op);
    pool_rows(work, &axes, 0, 0);
    return FC_OK;
}

/* Whether every pixel is in a window and in no other, but for those past the end of the last one. */
static int is_cut(const fc_lane_axis *axis) { return axis->step == axis->taps && axis->before == 0; }

fc_status fc_lanes_pool_backward(const fc_work *work) {
    if (!work->dx[0].at) return FC_OK;
    const fc_op *op = work->op;
    const fc_axes axes = windows_of(op);
    const int adds = !is_cut(&axes.rows) || !is_cut(&axes.columns);
    const int64_t pixel = op->x[0].C * work->kernels->lanes;
    const int64_t H = adds ? 0 : fc_min(op->x[0].H, axes.rows.outputs * axes.rows.taps);
    const int64_t W = adds ? 0 : fc_min(op->x[0].W, axes.columns.outputs * axes.columns.taps);
    for (int64_t h = 0; h < op->x[0].H; h++) {
        const int64_t seen = h < H ? W : 0;
        if (seen < op->x[0].W)
            fc_clear(fc_row_of(work, work->dx[0], h) + seen * pixel, (op->x[0].W - seen) * pixel);
    }
    pool_rows(work, &axes, adds, 1);
    return FC_OK;
}
