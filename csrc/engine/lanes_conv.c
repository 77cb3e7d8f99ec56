/* lanes_conv.c - convolutions of a bundle.
 *
 *     y[h, w, k] = phi(bias[k] + sum over kh, kw, c of x[h s + kh d - pad, w s + kw d - pad, c] kernel[kh, kw, c, k])
 *
 * with vectors of images for x and y. Where taps are neighbours, those of a kernel's row and their channels are one run
 * of vectors; with dilation or groups each tap is a run by itself. The sums are the tiles of bundle_kernel.h, or where
 * that takes fewer multiplications those of bundle_winograd.c.
 *
 * A border is zeros, and multiplying them takes as long as anything else: of LeNet's 14 x 14 gradients below its
 * second convolution, 10 x 10 with a border of 4, every second product would be with the border. So tiles leave out
 * what falls outside for all their outputs (fc_taps_of). Measured on direct sums alone, training, batch 32, one
 * thread: LeNet-5 in 0.87 of the time with AVX2 and 0.91 with AVX-512, ConvNetJS' net in 0.93.
 *
 * The gradient of the data is the same sum, of dy and the kernel turned round, phase by phase (lanes.h). That of the
 * kernel is summed for each image of the bundle by itself, a vector for each element, and then over the lanes.
 */
#include "bundle.h"
#include "lanes.h"
#include "bundle_winograd.h"

enum {
    MOST_SUMS = 1 << 19, /* floats of a chunk's sums: what leaves all caches is for other ways */
    MOST_RUNS = 64, /* of taps */
};

/* ---- what an operation is ----------------------------------------------------------------------- */

static int64_t elements_of(const fc_op *op) { return op->KH * op->KW * (op->x[0].C / op->groups) * op->y.C; }

/* Of a kernel's gradient in a chunk's sums, before the bias's. */
static int64_t kernel_sums(const fc_op *op) {
    const fc_winograd g = fc_lanes_winograd_of(op);
    return !op->gradient[0] ? 0 : fc_winograd_pays_back(&g) ? fc_winograd_weights_size(&g) : elements_of(op);
}

fc_conv2d_algorithm fc_lanes_conv_algorithm(const fc_op *op, int64_t N, fc_conv2d_pass pass) {
    (void)N;
    const fc_winograd g = fc_lanes_winograd_of(op);
    const int pays = pass == FC_PASS_FORWARD ? fc_winograd_pays(&g) : fc_winograd_pays_back(&g);
    return pays ? FC_CONV2D_WINOGRAD : FC_CONV2D_DIRECT;
}

int fc_lanes_conv_takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels;
    const fc_axes axes = fc_axes_of(op);
    const int64_t runs = op->KH * (fc_is_joined(&axes.columns, op->groups) ? 1 : op->KW);
    return op->algorithm < 0 && runs <= MOST_RUNS && !(backward && kernel_sums(op) > MOST_SUMS);
}

