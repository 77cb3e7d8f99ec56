/* conv2d_direct.c - lesson 3: the matrix is never built.
 *
 * im2col copies every pixel KH*KW times only to let a matrix product read rows one after another. But in
 * an NHWC image the taps (kh, 0) ... (kh, KW-1) of a pixel already lie one after another, KW*C_in floats,
 * and the next pixel's begin stride*C_in further on, overlapping them. So
 *
 *     y[pixel, :] = bias + sum over kh of  run(kh, pixel) (KW*C_in)  times  kernel[kh] (KW*C_in, C_out)
 *
 * is a sum of KH matrix products whose rows overlap; the register tile (tile_kernel.h) multiplies them
 * where they lie. All that is copied is a strip of rows with its zero halo where there is padding, once,
 * into a cache, and the kernel, into panels one tile wide.
 *
 * The gradient of the input is the same machine run the other way. Solving
 * row = h*stride + kh*dilation - pad for h, the taps that reach input row `row` are those kh for which
 * row + pad - kh*dilation divides by the stride. That depends on row mod stride alone, its phase. So
 * within one phase dx is a stride-1 convolution of dy with that phase's taps, in reverse order, the
 * channels' roles exchanged. Forward is the case with one phase. Nothing is multiplied by the zeros that
 * the textbook puts between the pixels of dy.
 *
 * The gradient of the kernel is a sum over pixels, so its tile holds kernel elements and the pixels
 * stream by: TILE_PIXELS consecutive floats of a run by two vectors of dy. A tile that went through the whole
 * batch would have all of x and dy fetched again for each tile. So a strip at a time, half a megabyte of both, is
 * copied, dy in panels as wide as a tile, and stays in the level-2 cache until every tile has met it; a sum in
 * registers goes to dkernel and comes back for the next strip, once in some hundred pixels. For 3x3 layers of 64
 * to 256 channels that is 79 to 85% of the multiply-adds the core can do, where it was 62 to 78%.
 * Where the kernel is too small to keep the threads busy, the batch is cut into chunks with sums of their own,
 * added up in order.
 */
#include <string.h>

#include "axis.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

/* ---- a padded copy of some rows of an image ----------------------------------------------------- */

/* Rows [row, row + rows) and columns [column, column + columns) of an image of (H, W) pixels of C floats;
 * what lies outside the image is zero. */
static void copy_with_halo(const float *image, int64_t H, int64_t W, int64_t C, int64_t row, int64_t rows,
                           int64_t column, int64_t columns, float *strip) {
    const int64_t left = fc_min(columns, fc_max(0, -column));
    const int64_t inside = fc_max(0, fc_min(W, column + columns) - fc_max(0, column));
    for (int64_t r = row; r < row + rows; r++, strip += columns * C) {
        if (r < 0 || r >= H || inside == 0) {
            memset(strip, 0, sizeof(float) * (size_t)(columns * C));
            continue;
        }
        memset(strip, 0, sizeof(float) * (size_t)(left * C));
        memcpy(strip + left * C, image + (r * W + column + left) * C, sizeof(float) * (size_t)(inside * C));
        memset(strip + (left + inside) * C, 0, sizeof(float) * (size_t)((columns - left - inside) * C));
    }
}

/* ---- forward and backward-data: one gathering convolution --------------------------------------- */

typedef struct {
    const fc_kernels *kernels;
    fc_axis rows, columns;
    int64_t N, C, K, groups; /* channels of the source and of the output, in all groups */
    const float *kernel;
    int forward; /* the kernel lies as its taps are met: in order, output channels side by side */
    int64_t kernel_tap, kernel_c, kernel_k, kernel_group; /* floats between neighbours */
    int64_t *memory;
} gather;

