/* check.c - whether an operation is one that the methods can run: for tables that come from a file.
 *
 * A table that fastconv.engine makes fits by construction, and methods rely on it. Along an axis of n pixels, m outputs,
 * k taps, stride s, dilation d and p pixels of padding before the first, the windows end at
 *
 *     e = (m - 1) s - p + (k - 1) d + 1        and see p + max(n, e) pixels, padding included
 *
 * Sizes are limited, so that no sum or product of a few of them wraps round, and so that a file of a few bytes cannot
 * ask for all memory.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "network.h"
#include "operands.h"

static const int64_t MOST_NUMBERS = 1 << 26; /* in a tensor of one image */
static const int64_t MOST_PADDING = 1 << 22; /* of them that a window sees besides 16 times the image */
static const int64_t MOST_PIXELS = 1 << 24;  /* along an axis, and of a window */

static const char *const names[FC_OP_KINDS] = {
    "conv", "depthwise", "conv_transposed", "dense", "max_pool", "avg_pool", "global_max_pool", "global_avg_pool",
    "batch_norm", "activation", "prelu", "softmax", "dropout", "elementwise", "scale", "concatenate", "pad",
    "upsample", "reshape"};

const char *fc_op_name(fc_op_kind kind) { return names[kind]; }

static int wrong(char *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(text, FC_ERROR_TEXT, format, values);
    va_end(values);
    return 0;
}

/* ---- sizes ---------------------------------------------------------------------------------------- */

int fc_is_size(fc_size s) {
    return 1 <= s.H && s.H <= MOST_PIXELS && 1 <= s.W && s.W <= MOST_PIXELS && 1 <= s.C && s.C <= MOST_NUMBERS &&
           fc_volume(s.H, s.W, s.C) <= MOST_NUMBERS;
}

static int same(fc_size a, fc_size b) { return a.H == b.H && a.W == b.W && a.C == b.C; }

static int within(int64_t n, int64_t least, int64_t most) { return least <= n && n <= most; }

static int is_window(const fc_op *op) {
    const int64_t most = MOST_PIXELS;
    return within(op->KH, 1, most) && within(op->KW, 1, most) && within(op->stride_h, 1, most) &&
           within(op->stride_w, 1, most) && within(op->dilation_h, 1, most) && within(op->dilation_w, 1, most) &&
           within(op->pad_top, -most, most) && within(op->pad_left, -most, most);
}

/* Pixels along an axis, with those in the padding that a window sees; FC_NO_SIZE where the windows do not fit. Those of a
 * convolution may see nothing but padding, each of a pool sees the image. */
static int64_t extent(const fc_op *op, int64_t n, int64_t m, int64_t taps, int64_t stride, int64_t dilation, int64_t pad) {
    const int64_t reach = (taps - 1) * dilation + 1, last = (m - 1) * stride - pad;
    const int pools = op->kind == FC_OP_MAX_POOL || op->kind == FC_OP_AVG_POOL;
    if (pad < 0 || (pools && (pad >= reach || last >= n))) return FC_NO_SIZE;
    return pad + fc_max(n, last + reach);
}

/* A window that slides over `in` and makes `out`. */
static int slides(const fc_op *op, fc_size in, fc_size out, char *text) {
    const int64_t rows = extent(op, in.H, out.H, op->KH, op->stride_h, op->dilation_h, op->pad_top);
    const int64_t columns = extent(op, in.W, out.W, op->KW, op->stride_w, op->dilation_w, op->pad_left);
    const int64_t most = MOST_PADDING + 16 * fc_max(fc_size_of(in), fc_size_of(out));
    if (fc_volume(rows, columns, fc_max(in.C, out.C)) <= most) return 1;
    return wrong(text, "its window does not slide over %lld x %lld pixels in %lld x %lld steps, or sees too many",
                 (long long)in.H, (long long)in.W, (long long)out.H, (long long)out.W);
}

/* ---- kinds ---------------------------------------------------------------------------------------- */

