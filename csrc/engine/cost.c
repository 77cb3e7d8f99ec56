/* cost.c - how long an operation takes in each of its ways: the one model that "auto" and programs choose by.
 *
 *     time = a steps + b numbers + c weights + d rows + e calls
 *
 * Steps of register tiles are counted as the CPU would be busy with them if all it reads were in the level-1 cache: a
 * tile of p x k sums takes for each step as long as its multiply-adds, its loads, or the latency of one of them, whichever
 * is longest. The other terms are what memory and calls add. The constants a to e of each kind of loop are fitted to
 * measurements of random operations, by `python -m benchmarks.cost_model`, which prints the table below.
 *
 * An estimate is of one thread. So a choice, and with it the bits of a result, does not depend on threads.
 */
#include "bundle.h"
#include "bundle_winograd.h"
#include "cost.h"
#include "lanes.h"

typedef struct {
    double steps, numbers, weights, rows, calls;
} constants;

/* Fitted on AVX2, Zen 3. By them programs on AVX-512, Zen 5, run faster than by constants fitted there to operations
 * alone, whose choices are as good: within 10 % of the best for 96 % of 724 convolutions. */
static const constants fitted[FC_COST_KINDS][3] = {
    [FC_COST_LANES_CONV] = {{1.62, 0.423, 0, 1.06e+03, 0}, {1.5, 2.41, 0, 872, 0}, {1.99, 2.26, 12.6, 163, 0}},
    [FC_COST_LANES_WINOGRAD] = {{1.89, 8.33, 0, 0, 0}, {2.81, 0.921, 0, 0, 0}, {3.54, 17.6, 4.2, 0, 0}},
    [FC_COST_PIXELS_CONV] = {{1.19, 11.9, 0, 126, 0}, {1.29, 13.1, 0, 881, 0}, {1.59, 5.74, 7.02, 52.5, 0}},
    [FC_COST_DIRECT] = {{1.52, 7.53, 10.3, 340, 1.24e+04}, {1.59, 2.75, 21.2, 923, 5.82e+03}, {1.78, 10.7, 19.7, 212, 1.91e+04}},
    [FC_COST_IM2COL] = {{1.44, 8.39, 7.31, 576, 1.74e+04}, {1.6, 19.7, 13.2, 269, 1.63e+04}, {1.6, 9.8, 21.2, 362, 1.67e+04}},
    [FC_COST_WINOGRAD] = {{1, 31.9, 12.6, 352, 7.23e+04}, {1, 37.4, 10.1, 300, 8.9e+04}, {1, 37.2, 14.2, 352, 6.32e+04}},
    [FC_COST_LANES_DEPTHWISE] = {{2.39, 5.55, 0, 134, 0}, {4.56, 25.3, 0, 0, 0}},
    [FC_COST_DEPTHWISE] = {{1.84, 13.7, 0, 100, 1.52e+04}, {4.01, 38, 0, 167, 4.62e+04}},
    [FC_COST_PIXELS_DENSE] = {{1.43, 0, 0, 71.5, 0}, {1.25, 10.3, 2.2, 0, 0}, {1.54, 5.68, 15.8, 13.4, 0}},
    [FC_COST_DENSE] = {{1.64, 5.2, 3.18, 0, 1.38e+04}, {1.55, 21.2, 2.8, 0, 6.25e+03}, {1.53, 3.34, 26.4, 0, 1.18e+04}},
    [FC_COST_LANES_POOL] = {{5.37, 0, 0, 234, 0}, {7.52, 0, 0, 202, 0}},
    [FC_COST_POOL] = {{7.21, 4.39, 0, 147, 5.1e+03}, {18.4, 0, 0, 216, 4.48e+03}},
    [FC_COST_LANES_NORM] = {{0, 10.9, 0, 297, 0}, {0, 12.2, 0, 345, 0}},
    [FC_COST_NORM] = {{0, 11.4, 0, 42.2, 1.26e+04}, {0, 11.6, 0, 23.2, 1.35e+04}},
    [FC_COST_LANES_NUMBERS] = {{0, 3.41, 0, 66.1, 0}, {0, 5.35, 0, 9.11, 0}},
    [FC_COST_NUMBERS] = {{0, 3.91, 0, 1.1, 5.58e+03}, {0, 5.49, 0, 0, 5.4e+03}},
    [FC_COST_MOVE] = {{0, 18.1, 0, 0, 0}},
};

double fc_cost_of(const fc_effort *e) {
    const constants *c = &fitted[e->kind][e->pass];
    return c->steps * e->steps + c->numbers * e->numbers + c->weights * e->weights + c->rows * e->rows + c->calls * e->calls;
}

/* ---- register tiles ------------------------------------------------------------------------------- */