static int plan_forward(gather *g, const fc_conv2d *conv, const float *kernel) {
    *g = (gather){
        .kernels = fc_kernels_active(), .N = conv->N, .C = conv->C_in, .K = conv->C_out, .groups = conv->groups,
        .kernel = kernel, .forward = 1,
        .kernel_tap = conv->C_in / conv->groups * conv->C_out, .kernel_c = conv->C_out, .kernel_k = 1,
        .kernel_group = conv->C_out / conv->groups,
    };
    g->memory = fc_find_axes(conv, 0, &g->rows, &g->columns);
    return g->memory != NULL;
}

static int plan_backward_data(gather *g, const fc_conv2d *conv, const float *kernel) {
    *g = (gather){
        .kernels = fc_kernels_active(), .N = conv->N, .C = conv->C_out, .K = conv->C_in, .groups = conv->groups,
        .kernel = kernel,
        .kernel_tap = conv->C_in / conv->groups * conv->C_out, .kernel_c = 1, .kernel_k = conv->C_out,
        .kernel_group = conv->C_out / conv->groups,
    };
    g->memory = fc_find_axes(conv, 1, &g->rows, &g->columns);
    return g->memory != NULL;
}

/* The taps of one phase are a rectangle: some kernel rows by some kernel columns. */
typedef struct {
    int64_t row_phase, column_phase;
    int64_t row_taps, column_taps;
    int64_t runs, length;      /* see fc_product */
    int64_t weights, run;      /* where its packed weights and its run offsets begin */
} phase;

static phase phase_of(const gather *g, int64_t index) {
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    phase f = {.row_phase = index / columns->phases, .column_phase = index % columns->phases};
    f.row_taps = rows->first[f.row_phase + 1] - rows->first[f.row_phase];
    f.column_taps = columns->first[f.column_phase + 1] - columns->first[f.column_phase];
    const int64_t *offset = columns->offset + columns->first[f.column_phase];
    /* Neighbouring taps join into one run where all channels of neighbouring pixels are wanted. */
    int joined = g->groups == 1;
    for (int64_t t = 1; t < f.column_taps; t++) joined &= offset[t] == offset[t - 1] + 1;
    f.runs = f.row_taps * (joined ? fc_min(1, f.column_taps) : f.column_taps);
    f.length = g->C / g->groups * (joined ? f.column_taps : 1);
    return f;
}

/* Weights of one phase, group and tile of channels: rows in the order in which the runs are read. */
static void pack_phase(const gather *g, const phase *f, int64_t group, int64_t k, int64_t channels, int64_t lanes,
                       int64_t kernel_columns, float *panel) {
    const int64_t C = g->C / g->groups;
    /* A group's slice of the kernel begins at its output channels; in the transposed view those are rows. */
    const float *kernel = g->kernel + group * g->kernel_group + k * g->kernel_k;
    for (int64_t r = 0; r < f->row_taps; r++)
        for (int64_t q = 0; q < f->column_taps; q++, panel += C * lanes) {
            const int64_t tap = g->rows.tap[g->rows.first[f->row_phase] + r] * kernel_columns +
                                g->columns.tap[g->columns.first[f->column_phase] + q];
            fc_pack_panel(g->kernels, C, (fc_weights){kernel + tap * g->kernel_tap, g->kernel_c, g->kernel_k}, channels,
                          lanes, panel);
        }
}

