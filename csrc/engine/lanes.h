/* lanes.h - what the methods on bundles share: places in a tensor, and one axis of windows, forward and back.
 *
 * Along an axis output i, the pixel first + i every, sees through its taps t = 0, 1, ... the pixels of its source
 *
 *     i step + t dilation - before
 *
 * Forward that is what a convolution says, with step its stride and before its padding. Backward pixel p of dx asks
 * which outputs saw it, and through which taps: those where p + padding - tap dilation divides by the stride, which
 * depends on p mod stride alone, its phase. So pixels of one phase, a stride apart, are again outputs of such an axis,
 * with step 1 and the taps of their phase in reverse order. Forward is the case with one phase.
 *
 * Steps here count pixels; rows of an fc_view, and what is handed to the kernels of bundle_kernel.h, vectors.
 */
#ifndef FASTCONV_ENGINE_LANES_H
#define FASTCONV_ENGINE_LANES_H

#include <string.h>

#include "bundle_winograd.h"
#include "engine.h"
#include "matmul.h"
#include "memory.h"
#include "operands.h"

/* ---- places ------------------------------------------------------------------------------------- */

/* The first pixel of row h. */
static inline float *fc_row_of(const fc_work *work, fc_view view, int64_t h) {
    return view.at + h * view.row * work->kernels->lanes;
}

/* Floats of a row's pixels. */
static inline int64_t fc_row_floats(const fc_work *work, fc_size size) {
    return size.W * size.C * work->kernels->lanes;
}

static inline void fc_clear(float *to, int64_t n) { memset(to, 0, sizeof(float) * (size_t)n); }
static inline void fc_copy(float *to, const float *from, int64_t n) { memcpy(to, from, sizeof(float) * (size_t)n); }

static inline void fc_clear_rows(const fc_work *work, fc_view view, fc_size size) {
    for (int64_t h = 0; h < size.H; h++) fc_clear(fc_row_of(work, view, h), fc_row_floats(work, size));
}

/* ---- axes --------------------------------------------------------------------------------------- */

typedef struct {
    int64_t outputs, first, every;
    int64_t source;      /* pixels there are */
    int64_t step, taps, dilation, before;
    int64_t tap, next;   /* numbers of the first tap, and from one to the next: 1 or negative */
} fc_lane_axis;

typedef struct {
    int64_t begin, end;
} fc_interval;

/* Most steps are 1, and a division takes as long as a tile. */
static inline int64_t fc_floor_divided(int64_t a, int64_t b) { return b == 1 ? a : a / b - (a % b < 0); }
static inline int64_t fc_ceiling_divided(int64_t a, int64_t b) { return -fc_floor_divided(-a, b); }

/* Those i < count for which a number from i step + low to i step + high is in [0, n). */
static inline fc_interval fc_inside(int64_t count, int64_t step, int64_t low, int64_t high, int64_t n) {
    const int64_t begin = fc_min(count, fc_max(0, fc_ceiling_divided(-high, step)));
    return (fc_interval){begin, fc_max(begin, fc_min(count, fc_floor_divided(n - 1 - low, step) + 1))};
}

/* The taps that fall inside for one of the outputs from `begin` to end - 1, and the outputs for which one of the taps
 * from `begin` to end - 1 does. */
static inline fc_interval fc_taps_of(const fc_lane_axis *a, int64_t begin, int64_t end) {
    return fc_inside(a->taps, a->dilation, begin * a->step - a->before, (end - 1) * a->step - a->before, a->source);
}
static inline fc_interval fc_outputs_of(const fc_lane_axis *a, int64_t begin, int64_t end) {
    return fc_inside(a->outputs, a->step, begin * a->dilation - a->before, (end - 1) * a->dilation - a->before,
                     a->source);
}

/* Those outputs of which all taps are inside. */
static inline fc_interval fc_whole_outputs(const fc_lane_axis *a) {
    const int64_t past = a->source + a->before - (a->taps - 1) * a->dilation;
    const int64_t begin = fc_min(a->outputs, fc_max(0, fc_ceiling_divided(a->before, a->step)));
    return (fc_interval){begin, fc_max(begin, fc_min(a->outputs, fc_ceiling_divided(past, a->step)))};
}