static double greater(double a, double b) { return a > b ? a : b; }

/* A step of a tile of p x k sums: two multiply-adds and two loads a cycle, and four cycles until a sum is there for
 * the next. */
static double step_of(double p, double k) {
    enum { LATENCY = 8 };
    const double loads = p + k;
    return greater(greater(p * k, loads), LATENCY);
}

/* Images in the lanes: all tiles of rows x columns. */
static double bundle_tiles(const fc_kernels *kernels, int64_t rows, int64_t columns) {
    if (rows <= 0 || columns <= 0) return 0;
    const fc_tiling t = fc_bundle_tiling(kernels, rows, columns);
    return (double)(t.pixels * t.channels) *
           step_of((double)rows / (double)t.pixels, (double)columns / (double)t.channels);
}

/* Channels in the lanes: of rows x columns numbers, two vectors of columns at a time. */
static double channel_tiles(const fc_kernels *kernels, int64_t rows, int64_t columns) {
    if (rows <= 0 || columns <= 0) return 0;
    const int64_t vectors = fc_pieces(columns, kernels->lanes), tiles = fc_pieces(rows, kernels->tile_pixels);
    const double p = (double)rows / (double)tiles;
    return (double)tiles * ((double)(vectors / 2) * step_of(p, 2) + (double)(vectors % 2) * step_of(p, 1));
}

static double product(int64_t a, int64_t b, int64_t c) { return (double)a * (double)b * (double)c; }

/* ---- convolutions --------------------------------------------------------------------------------- */

/* Winograd's positions along an axis of so many outputs: conv2d_winograd.c */
static double positions(int64_t outputs) { return (double)(outputs + 2 * fc_pieces(outputs, 4)); }

fc_effort fc_conv2d_effort(const fc_kernels *kernels, const fc_conv2d *c, fc_conv2d_pass pass,
                           fc_conv2d_algorithm algorithm) {
    const int64_t C = c->C_in / c->groups, K = c->C_out / c->groups, taps = c->KH * c->KW;
    const double V = kernels->lanes, N = (double)c->N, groups = (double)c->groups;
    const double pixels = N * (double)(c->OH * c->OW);
    const int back = pass == FC_PASS_DATA;
    fc_effort e = {.pass = pass, .calls = 1, .rows = N * (double)(back ? c->H : c->OH)};
    e.numbers = N * (product(c->H, c->W, c->C_in) + product(c->OH, c->OW, c->C_out)) / V;
    e.weights = (double)taps * (double)C * (double)c->C_out / V;
    if (algorithm == FC_CONV2D_WINOGRAD) {
        const double places = N * (back ? positions(c->H) * positions(c->W) : positions(c->OH) * positions(c->OW));
        const double tiled = greater(1, places / 36 < 32 ? places / 36 : 32);
        const int64_t rows = (int64_t)tiled;
        e.kind = FC_COST_WINOGRAD;
        e.steps = pass == FC_PASS_KERNEL ? places * channel_tiles(kernels, C, K)
                  : back                 ? places / (double)rows * channel_tiles(kernels, rows, C) * (double)K
                                         : places / (double)rows * channel_tiles(kernels, rows, K) * (double)C;
        e.numbers += places * (double)(c->C_in + c->C_out) / V;
        e.weights *= 36.0 / 9;
        return e;
    }
    if (algorithm == FC_CONV2D_IM2COL) {
        const double columns = pixels * (double)(taps * c->C_in) / V;
        e.kind = FC_COST_IM2COL;
        e.numbers += 2 * columns;
        e.steps = groups * (pass == FC_PASS_KERNEL ? pixels * channel_tiles(kernels, taps * C, K)
                            : back ? pixels / 32 * channel_tiles(kernels, 32, taps * C) * (double)K
                                   : pixels / 32 * channel_tiles(kernels, 32, K) * (double)(taps * C));
        return e;
    }
    e.kind = FC_COST_DIRECT;
    if (pass == FC_PASS_KERNEL) {
        e.steps = groups * (double)c->KH * channel_tiles(kernels, c->KW * C, K) * pixels;
    } else {
        const int64_t height = back ? c->H : c->OH, width = back ? c->W : c->OW;
        const double strides = back ? (double)(c->stride_h * c->stride_w) : 1;
        e.steps = groups * N * channel_tiles(kernels, height * width, back ? C : K) * (double)(taps * (back ? K : C)) / strides;
    }
    return e;
}