static fc_status run_gather(const gather *g, int64_t kernel_columns, double flops, const float *source,
                            const float *bias, float *y) {
    const fc_kernels *kernels = g->kernels;
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    const int64_t lanes = kernels->tile_lanes, tile_pixels = kernels->tile_pixels;
    const int64_t C = g->C / g->groups, K = g->K / g->groups;
    const int64_t panels = fc_pieces(K, lanes), phases = rows->phases * columns->phases;
    const int threads = fc_threads_for(flops);

    /* The source, with its halo: in place where every tap of every output falls into the image. */
    const int64_t most_rows = fc_pieces(rows->outputs, rows->phases);
    const int64_t most_columns = fc_pieces(columns->outputs, columns->phases);
    const int64_t strip_columns = (most_columns - 1) * columns->step + columns->most - columns->least + 1;
    const int padded = rows->least < 0 || (most_rows - 1) * rows->step + rows->most >= rows->source ||
                       columns->least < 0 ||
                       (most_columns - 1) * columns->step + columns->most >= columns->source;
    const int64_t strip_width = padded ? strip_columns : columns->source;
    const int64_t x_row = rows->step * strip_width * g->C;

    /* Pieces of work: blocks of output rows whose strip stays in a quarter of a megabyte. Where that gives too few for
     * several threads, they are cut by panels first if the weights are more than a cache holds, so that those are read
     * once, and otherwise by rows. Outputs do not share sums, so this cannot change a bit of them. */
    const int64_t strip_floats = 1 << 16, cached_weights = 1 << 17, few_pixels = 128;
    const int64_t wanted_tasks = threads > 1 ? fc_max(16, 4 * threads) : 1;
    const int64_t taps = rows->first[rows->phases] * columns->first[columns->phases];
    const int64_t weights_size = taps * C * panels * lanes * g->groups;
    const int64_t most_by_panels = 2 * fc_min(panels * g->groups, wanted_tasks / 2);
    const int64_t by_panels = weights_size > cached_weights ? fc_max(1, most_by_panels) : 1;
    const int64_t by_cache = (strip_floats / (strip_width * g->C) - (rows->most - rows->least)) / rows->step;
    const int64_t by_tasks = most_rows * g->N * by_panels / wanted_tasks;
    const int64_t block = fc_max(1, fc_min(most_rows, fc_min(by_cache, fc_max(by_tasks, 1))));
    const int64_t row_blocks = fc_pieces(most_rows, block), strips_in_all = g->N * row_blocks;
    const int64_t panel_groups = fc_max(1, fc_min(panels * g->groups, wanted_tasks / fc_max(1, strips_in_all)));
    const int64_t strip_rows = (block - 1) * rows->step + rows->most - rows->least + 1;
    const int64_t strip_size = padded ? fc_round_up(strip_rows * strip_columns * g->C, 16) : 0;

    phase *plan = calloc((size_t)phases, sizeof *plan);
    int64_t *run_offsets = fc_indices(taps);
    const int64_t bias_size = g->groups * panels * lanes;
    /* Few pixels do not make up for copying the weights: rows of whole vectors can be read where they lie. */
    const int in_place = g->forward && g->groups == 1 && K % kernels->lanes == 0 &&
                         g->N * rows->outputs * columns->outputs <= few_pixels;
    const int64_t packed_size = in_place ? 0 : weights_size;
    float *memory = fc_floats(fc_plus(packed_size + bias_size, fc_times(strip_size, threads)));
    if (!plan || !run_offsets || !memory) {
        free(plan);
        free(run_offsets);
        fc_free(memory);
        return FC_OUT_OF_MEMORY;
    }
    float *packed = memory, *padded_bias = memory + packed_size, *strips = padded_bias + bias_size;

    for (int64_t i = 0, weights = 0, run = 0; i < phases; i++) {
        phase *f = &plan[i];
        *f = phase_of(g, i);
        f->weights = weights;
        f->run = run;
        weights += f->row_taps * f->column_taps * C * panels * lanes * g->groups;
        run += f->runs;
        const int64_t runs_in_row = f->row_taps ? f->runs / f->row_taps : 0;
        for (int64_t r = 0; r < f->runs; r++)
            run_offsets[f->run + r] =
                ((rows->offset[rows->first[f->row_phase] + r / runs_in_row] - rows->least) * strip_width +
                 columns->offset[columns->first[f->column_phase] + r % runs_in_row] - columns->least) * g->C;
    }
    memset(padded_bias, 0, sizeof(float) * (size_t)bias_size);
    if (bias)
        for (int64_t group = 0; group < g->groups; group++)
            memcpy(padded_bias + group * panels * lanes, bias + group * K, sizeof(float) * (size_t)K);

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < (in_place ? 0 : phases * g->groups * panels); i++) {
            const phase *f = &plan[i / (g->groups * panels)];
            const int64_t group = i / panels % g->groups, k = i % panels * lanes;
            pack_phase(g, f, group, k, fc_min(lanes, K - k), lanes, kernel_columns,
                       packed + f->weights + (group * panels + i % panels) * f->row_taps * f->column_taps * C * lanes);
        }

