/* lanes_depthwise.c - depthwise convolutions of a bundle, one filter for each channel.
 *
 *     y[h, w, c] = phi(bias[c] + sum over kh, kw of x[h s + kh d - pad, w s + kw d - pad, c] kernel[kh, kw, c])
 *
 * with vectors of images for x and y. This is what depthwise_kernel.h computes, if a pixel of C vectors is taken for
 * one of C V channels, and a weight is repeated for each image. The way back is the same, phase by phase (lanes.h).
 */
#include "lanes.h"

enum { MOST_TAPS = 256 };

static int64_t taps_of(const fc_op *op) { return op->KH * op->KW; }

int fc_lanes_depthwise_takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels, (void)backward;
    return op->y.C == op->x[0].C && taps_of(op) <= MOST_TAPS;
}

int fc_lanes_depthwise_needs(const fc_op *op) {
    return (op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

fc_border fc_lanes_depthwise_border(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    const fc_axes axes = fc_axes_of(op);
    return fc_border_of(&axes);
}

fc_border fc_lanes_depthwise_border_back(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    const fc_axes axes = fc_axes_of(op);
    return fc_border_back_of(&axes);
}

/* ---- weights: repeated for each lane, bias first; for the way back in the order of phases ------- */

int64_t fc_lanes_depthwise_packed_size(const fc_kernels *kernels, const fc_op *op, int backward) {
    return (1 + taps_of(op) * (backward ? 2 : 1)) * op->y.C * kernels->lanes;
}

static void repeat(int64_t lanes, int64_t C, const float *from, float *to) {
    for (int64_t c = 0; c < C; c++)
        for (int64_t l = 0; l < lanes; l++) *to++ = from ? from[c] : 0;
}

void fc_lanes_depthwise_pack(const fc_work *work, int backward) {
    if (work->member > 0) return;
    const fc_op *op = work->op;
    const int64_t V = work->kernels->lanes, C = op->y.C;
    float *to = work->packed;
    repeat(V, C, op->weight[1], to);
    repeat(V, taps_of(op) * C, op->weight[0], to + C * V);
    to += (1 + taps_of(op)) * C * V;
    const fc_axes axes = fc_axes_of(op);
    for (int64_t r = 0; backward && r < fc_phases(&axes.rows); r++)
        for (int64_t q = 0; q < fc_phases(&axes.columns); q++) {
            const fc_axes back = fc_axes_back(&axes, r, q);
            for (int64_t t = 0; t < back.rows.taps; t++)
                for (int64_t u = 0; u < back.columns.taps; u++, to += C * V) {
                    const int64_t kh = back.rows.tap + t * back.rows.next;
                    const int64_t kw = back.columns.tap + u * back.columns.next;
                    repeat(V, C, op->weight[0] + (kh * op->KW + kw) * C, to);
                }
        }
}

/* ---- sums over taps ----------------------------------------------------------------------------- */

/* What depthwise_kernel.h is told. */
typedef struct {
    fc_depthwise_rows rows;
    const float *x; /* the first pixel that the first tap sees */
    int64_t offset[MOST_TAPS];
} windows;

static void find_windows(const fc_work *work, const fc_axes *axes, fc_view x, int64_t y_row, windows *s) {
    const fc_lane_axis *rows = &axes->rows, *columns = &axes->columns;
    const int64_t V = work->kernels->lanes, pixel = work->op->y.C * V;
    int64_t taps = 0;
    for (int64_t kh = 0; kh < rows->taps; kh++)
        for (int64_t kw = 0; kw < columns->taps; kw++)
            s->offset[taps++] = kh * rows->dilation * x.row * V + kw * columns->dilation * pixel;
    s->rows = (fc_depthwise_rows){.taps = taps, .offset = s->offset, .rows = rows->outputs,
                                  .length = columns->outputs * pixel, .x_row = rows->step * x.row * V,
                                  .y_row = rows->every * y_row * V, .period = pixel, .x_step = columns->step * pixel,
                                  .y_step = columns->every * pixel, .roomy = 1};
    s->x = x.at - rows->before * x.row * V - columns->before * pixel;
}

/* ---- forward and back --------------------------------------------------------------------------- */

/* A pixel of zeros, or the bias's sums, and then those of the kernel. */
int64_t fc_lanes_depthwise_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images;
    return backward ? (1 + (op->gradient[0] ? taps_of(op) : 0)) * op->y.C * kernels->lanes : 0;
}

fc_status fc_lanes_depthwise_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_axes axes = fc_axes_of(op);
    windows s;
    find_windows(work, &axes, work->x[0], work->y.row, &s);
    work->kernels->depthwise_rows(&s.rows, s.x, work->packed + s.rows.period, work->packed, work->y.at);
    for (int64_t h = 0; h < op->y.H && op->activation != FC_LINEAR; h++) {
        float *row = fc_row_of(work, work->y, h);
        work->kernels->activate(op->activation, op->alpha, fc_row_floats(work, op->y), row, row);
    }
    return FC_OK;
}

static void backward_weights(const fc_work *work, const fc_axes *axes) {
    const fc_op *op = work->op;
    float *sums = work->scratch + op->y.C * work->kernels->lanes;
    windows s;
    find_windows(work, axes, work->x[0], work->dy.row, &s);
    fc_clear(sums, s.rows.taps * s.rows.period);
    work->kernels->depthwise_gradient(&s.rows, s.x, work->dy.at, sums);
    work->kernels->sum_lanes(taps_of(op) * op->y.C, sums, work->sums);
}

static void backward_data(const fc_work *work, const fc_axes *axes) {
    const int64_t V = work->kernels->lanes, pixel = work->op->y.C * V;
    const float *weights = work->packed + (1 + taps_of(work->op)) * pixel;
    fc_clear(work->scratch, pixel);
    for (int64_t r = 0; r < fc_phases(&axes->rows); r++)
        for (int64_t q = 0; q < fc_phases(&axes->columns); q++) {
            const fc_axes back = fc_axes_back(axes, r, q);
            windows s;
            find_windows(work, &back, work->dy, work->dx[0].row, &s);
            work->kernels->depthwise_rows(&s.rows, s.x, weights, work->scratch,
                                          fc_row_of(work, work->dx[0], r) + q * pixel);
            weights += s.rows.taps * pixel;
        }
}

fc_status fc_lanes_depthwise_backward(const fc_work *work) {
    const fc_op *op = work->op;
    if (!op->gradient[0] && !op->gradient[1] && !work->dx[0].at) return FC_OK;
    const fc_axes axes = fc_axes_of(op);
    fc_backward_outputs(work, op->gradient[1] ? work->sums + (op->gradient[0] ? taps_of(op) * op->y.C : 0) : NULL);
    if (op->gradient[0]) backward_weights(work, &axes);
    if (work->dx[0].at) backward_data(work, &axes);
    return FC_OK;
}

int64_t fc_lanes_depthwise_sums_size(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return ((op->gradient[0] ? taps_of(op) : 0) + (op->gradient[1] ? 1 : 0)) * op->y.C;
}

void fc_lanes_depthwise_finish(const fc_kernels *kernels, const fc_op *op, const float *sums) {
    (void)kernels;
    const int64_t weights = taps_of(op) * op->y.C;
    if (op->gradient[0]) fc_copy(op->gradient[0], sums, weights), sums += weights;
    if (op->gradient[1]) fc_copy(op->gradient[1], sums, op->y.C);
}
