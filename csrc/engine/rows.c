/* rows.c - what is done row by row, in pixels: see rows.h.
 *
 *     activation    y = phi(x)                             dx = dy phi'(x)
 *     softmax       y = e^x / sum of e^x along C           dx = y (dy - sum of dy y)
 *     scale         y = scale x + shift                    dx = scale dy
 *     dropout       y = scale x + shift, or fill           dx = scale dy, or 0 (dropout.c); at rest as reshape
 *     pools         y = max or mean over a window          dx = the sum over the windows that saw it (pool_kernel.h)
 *     concatenate   y = x_0, x_1, ... of each pixel        dx_i = its channels of dy
 *     pad           y = x with zeros around it             dx = dy without them; and the other way round
 *     upsample      y[h, w] = x[h / KH, w / KW]            dx = the sum of dy over the KH x KW copies
 *     reshape       y = x                                  dx = dy
 */
#include "rows.h"

#include <string.h>

#include "dropout.h"
#include "matmul.h"
#include "memory.h"
#include "operands.h"

enum { PIECE = 1 << 10 }; /* floats in a row of what has no rows of its own: a multiple of every vector */

static void copy(float *to, const float *from, int64_t n) { memcpy(to, from, sizeof(float) * (size_t)n); }

static int64_t row_of(fc_size s) { return s.W * s.C; }

static int64_t pieces_of(const fc_work *work) { return fc_pieces(work->images * fc_size_of(work->op->y), PIECE); }

static int64_t pixels_of(const fc_work *work) { return work->images * work->op->y.H * work->op->y.W; }

static int64_t rows_out(const fc_work *work) { return work->images * work->op->y.H; }

static int64_t rows_in(const fc_work *work) { return work->images * work->op->x[0].H; }

/* The floats of rows [first, end) of PIECE floats. */
static int64_t floats_of(const fc_work *work, int64_t first, int64_t end) {
    return fc_min(end * PIECE, work->images * fc_size_of(work->op->y)) - first * PIECE;
}

/* ---- number by number ---------------------------------------------------------------------------- */

static void activate(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    work->kernels->activate(op->activation, op->alpha, floats_of(work, first, end), work->x[0].at + first * PIECE,
                            work->y.at + first * PIECE);
}

static void activate_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    const float *kept = fc_of_output(op->activation) ? work->y.at : work->x[0].at;
    if (!work->dx[0].at) return;
    if (op->activation == FC_LINEAR) copy(work->dx[0].at + first * PIECE, work->dy.at + first * PIECE,
                                          floats_of(work, first, end));
    else work->kernels->activate_backward(op->activation, op->alpha, floats_of(work, first, end),
                                          work->dy.at + first * PIECE, kept + first * PIECE,
                                          work->dx[0].at + first * PIECE);
}

static void scale_floats(const fc_work *work, float shift, int64_t first, int64_t end, const float *x, float *y) {
    work->kernels->scale_shift(floats_of(work, first, end), work->op->scale, shift, x + first * PIECE,
                               y + first * PIECE);
}

static void scale(const fc_work *work, int64_t first, int64_t end) {
    scale_floats(work, work->op->shift, first, end, work->x[0].at, work->y.at);
}

static void scale_back(const fc_work *work, int64_t first, int64_t end) {
    if (work->dx[0].at) scale_floats(work, 0, first, end, work->dy.at, work->dx[0].at);
}

static void reshape(const fc_work *work, int64_t first, int64_t end) {
    copy(work->y.at + first * PIECE, work->x[0].at + first * PIECE, floats_of(work, first, end));
}

static void reshape_back(const fc_work *work, int64_t first, int64_t end) {
    if (work->dx[0].at)
        copy(work->dx[0].at + first * PIECE, work->dy.at + first * PIECE, floats_of(work, first, end));
}

/* ---- pieces of an image --------------------------------------------------------------------------- */

static fc_dropout dropout_of(const fc_work *work, float shift, float fill) {
    const fc_op *op = work->op;
    const int64_t pixels = op->y.H * op->y.W;
    return (fc_dropout){.images = work->images, .pixels = op->spatial ? pixels : 1,
                        .places = op->spatial ? op->y.C : pixels * op->y.C, .first_image = work->number,
                        .stream = *op->random, .threshold = op->threshold, .scale = op->scale, .shift = shift,
                        .fill = fill};
}

static int64_t dropout_pieces(const fc_work *work) {
    if (!work->op->training) return pieces_of(work);
    const fc_dropout d = dropout_of(work, 0, 0);
    return fc_dropout_pieces(&d);
}