/* Pixels past the end of the source that taps reach, as they do `before` its beginning. */
static inline int64_t fc_after(const fc_lane_axis *a) {
    if (a->outputs == 0 || a->taps == 0) return 0;
    return fc_max(0, (a->outputs - 1) * a->step + (a->taps - 1) * a->dilation - a->before - (a->source - 1));
}

static inline fc_lane_axis fc_axis_forward(int64_t source, int64_t outputs, int64_t taps, int64_t stride,
                                           int64_t dilation, int64_t before) {
    return (fc_lane_axis){.outputs = outputs, .every = 1, .source = source, .step = stride, .taps = taps,
                          .dilation = dilation, .before = before, .next = 1};
}

static inline int64_t fc_divisor(int64_t a, int64_t b) { return b == 0 ? a : fc_divisor(b, a % b); }

/* Phases that have pixels. */
static inline int64_t fc_phases(const fc_lane_axis *forward) { return fc_min(forward->step, forward->source); }

static inline fc_lane_axis fc_axis_back(const fc_lane_axis *forward, int64_t phase) {
    const int64_t stride = forward->step, common = fc_divisor(stride, forward->dilation);
    fc_lane_axis a = {.outputs = fc_pieces(forward->source - phase, stride), .first = phase, .every = stride,
                      .source = forward->outputs, .step = 1, .dilation = forward->dilation / common,
                      .next = -stride / common};
    for (int64_t tap = 0; tap < forward->taps; tap++)
        if ((phase + forward->before - tap * forward->dilation) % stride == 0) a.taps++, a.tap = tap;
    if (a.taps) a.before = (a.tap * forward->dilation - phase - forward->before) / stride;
    return a;
}

/* ---- the axes of an operation ------------------------------------------------------------------- */

typedef struct {
    fc_lane_axis rows, columns;
} fc_axes;

static inline fc_axes fc_axes_of(const fc_op *op) {
    const fc_size x = op->x[0], y = op->y;
    return (fc_axes){fc_axis_forward(x.H, y.H, op->KH, fc_stride_within(op->stride_h, y.H, x.H),
                                     op->dilation_h, op->pad_top),
                     fc_axis_forward(x.W, y.W, op->KW, fc_stride_within(op->stride_w, y.W, x.W),
                                     op->dilation_w, op->pad_left)};
}

static inline fc_axes fc_axes_back(const fc_axes *forward, int64_t row_phase, int64_t column_phase) {
    return (fc_axes){fc_axis_back(&forward->rows, row_phase), fc_axis_back(&forward->columns, column_phase)};
}

static inline fc_border fc_border_with(fc_border border, const fc_axes *axes) {
    return (fc_border){fc_max(border.top, axes->rows.before), fc_max(border.left, axes->columns.before),
                       fc_max(border.bottom, fc_after(&axes->rows)), fc_max(border.right, fc_after(&axes->columns))};
}

/* What the taps reach around x, and on the way back around dy. */
static inline fc_border fc_border_of(const fc_axes *axes) { return fc_border_with((fc_border){0}, axes); }
static inline fc_border fc_border_back_of(const fc_axes *axes) {
    fc_border border = {0};
    for (int64_t r = 0; r < fc_phases(&axes->rows); r++)
        for (int64_t c = 0; c < fc_phases(&axes->columns); c++) {
            const fc_axes back = fc_axes_back(axes, r, c);
            if (back.rows.taps && back.columns.taps) border = fc_border_with(border, &back);
        }
    return border;
}

/* Whether taps that are neighbours in a kernel's row see neighbouring vectors. */
static inline int fc_is_joined(const fc_lane_axis *columns, int64_t groups) { return groups == 1 && columns->dilation == 1; }

/* Pairs of an output and a tap along one axis of which the tap is inside. */
static inline int64_t fc_pairs_inside(const fc_lane_axis *axis) {
    int64_t pairs = 0;
    for (int64_t t = 0; t < axis->taps; t++) {
        const fc_interval outputs = fc_outputs_of(axis, t, t + 1);
        pairs += outputs.end - outputs.begin;
    }
    return pairs;
}