#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < strips_in_all * panel_groups; task++) {
            const int64_t part = task / strips_in_all, strip_index = task % strips_in_all;
            const int64_t n = strip_index / row_blocks, b = strip_index % row_blocks;
            const int64_t begin = fc_part(most_rows, row_blocks, b), end = fc_part(most_rows, row_blocks, b + 1);
            const float *image = source + n * rows->source * columns->source * g->C;
            const float *strip = image + (begin * rows->step * columns->source) * g->C;
            if (padded) {
                float *copy = strips + fc_thread_index() * strip_size;
                copy_with_halo(image, rows->source, columns->source, g->C, begin * rows->step + rows->least,
                               (end - begin - 1) * rows->step + rows->most - rows->least + 1, columns->least,
                               strip_columns, copy);
                strip = copy;
            } else {
                strip += (rows->least * columns->source + columns->least) * g->C;
            }

            for (int64_t i = 0; i < phases; i++) {
                const phase *f = &plan[i];
                const int64_t pixels = fc_pieces(columns->outputs - f->column_phase, columns->phases);
                /* Tiles that may go round the end of a row take the block's rows for one long row. */
                const int turning = kernels->tile_turns && phases == 1 && pixels >= tile_pixels;
                const int64_t in_all = turning ? (end - begin) * pixels : pixels;
                const int64_t tiles = fc_pieces(in_all, tile_pixels);
                /* In place, panels are columns of a wide array, of which a cache holds few rows: one run at a time
                 * all pixels meet those of its weights. */
                const int64_t passes = in_place ? f->runs : 1;
                for (int64_t j = fc_part(panels * g->groups, panel_groups, part) * passes;
                     j < fc_part(panels * g->groups, panel_groups, part + 1) * passes; j++) {
                    const int64_t panel = j / passes, pass = j % passes;
                    const int64_t group = panel / panels, k = panel % panels * lanes;
                    const float *w = in_place ? g->kernel + pass * f->length * K + k
                                              : packed + f->weights + panel * f->row_taps * f->column_taps * C * lanes;
                    fc_product product = {
                        .runs = f->runs / passes, .offset = run_offsets + f->run + pass, .length = f->length,
                        .x_step = columns->step * g->C, .skip = x_row - pixels * columns->step * g->C,
                        .w_step = in_place ? K : lanes, .y_step = columns->phases * g->K,
                        .bias_step = pass ? columns->phases * g->K : 0};
                    for (int64_t h = begin; h < end; h += turning ? end - begin : 1) {
                        const int64_t row = f->row_phase + h * rows->phases;
                        if (row >= rows->outputs) break;
                        const float *from = strip + (h - begin) * x_row + group * C;
                        float *to = y + ((n * rows->outputs + row) * columns->outputs + f->column_phase) * g->K +
                                    group * K + k;
                        for (int64_t t = 0; t < tiles; t++) {
                            const int64_t first = fc_part(in_all, tiles, t), next = fc_part(in_all, tiles, t + 1);
                            const int64_t column = first % pixels;
                            float *start = to + first * product.y_step;
                            product.turn = pixels - column;
                            kernels->product_tile(&product, (int)(next - first), (int)fc_min(lanes, K - k),
                                                  from + first / pixels * x_row + column * product.x_step, w,
                                                  pass ? start : padded_bias + group * panels * lanes + k, start);
                        }
                    }
                }
            }
        }
    }
    free(plan);
    free(run_offsets);
    fc_free(memory);
    return FC_OK;
}

