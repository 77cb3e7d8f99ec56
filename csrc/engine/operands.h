/* operands.h - an operation of the table as the drivers and kernels are told of it. */
#ifndef FASTCONV_ENGINE_OPERANDS_H
#define FASTCONV_ENGINE_OPERANDS_H

#include "engine.h"
#include "memory.h"

/* A stride that leads to a second output, or else none longer than the image: work grows with strides. */
static inline int64_t fc_stride_within(int64_t stride, int64_t outputs, int64_t pixels) {
    return fc_max(1, outputs <= 1 ? fc_min(stride, pixels) : stride);
}

/* Of convolutions, depthwise ones, and transposed ones: of those the convolution from y to x. */
static inline fc_conv2d fc_conv_of(const fc_op *op, int64_t N) {
    const int transposed = op->kind == FC_OP_CONV_TRANSPOSED;
    const fc_size in = transposed ? op->y : op->x[0], out = transposed ? op->x[0] : op->y;
    return (fc_conv2d){.N = N, .H = in.H, .W = in.W, .C_in = in.C, .KH = op->KH, .KW = op->KW, .C_out = out.C,
                       .OH = out.H, .OW = out.W, .stride_h = fc_stride_within(op->stride_h, out.H, in.H),
                       .stride_w = fc_stride_within(op->stride_w, out.W, in.W),
                       .dilation_h = op->dilation_h, .dilation_w = op->dilation_w,
                       .pad_top = op->pad_top, .pad_left = op->pad_left, .groups = op->groups};
}

/* A global pool's window is the image: for the maximum a single row of pixels, so that a tap is a pixel's number. */
static inline fc_pool2d fc_pool_of(const fc_op *op, int64_t N) {
    const fc_size x = op->x[0], y = op->y;
    fc_pool2d pool = {.N = N, .H = x.H, .W = x.W, .C = x.C, .KH = op->KH, .KW = op->KW, .OH = y.H, .OW = y.W,
                      .stride_h = fc_stride_within(op->stride_h, y.H, x.H),
                      .stride_w = fc_stride_within(op->stride_w, y.W, x.W),
                      .pad_top = op->pad_top, .pad_left = op->pad_left};
    if (op->kind == FC_OP_GLOBAL_MAX_POOL) pool.H = 1, pool.W = x.H * x.W;
    if (op->kind == FC_OP_GLOBAL_MAX_POOL || op->kind == FC_OP_GLOBAL_AVG_POOL) {
        pool.KH = pool.H, pool.KW = pool.W;
        pool.OH = pool.OW = pool.stride_h = pool.stride_w = 1;
        pool.pad_top = pool.pad_left = 0;
    }
    return pool;
}

/* Whether the activation's derivative is made of its output. */
static inline int fc_of_output(fc_activation kind) { return kind < FC_FIRST_OF_INPUT; }

/* Whether dx is made number by number, so that dy's place may be written over with it. */
static inline int fc_overwrites(const fc_op *op) {
    return op->kind == FC_OP_ACTIVATION || op->kind == FC_OP_SCALE || op->kind == FC_OP_BATCH_NORM;
}

/* ---- two operands -------------------------------------------------------------------------------- */

/* Axes N, H, W, C joined where both operands step alike. `images`: those that had to be left out, as there were more
 * than three; a_image and b_image floats from one of them to the next. Otherwise 1. */
typedef struct {
    fc_broadcast shape;
    int64_t images, a_image, b_image;
} fc_operands;

static inline fc_operands fc_operands_of(const fc_op *op, int64_t N) {
    const fc_size a = op->x[0], b = op->x[1], y = op->y;
    const int64_t size[4] = {N, y.H, y.W, y.C};
    const int64_t of_a[4] = {N, a.H, a.W, a.C}, of_b[4] = {N, b.H, b.W, b.C};
    int64_t joined[4];
    int a_whole[4], b_whole[4], axes = 0;
    for (int i = 0; i < 4; i++) {
        const int in_a = of_a[i] == size[i], in_b = of_b[i] == size[i];
        if (size[i] == 1) continue;
        if (axes && a_whole[axes - 1] == in_a && b_whole[axes - 1] == in_b) {
            joined[axes - 1] *= size[i];
        } else {
            joined[axes] = size[i];
            a_whole[axes] = in_a, b_whole[axes++] = in_b;
        }
    }
    fc_operands o = {.shape = {.kind = op->elementwise, .outer = 1, .rows = 1, .width = 1, .a = {1, 1, 1},
                               .b = {1, 1, 1}, .activation = op->activation, .alpha = op->alpha}, .images = 1};
    int first = 0;
    if (axes == 4) { /* the first is the images': they are no repetition of each other */
        o.images = N;
        o.a_image = fc_size_of(a), o.b_image = fc_size_of(b);
        first = 1;
    }
    int64_t *const of_shape[3] = {&o.shape.outer, &o.shape.rows, &o.shape.width};
    int64_t a_step = 1, b_step = 1;
    for (int i = axes - 1, place = 2; place >= 0; i--, place--) {
        if (i < first) {
            o.shape.a[place] = a_step, o.shape.b[place] = b_step;
            continue;
        }
        *of_shape[place] = joined[i];
        o.shape.a[place] = a_whole[i] ? a_step : 0, o.shape.b[place] = b_whole[i] ? b_step : 0;
        if (a_whole[i]) a_step *= joined[i];
        if (b_whole[i]) b_step *= joined[i];
    }
    return o;
}

/* Whether the gradients are made of the operands. */
static inline int fc_needs_operands(fc_elementwise kind) {
    return kind != FC_ADD && kind != FC_SUBTRACT && kind != FC_AVERAGE;
}

/* What the way back through two operands reads. */
static inline int fc_elementwise_needs(const fc_op *op) {
    return (fc_needs_operands(op->elementwise) ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

#endif