/* A convolution as bundle_winograd.c sees it; side 0: not one of those. It may pay forward and not back. */
static inline fc_winograd fc_lanes_winograd_of(const fc_op *op) {
    const fc_axes axes = fc_axes_of(op);
    const int plain = op->KH == op->KW && axes.rows.step == 1 && axes.columns.step == 1 && axes.rows.dilation == 1 &&
                      fc_is_joined(&axes.columns, op->groups) && 0 <= op->pad_top && op->pad_top < op->KH &&
                      0 <= op->pad_left && op->pad_left < op->KW;
    fc_winograd g = {.side = plain ? op->KH : 0, .H = op->x[0].H, .W = op->x[0].W, .C = op->x[0].C, .OH = op->y.H,
                     .OW = op->y.W, .K = op->y.C, .top = op->pad_top, .left = op->pad_left};
    if (plain) g.products = fc_pairs_inside(&axes.rows) * fc_pairs_inside(&axes.columns);
    return g;
}

/* ---- outputs ------------------------------------------------------------------------------------ */

/* dy times the slope of the activation, and its sums over pixels and lanes, for which work->scratch has room. */
static inline void fc_backward_outputs(const fc_work *work, float *bias_sums) {
    const fc_kernels *kernels = work->kernels;
    const fc_op *op = work->op;
    if (op->activation == FC_LINEAR && !bias_sums) return;
    const int64_t channels = op->y.C * kernels->lanes;
    if (bias_sums) fc_clear(work->scratch, channels);
    for (int64_t h = 0; h < op->y.H; h++) {
        float *row = fc_row_of(work, work->dy, h);
        if (op->activation != FC_LINEAR)
            kernels->activate_backward(op->activation, op->alpha, fc_row_floats(work, op->y), row,
                                       fc_row_of(work, work->y, h), row);
        if (bias_sums) kernels->add_rows(op->y.W, channels, row, work->scratch);
    }
    if (bias_sums) kernels->sum_lanes(op->y.C, work->scratch, bias_sums);
}

/* ---- methods ------------------------------------------------------------------------------------ */

/* The functions that a method may have; lanes.c tells which ones it has. */
#define FC_LANES_METHOD(name)                                                                                     \
    int fc_lanes_##name##_takes(const fc_kernels *kernels, const fc_op *op, int backward);                        \
    int fc_lanes_##name##_needs(const fc_op *op);                                                                 \
    fc_border fc_lanes_##name##_border(const fc_kernels *kernels, const fc_op *op);                               \
    fc_border fc_lanes_##name##_border_back(const fc_kernels *kernels, const fc_op *op);                          \
    int64_t fc_lanes_##name##_packed_size(const fc_kernels *kernels, const fc_op *op, int backward);              \
    void fc_lanes_##name##_pack(const fc_work *work, int backward);                                               \
    int64_t fc_lanes_##name##_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward); \
    fc_status fc_lanes_##name##_forward(const fc_work *work);                                                     \
    fc_status fc_lanes_##name##_backward(const fc_work *work);                                                    \
    int64_t fc_lanes_##name##_sums_size(const fc_kernels *kernels, const fc_op *op);                              \
    void fc_lanes_##name##_finish(const fc_kernels *kernels, const fc_op *op, const float *sums);                 \
    int64_t fc_lanes_##name##_partial_size(const fc_kernels *kernels, const fc_op *op);                           \
    fc_status fc_lanes_##name##_moments(const fc_work *work, float *partial);                                     \
    fc_status fc_lanes_##name##_gradient_moments(const fc_work *work, float *partial);

FC_LANES_METHOD(conv)
fc_conv2d_algorithm fc_lanes_conv_algorithm(const fc_op *op, int64_t N, fc_conv2d_pass pass);
FC_LANES_METHOD(depthwise)
FC_LANES_METHOD(pool)
FC_LANES_METHOD(norm)
FC_LANES_METHOD(activation)
FC_LANES_METHOD(prelu)
FC_LANES_METHOD(scale)
FC_LANES_METHOD(dropout)
FC_LANES_METHOD(elementwise)
FC_LANES_METHOD(concatenate)
FC_LANES_METHOD(pad)
FC_LANES_METHOD(upsample)
FC_LANES_METHOD(reshape)
#undef FC_LANES_METHOD

#endif