fc_status fc_conv2d_forward_direct(const fc_conv2d *conv, const float *x, const float *kernel, const float *bias,
                                   float *y) {
    gather g;
    if (conv->N == 0) return FC_OK;
    if (!fc_conv2d_fits(conv, 1)) return FC_TOO_LARGE;
    if (!plan_forward(&g, conv, kernel)) return FC_OUT_OF_MEMORY;
    fc_status status = run_gather(&g, conv->KW, fc_conv2d_operations(conv), x, bias, y);
    free(g.memory);
    return status;
}

fc_status fc_conv2d_backward_data_direct(const fc_conv2d *conv, const float *dy, const float *kernel, float *dx) {
    gather g;
    if (conv->N == 0 || conv->H == 0 || conv->W == 0) return FC_OK;
    if (!fc_conv2d_fits(conv, 1)) return FC_TOO_LARGE;
    if (!plan_backward_data(&g, conv, kernel)) return FC_OUT_OF_MEMORY;
    fc_status status = run_gather(&g, conv->KW, fc_conv2d_operations(conv), dy, NULL, dx);
    free(g.memory);
    return status;
}

/* ---- backward-kernel ---------------------------------------------------------------------------- */

typedef struct {
    const fc_conv2d *conv;
    const fc_kernels *kernels;
    int64_t lanes, tile_rows;
    int64_t C, K, panels;          /* of a group: channels in, out, and out in tiles */
    int joined;                    /* the taps of a kernel row are one run */
    int64_t runs, length;          /* runs of dkernel's rows that meet consecutive floats of x */
    int64_t run_tiles, tiles;      /* in a run, and in all of dkernel */
    int padded, packed;            /* x and dy are copied, not read where they lie */
    int64_t width, x_row, dy_row;  /* columns of x with its halo; floats of x and dy that a row of outputs moves on */
    int64_t strips;                /* of an image */
    int64_t x_size, dy_size;       /* a strip's copies */
} correlation;

static correlation plan_correlation(const fc_conv2d *conv, const fc_kernels *kernels, int64_t cached) {
    const int64_t H = fc_max((conv->OH - 1) * conv->stride_h + (conv->KH - 1) * conv->dilation_h + 1, 1);
    const int64_t W = fc_max((conv->OW - 1) * conv->stride_w + (conv->KW - 1) * conv->dilation_w + 1, 1);
    correlation c = {.conv = conv, .kernels = kernels, .lanes = kernels->tile_lanes,
                     .tile_rows = kernels->tile_pixels, .C = conv->C_in / conv->groups, .K = conv->C_out / conv->groups};
    c.panels = fc_pieces(c.K, c.lanes);
    c.joined = conv->groups == 1 && (conv->dilation_w == 1 || conv->KW == 1);
    c.runs = conv->KH * (c.joined ? 1 : conv->KW);
    c.length = c.joined ? conv->KW * c.C : c.C;
    c.run_tiles = fc_pieces(c.length, c.tile_rows);
    c.tiles = conv->groups * c.panels * c.runs * c.run_tiles;

    c.padded = conv->pad_top != 0 || conv->pad_left != 0 || H > conv->H || W > conv->W;
    c.packed = conv->groups > 1 || conv->C_out > c.lanes || conv->C_out % kernels->lanes;
    c.width = c.padded ? W : conv->W;
    c.x_row = conv->stride_h * c.width * conv->C_in;
    c.dy_row = conv->OW * conv->C_out;
    c.strips = fc_min(conv->OH, fc_pieces(conv->OH * (c.x_row + c.dy_row), cached));
    const int64_t rows = fc_pieces(conv->OH, c.strips);
    c.x_size = c.padded ? rows * c.x_row + (H - (conv->OH - 1) * conv->stride_h - 1) * c.width * conv->C_in : 0;
    c.dy_size = c.packed ? rows * c.dy_row : 0;
    return c;
}