/* Rows of pixels of N images, in layout pixels. */
static int pixels_conv(const fc_kernels *kernels, const fc_op *op, int64_t N, int backward, fc_effort *efforts) {
    const fc_conv2d c = fc_conv_of(op, N);
    const int passes = backward ? 3 : 1;
    for (int pass = 0; pass < passes; pass++) {
        fc_effort *e = &efforts[pass];
        *e = fc_conv2d_effort(kernels, &c, (fc_conv2d_pass)pass, FC_CONV2D_DIRECT);
        e->kind = FC_COST_PIXELS_CONV;
        e->calls = 0;
        if (pass == FC_PASS_KERNEL) continue;
        const double strides = pass == FC_PASS_DATA ? (double)(c.stride_h * c.stride_w) : 1;
        e->steps = (double)c.N * (pass == FC_PASS_DATA
                                      ? (double)c.H * channel_tiles(kernels, c.W, c.C_in) * (double)(c.KH * c.KW * c.C_out)
                                      : (double)c.OH * channel_tiles(kernels, c.OW, c.C_out) * (double)(c.KH * c.KW * c.C_in)) /
                   strides;
    }
    return passes;
}

static int lanes_conv(const fc_kernels *kernels, const fc_op *op, int64_t N, int backward, fc_effort *efforts) {
    const fc_size x = op->x[0], y = op->y;
    const int64_t groups = op->groups, C = x.C / groups, K = y.C / groups, taps = op->KH * op->KW;
    const double bundles = (double)fc_pieces(N, kernels->lanes);
    const double tensors = (double)fc_size_of(x) + (double)fc_size_of(y);
    const fc_axes axes = fc_axes_of(op);
    const fc_winograd g = fc_lanes_winograd_of(op);
    const double products = (double)fc_pairs_inside(&axes.rows) * (double)fc_pairs_inside(&axes.columns);
    const int passes = backward ? 3 : 1;
    for (int pass = 0; pass < passes; pass++) {
        fc_effort *e = &efforts[pass];
        *e = (fc_effort){.kind = FC_COST_LANES_CONV, .pass = (fc_conv2d_pass)pass, .numbers = tensors,
                         .rows = (double)(pass == FC_PASS_DATA ? x.H : y.H)};
        const int pays = pass == FC_PASS_FORWARD ? fc_winograd_pays(&g) : fc_winograd_pays_back(&g);
        if (pays) {
            const int64_t tiles = fc_winograd_tiles(&g);
            e->kind = FC_COST_LANES_WINOGRAD;
            e->steps = 36 * (pass == FC_PASS_FORWARD ? bundle_tiles(kernels, tiles, K) * (double)C
                             : pass == FC_PASS_DATA  ? bundle_tiles(kernels, tiles, C) * (double)K
                                                     : bundle_tiles(kernels, C, K) * (double)tiles);
            if (pass == FC_PASS_KERNEL) e->weights = product(36, C, K);
            else e->numbers += product(36, tiles, C + K);
        } else if (pass == FC_PASS_KERNEL) {
            const int joined = groups == 1 && op->dilation_w == 1;
            e->steps = (double)(groups * op->KH * (joined ? 1 : op->KW)) *
                       bundle_tiles(kernels, joined ? op->KW * C : C, K) * products / (double)taps;
            e->weights = (double)(taps * C) * (double)y.C;
        } else {
            const int back = pass == FC_PASS_DATA;
            const int64_t width = back ? x.W : y.W, height = back ? x.H : y.H;
            e->steps = (double)groups * bundle_tiles(kernels, width, back ? C : K) / (double)fc_max(1, width) * products *
                       (double)(back ? K : C);
            e->rows = (double)height;
        }
        e->steps *= bundles, e->numbers *= bundles, e->weights *= bundles, e->rows *= bundles;
    }
    return passes;
}

static int whole_conv(const fc_kernels *kernels, const fc_op *op, int64_t N, int backward, fc_effort *efforts) {
    static const fc_conv2d_pass adjoint[3] = {FC_PASS_DATA, FC_PASS_FORWARD, FC_PASS_KERNEL};
    const fc_conv2d c = fc_conv_of(op, N);
    const int passes = backward ? 3 : 1;
    for (int i = 0; i < passes; i++) {
        const fc_conv2d_pass pass = op->kind == FC_OP_CONV_TRANSPOSED ? adjoint[i] : (fc_conv2d_pass)i;
        efforts[i] = fc_conv2d_effort(kernels, &c, pass, fc_conv2d_choose(&c, pass, (fc_conv2d_algorithm)op->algorithm));
    }
    return passes;
}

/* ---- others --------------------------------------------------------------------------------------- */