int fc_lanes_conv_needs(const fc_op *op) {
    return (op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* Winograd's tiles are whole: they read past the last output, dy as well as x, which is `taps` more. */
static fc_border with_tiles(fc_border border, const fc_winograd *g, int64_t taps, int64_t H, int64_t W) {
    border.bottom = fc_max(border.bottom, fc_winograd_tiled(g->OH, g->side) + taps - border.top - H);
    border.right = fc_max(border.right, fc_winograd_tiled(g->OW, g->side) + taps - border.left - W);
    return border;
}

fc_border fc_lanes_conv_border(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    const fc_axes axes = fc_axes_of(op);
    const fc_winograd g = fc_lanes_winograd_of(op);
    const fc_border border = fc_border_of(&axes);
    return fc_winograd_pays(&g) || fc_winograd_pays_back(&g) ? with_tiles(border, &g, g.side - 1, g.H, g.W) : border;
}

fc_border fc_lanes_conv_border_back(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    const fc_axes axes = fc_axes_of(op);
    const fc_winograd g = fc_lanes_winograd_of(op);
    return fc_winograd_pays_back(&g) ? with_tiles((fc_border){0}, &g, 0, g.OH, g.OW) : fc_border_back_of(&axes);
}

/* ---- weights ------------------------------------------------------------------------------------ */

/* Winograd: the kernel transformed, and then that turned for the way back. Otherwise the kernel is read where it is,
 * and turned for the way back: [phase][taps in the phase's order][k][c]. */
static int64_t transformed_size(const fc_winograd *g) { return fc_round_up(fc_winograd_weights_size(g), 16); }

/* Where the weights for the way back begin. */
static int64_t back_at(const fc_winograd *g) {
    return fc_winograd_pays(g) || fc_winograd_pays_back(g) ? transformed_size(g) : 0;
}

int64_t fc_lanes_conv_packed_size(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels;
    const fc_winograd g = fc_lanes_winograd_of(op);
    if (!backward) return fc_winograd_pays(&g) ? transformed_size(&g) : 0;
    return back_at(&g) + (fc_winograd_pays_back(&g) ? transformed_size(&g) : elements_of(op));
}

/* to[k, c] = kernel[tap, c, k] */
static void turn_tap(const fc_kernels *kernels, const float *from, int64_t C, int64_t K, float *to) {
    for (int64_t c = 0; c < C; c += kernels->lanes) {
        const int channels = (int)fc_min(kernels->lanes, C - c);
        kernels->transpose(channels, channels, K, from + c * K, K, to + c, C);
    }
}

void fc_lanes_conv_pack(const fc_work *work, int backward) {
    const fc_op *op = work->op;
    const fc_winograd g = fc_lanes_winograd_of(op);
    const int turns = backward && fc_winograd_pays_back(&g);
    if (work->member == 0 && (fc_winograd_pays(&g) || turns)) {
        fc_winograd_weights(&g, work->kernels, op->weight[0], work->packed);
        if (turns) fc_winograd_turn(&g, work->kernels, work->packed, work->packed + back_at(&g));
    }
    if (!backward || turns) return;
    const int64_t C = op->x[0].C / op->groups, K = op->y.C;
    const fc_axes axes = fc_axes_of(op);
    float *to = work->packed + back_at(&g);
    int64_t turned = 0;
    for (int64_t r = 0; r < fc_phases(&axes.rows); r++)
        for (int64_t q = 0; q < fc_phases(&axes.columns); q++) {
            const fc_axes back = fc_axes_back(&axes, r, q);
            for (int64_t t = 0; t < back.rows.taps; t++)
                for (int64_t u = 0; u < back.columns.taps; u++, to += C * K) {
                    const int64_t kh = back.rows.tap + t * back.rows.next;
                    const int64_t kw = back.columns.tap + u * back.columns.next;
                    if (turned++ % work->team != work->member) continue;
                    turn_tap(work->kernels, op->weight[0] + (kh * op->KW + kw) * C * K, C, K, to);
                }
        }
}

/* ---- sums of products --------------------------------------------------------------------------- */

/* The sum over taps and the C channels of a group, for its K outputs; the kernel's rows of outputs are w_step floats
 * apart, its taps `tap`, its groups `group`. */
typedef struct {
    fc_axes axes;
    int64_t C, K, groups;
    fc_view x;
    const float *kernel, *bias;
    int64_t w_step, tap, group;
    int joined;
    fc_interval whole; /* those outputs of a row whose taps are inside, or need not be looked at */
    int64_t offset[MOST_RUNS]; /* of the runs, in vectors */
} convolution;

static void find_runs(convolution *s) {
    const fc_lane_axis *rows = &s->axes.rows, *columns = &s->axes.columns;
    s->joined = fc_is_joined(columns, s->groups);
    s->whole = s->joined ? fc_whole_outputs(columns) : (fc_interval){0, columns->outputs};
    int64_t *offset = s->offset;
    for (int64_t kh = 0; kh < rows->taps; kh++)
        for (int64_t kw = 0; kw < (s->joined ? 1 : columns->taps); kw++)
            *offset++ = kh * rows->dilation * s->x.row + kw * columns->dilation * s->C * s->groups;
}

/* Outputs from w to end - 1 of row h, which see the image through some of the taps. */
static void convolve_pixels(const fc_kernels *kernels, const convolution *s, int64_t h, int64_t w, int64_t end,
                            fc_interval kh, fc_interval kw, int64_t channel_tiles, float *y) {
    const fc_lane_axis *rows = &s->axes.rows, *columns = &s->axes.columns;
    const int64_t V = kernels->lanes, x_pixel = s->C * s->groups, y_pixel = columns->every * s->K * s->groups;
    const int64_t taps = kw.end - kw.begin, runs = s->joined ? 1 : columns->taps;
    const float *x = s->x.at + ((h * rows->step - rows->before) * s->x.row +
                                (w * columns->step - columns->before + kw.begin) * x_pixel) * V;
    const float *kernel = s->kernel + (kh.begin * columns->taps + kw.begin) * s->tap;
    const fc_product product = {
        .runs = (kh.end - kh.begin) * runs, .offset = s->offset + kh.begin * runs,
        .length = s->joined ? taps * s->C : s->C, .x_step = columns->step * x_pixel, .w_step = s->w_step,
        .w_skip = s->joined ? (columns->taps - taps) * s->tap : s->tap - s->C * s->w_step, .y_step = y_pixel};
    for (int64_t g = 0; g < s->groups; g++)
        for (int64_t u = 0; u < channel_tiles; u++) {
            const int64_t k = fc_part(s->K, channel_tiles, u), channels = fc_part(s->K, channel_tiles, u + 1) - k;
            kernels->bundle_tiles(&product, end - w, (int)channels, x + g * s->C * V, kernel + g * s->group + k,
                                  s->bias ? s->bias + g * s->K + k : NULL, y + (w * y_pixel + g * s->K + k) * V);
        }
}

/* Output row h, whose first pixel is at y. Pixels that see the border are taken two by two, so that few of their taps
 * are outside; taps that are runs by themselves are all taken. */
static void convolve_row(const fc_kernels *kernels, const convolution *s, int64_t h, float *y) {
    enum { EDGE = 2 };
    const fc_lane_axis *columns = &s->axes.columns;
    const int64_t W = columns->outputs, tiles = fc_bundle_tiling(kernels, W, s->K).channels;
    const fc_interval whole = s->whole;
    const fc_interval kh = fc_taps_of(&s->axes.rows, h, h + 1);
    for (int64_t w = 0, end; w < W; w = end) {
        end = w < whole.begin ? fc_min(w + EDGE, whole.begin) : w < whole.end ? whole.end : fc_min(w + EDGE, W);
        const fc_interval kw = s->joined ? fc_taps_of(columns, w, end) : (fc_interval){0, columns->taps};
        convolve_pixels(kernels, s, h, w, end, kh, kw, tiles, y);
    }
}

/* Blocks of rows of pixels that are about a level-1 cache together: all tiles of the kernel's gradient go over them before
 * the next. With one block, and no groups, a row of tiles is done when it has met them,
 * and a few of them are added up over the lanes together. */
static int64_t blocks_of(const fc_kernels *kernels, const fc_op *op) {
    const int64_t cached = 14000, row = op->y.W * op->y.C + op->stride_h * op->x[0].W * op->x[0].C;
    return fc_pieces(op->y.H, fc_max(1, cached / (row * kernels->lanes)));
}
static int is_at_once(const fc_kernels *kernels, const fc_op *op) {
    return op->groups == 1 && blocks_of(kernels, op) == 1;
}

/* sums[tap, c, k] += the sum over pixels of their outer products, a vector of images for each element, and over its
 * lanes: at once, or else when the vectors of all elements are there. */
static void correlate(const fc_work *work, float *sums) {
    const fc_kernels *kernels = work->kernels;
    const fc_op *op = work->op;
    const fc_axes axes = fc_axes_of(op);
    const fc_lane_axis *rows = &axes.rows, *columns = &axes.columns;
    const int64_t V = kernels->lanes, groups = op->groups, C = op->x[0].C / groups, K = op->y.C / groups;
    const int64_t x_pixel = op->x[0].C, dy_pixel = op->y.C, x_row = work->x[0].row, dy_row = work->dy.row;
    const int joined = fc_is_joined(columns, groups);
    const int64_t length = joined ? op->KW * C : C, parts = joined ? 1 : op->KW;
    const fc_tiling tiling = fc_bundle_tiling(kernels, length, K);
    const int64_t blocks = blocks_of(kernels, op);
    const int at_once = is_at_once(kernels, op);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t kh = 0; kh < op->KH; kh++) {
            const fc_interval seen = fc_outputs_of(rows, kh, kh + 1);
            const int64_t h = fc_max(fc_part(op->y.H, blocks, b), seen.begin);
            const int64_t height = fc_max(0, fc_min(fc_part(op->y.H, blocks, b + 1), seen.end) - h);
            for (int64_t part = 0; part < parts * groups; part++) {
                const int64_t kw = part / groups, g = part % groups;
                const float *x = work->x[0].at + ((h * rows->step + kh * rows->dilation - rows->before) * x_row +
                                                  (kw * columns->dilation - columns->before) * x_pixel + g * C) * V;
                const float *dy = work->dy.at + (h * dy_row + g * K) * V;
                const int64_t run = (kh * op->KW + kw) * C * dy_pixel + g * K;
                for (int64_t t = 0, begin = 0; t < tiling.pixels; t++) {
                    const int64_t j = fc_part(length, tiling.pixels, t);
                    const int64_t last = fc_part(length, tiling.pixels, t + 1);
                    const fc_interval w = fc_outputs_of(columns, kw + j / C, kw + (last - 1) / C + 1);
                    const fc_pixels pixels = {.fresh = b == 0, .rows = height, .pixels = w.end - w.begin,
                                              .x_row = rows->step * x_row, .x_step = columns->step * x_pixel,
                                              .dy_row = dy_row, .dy_step = dy_pixel};
                    float *to = work->scratch + (at_once ? (j - begin) * K : run + j * dy_pixel) * V;
                    for (int64_t u = 0; u < tiling.channels; u++) {
                        const int64_t k = fc_part(K, tiling.channels, u), next = fc_part(K, tiling.channels, u + 1);
                        kernels->bundle_outer_tile(&pixels, (int)(last - j), (int)(next - k),
                                                   x + (w.begin * columns->step * x_pixel + j) * V,
                                                   dy + (w.begin * dy_pixel + k) * V, to + k * V, dy_pixel);
                    }
                    if (!at_once || (last < length && (last - begin) * K < FC_SUMS_AT_ONCE)) continue;
                    kernels->sum_lanes((last - begin) * K, work->scratch, sums + run + begin * K);
                    begin = last;
                }
            }
        }
    if (!at_once) kernels->sum_lanes(elements_of(op), work->scratch, sums);
}

/* ---- forward and back --------------------------------------------------------------------------- */

int64_t fc_lanes_conv_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images;
    const fc_winograd g = fc_lanes_winograd_of(op);
    const int pays_back = fc_winograd_pays_back(&g);
    const int64_t transforms = fc_winograd_pays(&g) || (backward && pays_back) ? fc_winograd_scratch(&g, kernels) : 0;
    if (!backward) return transforms;
    const int64_t rows = fc_rows_at_once(kernels, op->KW * op->x[0].C, op->y.C);
    const int64_t kept = is_at_once(kernels, op) ? rows * op->y.C : elements_of(op);
    const int64_t sums = pays_back || !op->gradient[0] ? 0 : kept;
    return fc_max(transforms, fc_max(sums, op->y.C) * kernels->lanes);
}