/* The rows of x, halo and all, that the outputs in rows [h, h + rows) of image n see. */
static void copy_strip_of_x(const correlation *c, const float *x, int64_t n, int64_t h, int64_t rows, float *copy) {
    const fc_conv2d *conv = c->conv;
    copy_with_halo(x + n * conv->H * conv->W * conv->C_in, conv->H, conv->W, conv->C_in,
                   h * conv->stride_h - conv->pad_top,
                   (rows - 1) * conv->stride_h + (conv->KH - 1) * conv->dilation_h + 1, -conv->pad_left, c->width,
                   copy);
}

/* Rows [h, h + rows) of image n of dy, in panels: of every pixel a tile's channels, side by side. */
static void pack_strip_of_dy(const correlation *c, const float *dy, int64_t n, int64_t h, int64_t rows, float *packed) {
    const int64_t pixels = rows * c->conv->OW, C_out = c->conv->C_out;
    const float *strip = dy + (n * c->conv->OH + h) * c->dy_row;
    for (int64_t k = 0, channels; k < C_out; k += channels) {
        channels = fc_min(c->lanes, c->K - k % c->K);
        for (int64_t p = 0; p < pixels; p++, packed += channels)
            memcpy(packed, strip + p * C_out + k, sizeof(float) * (size_t)channels);
    }
}

/* Tiles [first, end) of dkernel meet the pixels of x and dy, whose steps within an image of dy are yet to be set. */
static void correlate(const correlation *c, fc_pixels pixels, int64_t first, int64_t end, const float *x,
                      const float *packed, float *dkernel) {
    const fc_conv2d *conv = c->conv;
    for (int64_t t = first; t < end; t++) {
        const int64_t tile = t % c->run_tiles, run = t / c->run_tiles % c->runs;
        const int64_t panel = t / (c->run_tiles * c->runs) % c->panels;
        const int64_t group = t / (c->run_tiles * c->runs * c->panels);
        const int64_t kh = c->joined ? run : run / conv->KW, kw = c->joined ? 0 : run % conv->KW;
        const int64_t j = fc_part(c->length, c->run_tiles, tile), next = fc_part(c->length, c->run_tiles, tile + 1);
        const int64_t k = group * c->K + panel * c->lanes, channels = fc_min(c->lanes, c->K - panel * c->lanes);
        pixels.dy_step = channels;
        pixels.dy_row = conv->OW * channels;
        const int64_t tap = (kh * conv->dilation_h * c->width + kw * conv->dilation_w) * conv->C_in;
        c->kernels->outer_tile(&pixels, (int)(next - j), (int)channels, x + tap + group * c->C + j,
                            packed + k * pixels.rows * conv->OW, dkernel + (run * c->length + j) * conv->C_out + k,
                            conv->C_out);
    }
}