/* M rows of C numbers times C x K weights. */
static int dense(const fc_kernels *kernels, const fc_op *op, fc_way way, int64_t N, int backward, fc_effort *efforts) {
    const int64_t M = N * op->x[0].H * op->x[0].W, C = op->x[0].C, K = op->y.C;
    const int passes = backward ? 3 : 1;
    const double V = kernels->lanes;
    for (int pass = 0; pass < passes; pass++)
        efforts[pass] = (fc_effort){
            .kind = way == FC_PIXELS ? FC_COST_PIXELS_DENSE : FC_COST_DENSE, .pass = (fc_conv2d_pass)pass,
            .steps = pass == FC_PASS_FORWARD ? channel_tiles(kernels, M, K) * (double)C
                     : pass == FC_PASS_DATA  ? channel_tiles(kernels, M, C) * (double)K
                                             : channel_tiles(kernels, C, K) * (double)M,
            .numbers = (double)M * (double)(C + K) / V, .weights = (double)C * (double)K / V, .rows = (double)N,
            .calls = way == FC_WHOLE};
    return passes;
}

/* Number by number, for every output so many steps. */
static int plain(const fc_kernels *kernels, const fc_op *op, fc_way way, fc_cost_kind lanes, fc_cost_kind others,
                 double steps, int64_t N, int backward, fc_effort *efforts) {
    const double V = kernels->lanes, images = (double)(way == FC_LANES ? fc_pieces(N, kernels->lanes) : N);
    double numbers = (double)fc_size_of(op->y);
    for (int i = 0; i < op->inputs; i++) numbers += (double)fc_size_of(op->x[i]);
    const double channels = way == FC_LANES ? (double)op->y.C : (double)fc_pieces(op->y.C, kernels->lanes);
    for (int back = 0; back <= backward; back++)
        efforts[back] = (fc_effort){.kind = way == FC_LANES ? lanes : others, .pass = (fc_conv2d_pass)back,
                                    .steps = steps * images * (double)(op->y.H * op->y.W) * channels,
                                    .numbers = images * numbers / (way == FC_LANES ? 1 : V),
                                    .rows = images * (double)op->y.H, .calls = way == FC_WHOLE};
    return backward ? 2 : 1;
}

int fc_efforts_of(const fc_kernels *kernels, const fc_op *op, fc_way way, int64_t N, int backward,
                  fc_effort efforts[FC_MOST_EFFORTS]) {
    const double taps = (double)(op->KH * op->KW), window = (double)(op->x[0].H * op->x[0].W);
    switch (op->kind) {
    case FC_OP_CONV:
        return way == FC_LANES    ? lanes_conv(kernels, op, N, backward, efforts)
               : way == FC_PIXELS ? pixels_conv(kernels, op, N, backward, efforts)
                                  : whole_conv(kernels, op, N, backward, efforts);
    case FC_OP_CONV_TRANSPOSED: return whole_conv(kernels, op, N, backward, efforts);
    case FC_OP_DENSE: return dense(kernels, op, way, N, backward, efforts);
    case FC_OP_DEPTHWISE:
        return plain(kernels, op, way, FC_COST_LANES_DEPTHWISE, FC_COST_DEPTHWISE, taps, N, backward, efforts);
    case FC_OP_MAX_POOL: case FC_OP_AVG_POOL:
        return plain(kernels, op, way, FC_COST_LANES_POOL, FC_COST_POOL, taps, N, backward, efforts);
    case FC_OP_GLOBAL_MAX_POOL: case FC_OP_GLOBAL_AVG_POOL:
        return plain(kernels, op, way, FC_COST_LANES_POOL, FC_COST_POOL, window, N, backward, efforts);
    case FC_OP_BATCH_NORM: return plain(kernels, op, way, FC_COST_LANES_NORM, FC_COST_NORM, 0, N, backward, efforts);
    default: return plain(kernels, op, way, FC_COST_LANES_NUMBERS, FC_COST_NUMBERS, 0, N, backward, efforts);
    }
}

fc_effort fc_effort_of_move(const fc_kernels *kernels, fc_size size, int64_t N) {
    return (fc_effort){.kind = FC_COST_MOVE,
                       .numbers = (double)fc_size_of(size) * (double)fc_pieces(N, kernels->lanes)};
}

double fc_operations_of(const fc_op *op) {
    const double places = (double)(op->y.H * op->y.W), C = (double)op->x[0].C, K = (double)op->y.C;
    switch (op->kind) {
    case FC_OP_CONV: return 2 * places * K * (double)(op->KH * op->KW) * C / (double)op->groups;
    case FC_OP_CONV_TRANSPOSED: return 2 * (double)(op->x[0].H * op->x[0].W) * K * (double)(op->KH * op->KW) * C;
    case FC_OP_DEPTHWISE: return 2 * places * K * (double)(op->KH * op->KW);
    case FC_OP_DENSE: return 2 * places * C * K;
    case FC_OP_MAX_POOL: case FC_OP_AVG_POOL: return places * K * (double)(op->KH * op->KW);
    default: return 4 * places * K;
    }
}
