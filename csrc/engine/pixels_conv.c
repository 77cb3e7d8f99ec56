/* pixels_conv.c - convolutions of a few images: rows of pixels, channels in the lanes.
 *
 *     y[h, w, k]  = bias[k] + sum over kh, kw, c of x[h*s + kh - top, w*s + kw - left, c] kernel[kh, kw, c, k]
 *     dx[h, w, c] = sum over kh, kw, k of dy[(h + top - kh)/s, (w + left - kw)/s, k] kernel[kh, kw, c, k]
 *     dkernel[kh, kw, c, k] = sum over h, w of x[h*s + kh - top, w*s + kw - left, c] dy[h, w, k]
 *
 * A row of outputs is KH products of runs of KW C floats with the kernel's rows (tile_kernel.h). Where a row of x is
 * padded it is copied to one whose border is zero for good; rows of padding are left out of the sums.
 *
 * dx takes those taps for which h + top - kh divides by the stride: kh = t, t + s, t + 2 s, ..., t the remainder of
 * h + top, its phase. So the kernel for the way back is one after another the kernels [taps][taps][K][C] of the phases,
 * their taps in reverse order, and a row of dx is made phase by phase of its columns. (conv2d_direct.c tells it at
 * length.) With stride 1 there is one phase.
 */
#include <string.h>

#include "pixels.h"

enum { MOST_ROWS = 32 }; /* of a kernel */

/* Rows of x and of dy with their borders, and where the copies are, in floats from the start of `saved`. */
typedef struct {
    int64_t x_left, x_width;   /* columns of zeros before x; columns in all */
    int64_t dy_left, dy_width;
    int x_copied, dy_copied;
    int64_t dy_at;
} borders;

static borders borders_of(const fc_conv2d *c) {
    const int64_t seen = (c->OW - 1) * c->stride_w + c->KW; /* by all taps of a row of outputs */
    const int64_t last = (c->W - 1 + c->pad_left) / c->stride_w; /* column of dy that a column of x meets */
    borders b = {.x_width = c->W, .dy_width = c->OW};
    b.x_copied = c->pad_left > 0 || seen > c->W;
    if (b.x_copied) b.x_left = c->pad_left, b.x_width = seen;
    b.dy_left = fc_max(0, c->KW - 1 - c->pad_left) / c->stride_w;
    b.dy_width = b.dy_left + fc_max(c->OW, last + 1);
    b.dy_copied = b.dy_width != c->OW;
    b.dy_at = b.x_copied ? fc_round_up(fc_plus(fc_volume(c->N, c->H, b.x_width, c->C_in), FC_SLACK), 16) : 0;
    return b;
}

int64_t fc_pixels_conv_saved_size(const fc_kernels *kernels, const fc_op *op, int64_t N) {
    (void)kernels;
    const fc_conv2d c = fc_conv_of(op, N);
    const borders b = borders_of(&c);
    return fc_plus(b.dy_at, b.dy_copied ? fc_plus(fc_volume(N, c.OH, b.dy_width, c.C_out), FC_SLACK) : 0);
}

/* No groups and no dilation, and rows with their borders that are not much longer than what they come from. */
int fc_pixels_conv_takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels, (void)backward;
    const fc_conv2d c = fc_conv_of(op, 1);
    const borders b = borders_of(&c);
    return (op->algorithm == FC_CONV2D_AUTO || op->algorithm == FC_CONV2D_DIRECT) && c.KH <= MOST_ROWS &&
           c.groups == 1 && c.dilation_h == 1 && c.dilation_w == 1 && c.pad_left >= 0 && c.pad_top >= 0 &&
           fc_max(b.x_width, b.dy_width) <= 4 * (c.W + c.OW + c.KW);
}