fc_status fc_conv2d_backward_kernel_direct(const fc_conv2d *conv, const float *x, const float *dy, float *dkernel,
                                           float *dbias) {
    const fc_kernels *kernels = fc_kernels_active();
    if (!fc_conv2d_fits(conv, 1)) return FC_TOO_LARGE;
    const int64_t kernel_size = conv->KH * conv->KW * (conv->C_in / conv->groups) * conv->C_out;
    fc_status status = fc_column_sums(kernels, conv->N * conv->OH * conv->OW, conv->C_out, dy, dbias);
    if (status != FC_OK) return status;
    if (conv->N == 0) {
        memset(dkernel, 0, sizeof(float) * (size_t)kernel_size);
        return FC_OK;
    }

    /* A strip is as much of an image as half a megabyte holds of x and dy, or a few small images. */
    const int64_t cached = 1 << 17;
    const correlation c = plan_correlation(conv, kernels, cached);

    /* A kernel of few tiles is summed in chunks of the batch; how many depends on shapes alone. Within a chunk every
     * tile's sum is in the order of the pixels, so that the threads may share the tiles as they like. */
    const int64_t wanted_tasks = 64, chunks = fc_max(1, fc_min(conv->N, wanted_tasks / c.tiles));
    const int threads = fc_threads_for(fc_conv2d_operations(conv));
    const int64_t bands = threads > 1 ? fc_min(c.tiles, fc_pieces(4 * threads, chunks)) : 1;

    /* Strips of every chunk that are copied before all tiles meet them, and of those, how many meet a tile at once. */
    const int64_t most = fc_pieces(conv->N, chunks) * c.strips;
    const int64_t at_once = c.strips > 1 ? 1 : fc_max(1, cached / (chunks * conv->OH * (c.x_row + c.dy_row)));
    const int64_t copied = fc_min(most, fc_max(at_once, fc_pieces(threads, chunks)));

    /* The last vector of a pixel of dy may reach past it, in lanes that are never stored: there is room. */
    const int64_t copies_size = fc_plus(fc_volume(chunks, copied, c.x_size + c.dy_size), c.lanes);
    float *memory = fc_floats(fc_plus(copies_size, chunks > 1 ? fc_times(chunks, kernel_size) : 0));
    if (!memory) return FC_OUT_OF_MEMORY;
    float *x_copies = memory, *dy_copies = x_copies + chunks * copied * c.x_size;
    float *partial = chunks > 1 ? memory + copies_size : dkernel;

#pragma omp parallel num_threads(threads)
    for (int64_t done = 0; done < most; done += copied) {
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < chunks * copied * 2; i++) {
            const int64_t slot = i / 2, chunk = slot / copied, strip = done + slot % copied;
            const int64_t n = fc_part(conv->N, chunks, chunk) + strip / c.strips;
            const int64_t h = fc_part(conv->OH, c.strips, strip % c.strips);
            const int64_t rows = fc_part(conv->OH, c.strips, strip % c.strips + 1) - h;
            if (n >= fc_part(conv->N, chunks, chunk + 1)) continue;
            if (i % 2 == 1 && c.packed) pack_strip_of_dy(&c, dy, n, h, rows, dy_copies + slot * c.dy_size);
            if (i % 2 == 0 && c.padded) copy_strip_of_x(&c, x, n, h, rows, x_copies + slot * c.x_size);
        }
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < chunks * bands; task++) {
            const int64_t chunk = task / bands, band = task % bands, first = fc_part(conv->N, chunks, chunk);
            const int64_t end = fc_min(done + copied, (fc_part(conv->N, chunks, chunk + 1) - first) * c.strips);
            for (int64_t strip = done; strip < end; strip += at_once) {
                const int64_t slot = chunk * copied + strip - done, image = conv->H * conv->W * conv->C_in;
                const int64_t h = fc_part(conv->OH, c.strips, strip % c.strips);
                const int64_t rows = fc_part(conv->OH, c.strips, strip % c.strips + 1) - h;
                const fc_pixels pixels = {
                    .fresh = strip == 0, .images = fc_min(at_once, end - strip), .rows = rows, .pixels = conv->OW,
                    .x_image = c.padded ? c.x_size : image, .x_row = c.x_row, .x_step = conv->stride_w * conv->C_in,
                    .dy_image = c.packed ? c.dy_size : conv->OH * c.dy_row};
                const int64_t n = first + strip / c.strips;
                correlate(&c, pixels, fc_part(c.tiles, bands, band), fc_part(c.tiles, bands, band + 1),
                          c.padded ? x_copies + slot * c.x_size : x + n * image + h * c.x_row,
                          c.packed ? dy_copies + slot * c.dy_size : dy + (n * conv->OH + h) * c.dy_row,
                          partial + chunk * kernel_size);
            }
        }
    }
    if (chunks > 1) {
        memset(dkernel, 0, sizeof(float) * (size_t)kernel_size);
        kernels->add_rows(chunks, kernel_size, partial, dkernel);
    }
    fc_free(memory);
    return FC_OK;
}