/* The first pixel that the first tap sees. */
static const float *first_seen(const fc_work *work) {
    const fc_op *op = work->op;
    return work->x[0].at - (op->pad_top * work->x[0].row + op->pad_left * op->x[0].C) * work->kernels->lanes;
}

fc_status fc_lanes_conv_forward(const fc_work *work) {
    const fc_kernels *kernels = work->kernels;
    const fc_op *op = work->op;
    const fc_winograd g = fc_lanes_winograd_of(op);
    const int pays = fc_winograd_pays(&g);
    convolution s = {.axes = fc_axes_of(op), .C = op->x[0].C / op->groups, .K = op->y.C / op->groups,
                     .groups = op->groups, .x = work->x[0], .kernel = op->weight[0], .bias = op->weight[1],
                     .w_step = op->y.C};
    s.tap = s.C * op->y.C, s.group = s.K;
    if (pays)
        fc_winograd_convolve(&g, kernels, first_seen(work), work->x[0].row, work->packed, op->weight[1], work->y.at,
                             work->y.row, work->scratch);
    else
        find_runs(&s);
    for (int64_t h = 0; h < op->y.H; h++) {
        float *row = fc_row_of(work, work->y, h);
        if (!pays) convolve_row(kernels, &s, h, row);
        if (op->activation != FC_LINEAR)
            kernels->activate(op->activation, op->alpha, fc_row_floats(work, op->y), row, row);
    }
    return FC_OK;
}