int fc_pixels_conv_needs(const fc_op *op) {
    const fc_conv2d c = fc_conv_of(op, 1);
    return (op->gradient[0] && !borders_of(&c).x_copied ? FC_NEEDS_X : 0) |
           (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* The images at work: where x lies, with its border if it has one. */
static const float *x_of(const fc_work *work, const fc_conv2d *c, const borders *b) {
    return b->x_copied ? work->saved + work->first * c->H * b->x_width * c->C_in : work->x[0].at;
}

/* y (pixels, K) at y_step = bias + products, in tiles of pixels and channels */
static void multiply(const fc_kernels *kernels, const fc_product *product, int64_t pixels, int64_t K, const float *x,
                     const float *kernel, const float *bias, float *y) {
    const int64_t tiles = fc_max(1, fc_pieces(pixels, kernels->tile_pixels));
    const int64_t each = pixels / tiles, larger = pixels % tiles;
    for (int64_t k = 0; k < K; k += kernels->tile_lanes) {
        const int channels = (int)fc_min(kernels->tile_lanes, K - k);
        const float *from = x;
        float *to = y + k;
        for (int64_t t = 0; t < tiles; t++) {
            const int64_t count = each + (t < larger);
            kernels->product_tile(product, (int)count, channels, from, kernel + k, bias ? bias + k : fc_no_bias, to);
            from += count * product->x_step, to += count * product->y_step;
        }
    }
}

static void offsets_of(int64_t runs, int64_t row, int64_t *offsets) {
    for (int64_t i = 0; i < runs; i++) offsets[i] = i * row;
}

fc_status fc_pixels_conv_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    const borders b = borders_of(&c);
    const int64_t row = b.x_width * c.C_in, C = c.C_in, K = c.C_out;
    const float *x = x_of(work, &c, &b);
    if (b.x_copied) {
        const int64_t rows = c.N * c.H;
        const size_t bytes = sizeof(float) * (size_t)(fc_min(c.W, b.x_width - b.x_left) * C);
        float *to = (float *)x + b.x_left * C;
        if (b.x_left < b.x_width)
            for (int64_t r = fc_first_of(work, rows); r < fc_end_of(work, rows); r++)
                memcpy(to + r * row, work->x[0].at + r * c.W * C, bytes);
        fc_wait(work);
    }
    int64_t offsets[MOST_ROWS];
    offsets_of(c.KH, row, offsets);
    fc_product product = {.offset = offsets, .length = c.KW * C, .x_step = c.stride_w * C, .w_step = K, .y_step = K};
    const int64_t rows = c.N * c.OH, end = fc_end_of(work, rows);
    int64_t r = fc_first_of(work, rows), n = r / c.OH, h = r % c.OH;
    for (; r < end; r++) {
        const int64_t top = h * c.stride_h - c.pad_top; /* row of x under the first tap */
        const int64_t kh = fc_max(0, -top), taps = fc_max(0, fc_min(c.KH, c.H - top) - kh);
        float *y = work->y.at + r * c.OW * K;
        product.runs = taps;
        multiply(work->kernels, &product, c.OW, K, x + (taps ? (n * c.H + top + kh) * row : 0),
                 op->weight[0] + (taps ? kh * product.length * K : 0), op->weight[1], y);
        if (op->activation != FC_LINEAR) work->kernels->activate(op->activation, op->alpha, c.OW * K, y, y);
        if (++h == c.OH) h = 0, n++;
    }
    return FC_OK;
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* Of taps 0, ..., n - 1 those of phase t, and those of all phases before. */
static int64_t taps_of(int64_t n, int64_t stride, int64_t t) { return n / stride + (t < n % stride); }
static int64_t taps_before(int64_t n, int64_t stride, int64_t t) { return t * (n / stride) + fc_min(t, n % stride); }

/* Floats before the kernel of a phase: its taps are nh x nw. */
static int64_t phase_at(const fc_conv2d *c, int64_t row_phase, int64_t column_phase) {
    return (taps_before(c->KH, c->stride_h, row_phase) * c->KW +
            taps_of(c->KH, c->stride_h, row_phase) * taps_before(c->KW, c->stride_w, column_phase)) *
           c->C_in * c->C_out;
}

int64_t fc_pixels_conv_packed_size(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels;
    return backward ? fc_plus(fc_volume(op->KH, op->KW, op->x[0].C, op->y.C), FC_SLACK) : 0;
}

void fc_pixels_conv_pack(const fc_work *work, int backward) {
    const fc_conv2d c = fc_conv_of(work->op, 1);
    const int64_t V = work->kernels->lanes, C = c.C_in, K = c.C_out, taps = c.KH * c.KW;
    if (!backward) return;
    for (int64_t tap = fc_first_of(work, taps); tap < fc_end_of(work, taps); tap++) {
        const int64_t kh = tap / c.KW, kw = tap % c.KW, th = kh % c.stride_h, tw = kw % c.stride_w;
        const int64_t nh = taps_of(c.KH, c.stride_h, th), nw = taps_of(c.KW, c.stride_w, tw);
        const int64_t place = (nh - 1 - kh / c.stride_h) * nw + nw - 1 - kw / c.stride_w;
        float *to = work->packed + phase_at(&c, th, tw) + place * K * C;
        for (int64_t i = 0; i < C; i += V) {
            const int channels = (int)fc_min(V, C - i);
            work->kernels->transpose(channels, channels, K, work->op->weight[0] + (tap * C + i) * K, K, to + i, C);
        }
    }
}

/* Row h of dx of one image, from its dy with borders. */
static void gather_row(const fc_work *work, const fc_conv2d *c, const borders *b, const int64_t *offsets, int64_t h,
                       const float *dy, float *dx) {
    const int64_t C = c->C_in, K = c->C_out, row = b->dy_width * K;
    const int64_t row_phase = (h + c->pad_top) % c->stride_h, below = (h + c->pad_top) / c->stride_h;
    const int64_t nh = taps_of(c->KH, c->stride_h, row_phase);
    /* Tap row_phase + i * stride_h meets row `below` - i of dy. */
    const int64_t first = fc_max(0, below - c->OH + 1), end = fc_max(first, fc_min(nh, below + 1));
    for (int64_t w = 0; w < fc_min(c->stride_w, c->W); w++) {
        const int64_t column_phase = (w + c->pad_left) % c->stride_w;
        const int64_t nw = taps_of(c->KW, c->stride_w, column_phase);
        const int64_t column = b->dy_left + (w + c->pad_left) / c->stride_w - (nw - 1);
        const fc_product product = {.runs = nw ? end - first : 0, .offset = offsets, .length = nw * K, .x_step = K,
                                    .w_step = C, .y_step = c->stride_w * C};
        const int sums = product.runs > 0;
        multiply(work->kernels, &product, fc_pieces(c->W - w, c->stride_w), C,
                 dy + (sums ? (below - end + 1) * row + column * K : 0),
                 work->packed + (sums ? phase_at(c, row_phase, column_phase) + (nh - end) * nw * K * C : 0), NULL,
                 dx + w * C);
    }
}

fc_status fc_pixels_conv_backward(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d all = fc_conv_of(op, work->N), c = fc_conv_of(op, work->images);
    const borders b = borders_of(&all);
    const int64_t row = c.OW * c.C_out, rows = c.N * c.OH, copied = b.dy_width * c.C_out;
    const int copies = b.dy_copied && work->dx[0].at;
    float *copy = work->saved ? work->saved + b.dy_at + work->first * c.OH * copied : NULL;
    for (int64_t r = fc_first_of(work, rows); r < fc_end_of(work, rows); r++) {
        float *dy = work->dy.at + r * row;
        if (op->activation != FC_LINEAR)
            work->kernels->activate_backward(op->activation, op->alpha, row, dy, work->y.at + r * row, dy);
        if (copies) memcpy(copy + r * copied + b.dy_left * c.C_out, dy, sizeof(float) * (size_t)row);
    }
    if (!work->dx[0].at) return FC_OK;
    fc_wait(work);

    int64_t offsets[MOST_ROWS];
    offsets_of(c.KH, copied, offsets);
    const float *dy = copies ? copy : work->dy.at;
    const int64_t below = c.N * c.H;
    for (int64_t r = fc_first_of(work, below); r < fc_end_of(work, below); r++)
        gather_row(work, &c, &b, offsets, r % c.H, dy + r / c.H * c.OH * copied,
                   work->dx[0].at + r * c.W * c.C_in);
    return FC_OK;
}

int64_t fc_pixels_conv_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward && op->gradient[1] ? FC_MOST_WAITING * op->y.C : 0;
}

fc_status fc_pixels_conv_weights(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_kernels *kernels = work->kernels;
    const fc_conv2d c = fc_conv_of(op, work->images);
    const borders b = borders_of(&c);
    const int64_t C = c.C_in, K = c.C_out, length = c.KW * C, tiles = fc_pieces(length, kernels->tile_pixels);
    const int64_t x_row = b.x_width * C, dy_row = c.OW * K, tasks = op->gradient[0] ? c.KH * tiles : 0;
    const float *x = x_of(work, &c, &b);
    if (op->gradient[1] && fc_alone(work)) fc_sum_rows(work, c.OH * c.OW, K, work->dy.at, op->gradient[1]);
    for (int64_t task = fc_first_of(work, tasks); task < fc_end_of(work, tasks); task++) {
        const int64_t kh = task / tiles, t = task % tiles;
        const int64_t j = fc_part(length, tiles, t), end = fc_part(length, tiles, t + 1);
        /* Rows of outputs of which this tap is inside. */
        const int64_t h = fc_min(c.OH, fc_pieces(fc_max(0, c.pad_top - kh), c.stride_h));
        const int64_t over = c.H - 1 + c.pad_top - kh;
        const int64_t last = over < 0 ? h : fc_max(h, fc_min(c.OH, over / c.stride_h + 1));
        const fc_pixels pixels = {.fresh = 1, .images = c.N, .rows = last - h, .pixels = c.OW, .x_image = c.H * x_row,
                                  .x_row = c.stride_h * x_row, .x_step = c.stride_w * C, .dy_image = c.OH * dy_row,
                                  .dy_row = dy_row, .dy_step = K, .leaf = work->leaf * (last - h) * c.OW};
        const float *from = x + (last > h ? (h * c.stride_h + kh - c.pad_top) * x_row + j : 0);
        for (int64_t k = 0; k < K; k += kernels->tile_lanes)
            kernels->outer_tile(&pixels, (int)(end - j), (int)fc_min(kernels->tile_lanes, K - k), from,
                                work->dy.at + h * dy_row + k, op->gradient[0] + (kh * length + j) * K + k, K);
    }
    return FC_OK;
}