static void dropout(const fc_work *work, int64_t first, int64_t end) {
    if (!work->op->training) {
        reshape(work, first, end);
        return;
    }
    const fc_dropout d = dropout_of(work, work->op->shift, work->op->fill);
    fc_dropout_run(work->kernels, &d, first, end, work->x[0].at, work->y.at);
}

static void dropout_back(const fc_work *work, int64_t first, int64_t end) {
    if (!work->op->training) {
        reshape_back(work, first, end);
        return;
    }
    const fc_dropout d = dropout_of(work, 0, 0);
    if (work->dx[0].at) fc_dropout_run(work->kernels, &d, first, end, work->dy.at, work->dx[0].at);
}

/* ---- pixel by pixel ------------------------------------------------------------------------------- */

static void softmax(const fc_work *work, int64_t first, int64_t end) {
    const int64_t C = work->op->y.C;
    work->kernels->softmax(end - first, C, work->x[0].at + first * C, work->y.at + first * C);
}

static void softmax_back(const fc_work *work, int64_t first, int64_t end) {
    const int64_t C = work->op->y.C, at = first * C;
    if (work->dx[0].at)
        work->kernels->softmax_backward(end - first, C, work->dy.at + at, work->y.at + at, work->dx[0].at + at);
}

static void concatenate(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    int64_t channel = 0;
    for (int i = 0; i < op->inputs; channel += op->x[i++].C)
        for (int64_t p = first; p < end; p++)
            copy(work->y.at + p * op->y.C + channel, work->x[i].at + p * op->x[i].C, op->x[i].C);
}

static void concatenate_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    int64_t channel = 0;
    for (int i = 0; i < op->inputs; channel += op->x[i++].C)
        for (int64_t p = first; work->dx[i].at && p < end; p++)
            copy(work->dx[i].at + p * op->x[i].C, work->dy.at + p * op->y.C + channel, op->x[i].C);
}

/* ---- rows of an image ----------------------------------------------------------------------------- */

/* Rows [first, end) of images of size `to`, of which pixel (0, 0) is (-top, -left) of images of size `from`. */
static void frame(const float *x, fc_size from, int64_t top, int64_t left, float *y, fc_size to, int64_t first,
                  int64_t end) {
    const int64_t C = to.C, before = fc_min(to.W, fc_max(0, left)), skipped = fc_max(0, -left);
    const int64_t inside = fc_max(0, fc_min(to.W - before, from.W - skipped)), after = to.W - before - inside;
    for (int64_t r = first; r < end; r++) {
        const int64_t n = r / to.H, h = r % to.H - top;
        float *row = y + r * row_of(to);
        if (h < 0 || h >= from.H) {
            memset(row, 0, sizeof(float) * (size_t)row_of(to));
            continue;
        }
        memset(row, 0, sizeof(float) * (size_t)(before * C));
        copy(row + before * C, x + ((n * from.H + h) * from.W + skipped) * C, inside * C);
        memset(row + (before + inside) * C, 0, sizeof(float) * (size_t)(after * C));
    }
}

static void pad(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    frame(work->x[0].at, op->x[0], op->pad_top, op->pad_left, work->y.at, op->y, first, end);
}

static void pad_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    if (work->dx[0].at)
        frame(work->dy.at, op->y, -op->pad_top, -op->pad_left, work->dx[0].at, op->x[0], first, end);
}

static void upsample(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    const fc_size x = op->x[0], y = op->y;
    for (int64_t r = first; r < end; r++) {
        const int64_t n = r / y.H, h = r % y.H;
        const float *from = work->x[0].at + (n * x.H + h / op->KH) * row_of(x);
        float *to = work->y.at + r * row_of(y);
        if (r > first && h % op->KH) {
            copy(to, to - row_of(y), row_of(y));
            continue;
        }
        for (int64_t w = 0; w < x.W; w++, from += x.C)
            for (int64_t i = 0; i < op->KW; i++, to += x.C) copy(to, from, x.C);
    }
}

static void upsample_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_op *op = work->op;
    const fc_size x = op->x[0], y = op->y;
    if (!work->dx[0].at) return;
    for (int64_t r = first; r < end; r++) {
        float *to = work->dx[0].at + r * row_of(x);
        memset(to, 0, sizeof(float) * (size_t)row_of(x));
        for (int64_t i = 0; i < op->KH; i++) {
            const float *from = work->dy.at + (r / x.H * y.H + r % x.H * op->KH + i) * row_of(y);
            for (int64_t w = 0; w < x.W; w++)
                work->kernels->add_rows(op->KW, x.C, from + w * op->KW * x.C, to + w * x.C);
        }
    }
}