static void backward_data(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_axes axes = fc_axes_of(op);
    const fc_winograd g = fc_lanes_winograd_of(op);
    const float *kernel = work->packed + back_at(&g);
    for (int64_t r = 0; r < fc_phases(&axes.rows); r++)
        for (int64_t q = 0; q < fc_phases(&axes.columns); q++) {
            convolution s = {.axes = fc_axes_back(&axes, r, q), .C = op->y.C / op->groups,
                             .K = op->x[0].C / op->groups, .groups = op->groups, .x = work->dy,
                             .kernel = kernel};
            const fc_lane_axis *rows = &s.axes.rows, *columns = &s.axes.columns;
            s.w_step = s.K, s.tap = op->y.C * s.K, s.group = s.C * s.K;
            kernel += rows->taps * columns->taps * s.tap;
            find_runs(&s);
            for (int64_t h = 0; h < rows->outputs; h++)
                convolve_row(work->kernels, &s, h,
                             fc_row_of(work, work->dx[0], rows->first + h * rows->every) +
                                 columns->first * op->x[0].C * work->kernels->lanes);
        }
}

fc_status fc_lanes_conv_backward(const fc_work *work) {
    const fc_kernels *kernels = work->kernels;
    const fc_op *op = work->op;
    const fc_winograd g = fc_lanes_winograd_of(op);
    const int wanted = op->gradient[0] != NULL;
    if (!wanted && !op->gradient[1] && !work->dx[0].at) return FC_OK;
    fc_backward_outputs(work, op->gradient[1] ? work->sums + kernel_sums(op) : NULL);
    if (!wanted && !work->dx[0].at) return FC_OK;
    if (fc_winograd_pays_back(&g)) {
        fc_winograd_backward(&g, kernels, wanted ? first_seen(work) : NULL, work->x[0].row, work->dy.at, work->dy.row,
                             work->packed + back_at(&g),
                             wanted ? work->sums : NULL, work->dx[0].at, work->dx[0].row, work->scratch);
        return FC_OK;
    }
    if (wanted) correlate(work, work->sums);
    if (work->dx[0].at) backward_data(work);
    return FC_OK;
}

int64_t fc_lanes_conv_sums_size(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return kernel_sums(op) + (op->gradient[1] ? op->y.C : 0);
}

void fc_lanes_conv_finish(const fc_kernels *kernels, const fc_op *op, const float *sums) {
    const fc_winograd g = fc_lanes_winograd_of(op);
    if (op->gradient[0] && fc_winograd_pays_back(&g)) fc_winograd_weights_gradient(&g, kernels, sums, op->gradient[0]);
    else if (op->gradient[0]) fc_copy(op->gradient[0], sums, elements_of(op));
    if (op->gradient[1]) fc_copy(op->gradient[1], sums + kernel_sums(op), op->y.C);
}