static int check_conv(const fc_op *op, char *text) {
    const int transposed = op->kind == FC_OP_CONV_TRANSPOSED;
    const int64_t C = op->x[0].C, K = op->y.C;
    if (!slides(op, transposed ? op->y : op->x[0], transposed ? op->x[0] : op->y, text)) return 0;
    if (op->groups < 1 || C % op->groups || K % op->groups || (transposed && op->groups != 1))
        return wrong(text, "its groups do not divide %lld and %lld channels", (long long)C, (long long)K);
    if (op->algorithm < FC_CONV2D_AUTO || op->algorithm > FC_CONV2D_WINOGRAD || (transposed && op->algorithm >= 0))
        return wrong(text, "there is no algorithm %d", op->algorithm);
    if (op->algorithm == FC_CONV2D_WINOGRAD &&
        (op->KH != 3 || op->KW != 3 || op->stride_h != 1 || op->stride_w != 1 || op->dilation_h != 1 ||
         op->dilation_w != 1 || op->groups != 1))
        return wrong(text, "Winograd's algorithm does not fit its window");
    return 1;
}

static int check_depthwise(const fc_op *op, char *text) {
    if (op->y.C % op->x[0].C) return wrong(text, "its outputs are no multiple of its channels");
    return slides(op, op->x[0], op->y, text);
}

static int check_pool(const fc_op *op, char *text) {
    if (op->dilation_h != 1 || op->dilation_w != 1 || op->x[0].C != op->y.C || op->KH * op->KW > 1 << 16)
        return wrong(text, "its window or its channels do not fit");
    return slides(op, op->x[0], op->y, text);
}

static int is_broadcast(int64_t a, int64_t b, int64_t y) {
    return y == fc_max(a, b) && (a == y || a == 1) && (b == y || b == 1);
}

/* The sizes of the output that follow from those of the inputs. */
static int sizes_agree(const fc_op *op) {
    const fc_size x = op->x[0], y = op->y;
    int64_t channels = 0;
    switch (op->kind) {
    case FC_OP_DENSE: return x.H == y.H && x.W == y.W;
    case FC_OP_GLOBAL_MAX_POOL: case FC_OP_GLOBAL_AVG_POOL: return same(y, (fc_size){1, 1, x.C});
    case FC_OP_ELEMENTWISE:
        return is_broadcast(x.H, op->x[1].H, y.H) && is_broadcast(x.W, op->x[1].W, y.W) &&
               is_broadcast(x.C, op->x[1].C, y.C);
    case FC_OP_CONCATENATE:
        for (int i = 0; i < op->inputs; i++) {
            if (op->x[i].H != y.H || op->x[i].W != y.W) return 0;
            channels += op->x[i].C;
        }
        return channels == y.C;
    case FC_OP_PAD:
        return x.C == y.C && within(op->pad_top, 1 - x.H, y.H - 1) && within(op->pad_left, 1 - x.W, y.W - 1);
    case FC_OP_UPSAMPLE: return same(y, (fc_size){op->KH * x.H, op->KW * x.W, x.C});
    case FC_OP_RESHAPE: return fc_size_of(x) == fc_size_of(y);
    default: return same(x, y);
    }
}

static int takes_inputs(const fc_op *op) {
    switch (op->kind) {
    case FC_OP_ELEMENTWISE: return op->inputs == 2;
    case FC_OP_CONCATENATE: return op->inputs >= 1;
    case FC_OP_BATCH_NORM: return op->inputs == 1 || (op->inputs == 2 && same(op->x[0], op->x[1]));
    default: return op->inputs == 1;
    }
}

static int check_activation(const fc_op *op, char *text) {
    const int ends = op->kind <= FC_OP_DENSE || op->kind == FC_OP_BATCH_NORM || op->kind == FC_OP_ELEMENTWISE;
    const int is_one = op->kind == FC_OP_ACTIVATION;
    if (op->activation != FC_LINEAR && !is_one && !(ends && fc_of_output(op->activation)))
        return wrong(text, "it cannot end in activation %d", (int)op->activation);
    return 1;
}

int fc_op_check(const fc_op *op, char text[FC_ERROR_TEXT]) {
    if (!takes_inputs(op)) return wrong(text, "it has %d inputs, or they are not of one size", op->inputs);
    for (int i = 0; i < op->inputs; i++)
        if (!fc_is_size(op->x[i])) return wrong(text, "its input %d is too large", i);
    if (!fc_is_size(op->y)) return wrong(text, "its output is too large");
    if (!is_window(op)) return wrong(text, "its window has impossible sizes");
    if (!check_activation(op, text)) return 0;
    switch (op->kind) {
    case FC_OP_CONV: case FC_OP_CONV_TRANSPOSED: return check_conv(op, text);
    case FC_OP_DEPTHWISE: return check_depthwise(op, text);
    case FC_OP_MAX_POOL: case FC_OP_AVG_POOL: return check_pool(op, text);
    default: return sizes_agree(op) ? 1 : wrong(text, "the sizes of its inputs and its output do not agree");
    }
}