/* ---- pools ---------------------------------------------------------------------------------------- */

/* Switches of the images at work: in 16 bits, those of global pools in 32; none in inference. */
static fc_switches switches_of(const fc_work *work) {
    if (!work->goes_back) return (fc_switches){0};
    const int64_t at = work->first * fc_size_of(work->op->y);
    if (work->op->kind == FC_OP_GLOBAL_MAX_POOL) return (fc_switches){.wide = (int32_t *)work->saved + at};
    return (fc_switches){.narrow = (uint16_t *)work->saved + at};
}

int64_t fc_rows_saved_size(const fc_kernels *kernels, const fc_op *op, int64_t N) {
    (void)kernels;
    const int64_t count = fc_times(N, fc_size_of(op->y));
    return op->kind == FC_OP_MAX_POOL ? fc_plus(count, 1) / 2 : op->kind == FC_OP_GLOBAL_MAX_POOL ? count : 0;
}

static void max_pool(const fc_work *work, int64_t first, int64_t end) {
    const fc_pool2d pool = fc_pool_of(work->op, work->images);
    work->kernels->max_pool(&pool, first, end - first, work->x[0].at, work->y.at, switches_of(work));
}

static void max_pool_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_pool2d pool = fc_pool_of(work->op, work->images);
    if (work->dx[0].at)
        work->kernels->max_pool_backward(&pool, first, end - first, work->dy.at, switches_of(work), work->dx[0].at);
}

static void avg_pool(const fc_work *work, int64_t first, int64_t end) {
    const fc_pool2d pool = fc_pool_of(work->op, work->images);
    work->kernels->avg_pool(&pool, first, end - first, work->x[0].at, work->y.at);
}

static void avg_pool_back(const fc_work *work, int64_t first, int64_t end) {
    const fc_pool2d pool = fc_pool_of(work->op, work->images);
    if (work->dx[0].at)
        work->kernels->avg_pool_backward(&pool, first, end - first, work->dy.at, work->dx[0].at);
}

static int64_t images_of(const fc_work *work) { return work->images; }

/* ---- the table ------------------------------------------------------------------------------------ */

int fc_rows_needs(const fc_op *op) {
    switch (op->kind) {
    case FC_OP_ACTIVATION:
        return op->activation == FC_LINEAR ? 0 : fc_of_output(op->activation) ? FC_NEEDS_Y : FC_NEEDS_X;
    case FC_OP_SOFTMAX: return FC_NEEDS_Y;
    default: return 0;
    }
}

/* A tap of a window is numbered in 16 bits, a pixel of an image in 32. */
int fc_rows_take_pool(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels, (void)backward;
    if (op->kind == FC_OP_GLOBAL_MAX_POOL) return op->x[0].H * op->x[0].W <= INT64_C(1) << 31;
    return op->kind != FC_OP_MAX_POOL || op->KH * op->KW <= 1 << 16;
}

const fc_row_operation fc_row_operations[FC_OP_KINDS] = {
    [FC_OP_ACTIVATION] = {{pieces_of, activate}, {pieces_of, activate_back}},
    [FC_OP_SOFTMAX] = {{pixels_of, softmax}, {pixels_of, softmax_back}},
    [FC_OP_SCALE] = {{pieces_of, scale}, {pieces_of, scale_back}},
    [FC_OP_DROPOUT] = {{dropout_pieces, dropout}, {dropout_pieces, dropout_back}},
    [FC_OP_MAX_POOL] = {{rows_out, max_pool}, {rows_in, max_pool_back}},
    [FC_OP_AVG_POOL] = {{rows_out, avg_pool}, {rows_in, avg_pool_back}},
    [FC_OP_GLOBAL_MAX_POOL] = {{images_of, max_pool}, {images_of, max_pool_back}},
    [FC_OP_GLOBAL_AVG_POOL] = {{images_of, avg_pool}, {rows_in, avg_pool_back}},
    [FC_OP_CONCATENATE] = {{pixels_of, concatenate}, {pixels_of, concatenate_back}},
    [FC_OP_PAD] = {{rows_out, pad}, {rows_in, pad_back}},
    [FC_OP_UPSAMPLE] = {{rows_out, upsample}, {rows_in, upsample_back}},
    [FC_OP_RESHAPE] = {{pieces_of, reshape}, {pieces_of, reshape_back}},
};
