/* conv2d_connected.c - a convolution whose filters do not see every map.
 *
 *     y[n, h, w, k] = bias[k] + sum over kh, kw and the maps c connected to k of
 *                     x[n, h*s + kh*d - pad, w*s + kw*d - pad, c] kernel[kh, kw, (c, k)]
 *
 * LeCun et al. 1998, section II-B: so the filters of LeNet-5's C3, which see different maps, have to learn different
 * things, and 60 connections cost less than 96. The kernel has a weight for every tap of every connection (c, k),
 * and no multiplication is done for a connection that is not there.
 *
 * Lanes of output channels would have to multiply by zeros: in a vector of filters there is hardly a map that all of
 * them see. So images go into the lanes (bundle_kernel.h), and every filter adds up its own maps.
 *
 * The way back is the same machine with maps and filters exchanged, by phases (axis.h).
 */
#include <string.h>

#include "axis.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

/* A multiplication and an addition for every tap of every connection. */
static double operations(const fc_conv2d *conv, fc_connections connections) {
    return 2.0 * (double)conv->N * (double)conv->OH * (double)conv->OW * (double)conv->KH * (double)conv->KW *
           (double)connections.count;
}

static int sizes_fit(const fc_conv2d *conv, fc_connections connections) {
    return fc_conv2d_fits(conv, 1) && fc_fits(conv->KH, conv->KW, connections.count, FC_MOST_LANES);
}

/* ---- images into the lanes ---------------------------------------------------------------------- */

/* Where a bundle's source is: rows and columns of pixels of C vectors, from (row, column) of the image on. */
typedef struct {
    int64_t row, column, rows, columns, C;
} strip;

static int64_t floats_in(const strip *s, int64_t lanes) { return s->rows * s->columns * s->C * lanes; }

/* `to` is zero where the strip reaches past the image: nothing is written there. */
static void load_bundle(const fc_kernels *kernels, const strip *s, int64_t images, int64_t H, int64_t W,
                        const float *from, float *to) {
    const int64_t V = kernels->lanes, column = fc_max(0, s->column);
    const int64_t inside = fc_min(W, s->column + s->columns) - column;
    if (inside <= 0) return;
    for (int64_t row = fc_max(0, s->row); row < fc_min(H, s->row + s->rows); row++)
        kernels->transpose((int)images, (int)V, inside * s->C, from + (row * W + column) * s->C, H * W * s->C,
                           to + ((row - s->row) * s->columns + column - s->column) * s->C * V, V);
}

/* ---- forward and backward-data: every map gathers from those it is connected to ------------------ */

typedef struct {
    fc_axis rows, columns;
    int64_t N, C, K; /* maps of the source and of the output */
    int64_t *first;  /* connections of output map k: first[k] <= i < first[k + 1] */
    int64_t *source; /* the source map of each */
    int64_t *reach;  /* what each of them sees in a row of the strip, by column phases: see fill_reach */
    float *weights;  /* of each of them, by phases: see pack_weights */
    strip strip;
} gather;

/* Sorts the connections by output map; `number` receives their places in the kernel. */
static void sort_connections(gather *g, int64_t count, const int64_t *output, const int64_t *source, int64_t *number) {
    memset(g->first, 0, sizeof(int64_t) * (size_t)(g->K + 1));
    for (int64_t e = 0; e < count; e++) g->first[output[e] + 1]++;
    for (int64_t k = 0; k < g->K; k++) g->first[k + 1] += g->first[k];
    for (int64_t k = 0; k < g->K; k++)
        for (int64_t e = 0, i = g->first[k]; i < g->first[k + 1]; e++)
            if (output[e] == k) {
                g->source[i] = source[e];
                number[i++] = e;
            }
}

/* Map k's part begins at first[k] * KW; in it every tap of the phases' columns, in order, has all connections. */
static void fill_reach(const gather *g, int64_t KW) {
    int64_t *to = g->reach;
    for (int64_t k = 0; k < g->K; k++)
        for (int64_t t = 0; t < KW; t++)
            for (int64_t i = g->first[k]; i < g->first[k + 1]; i++)
                *to++ = (g->columns.offset[t] - g->columns.least) * g->C + g->source[i];
}

/* Taps of the phases before this one, rows first. */
static int64_t taps_before(const gather *g, int64_t row_phase, int64_t column_phase) {
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    const int64_t row_taps = rows->first[row_phase + 1] - rows->first[row_phase];
    return rows->first[row_phase] * columns->first[columns->phases] + row_taps * columns->first[column_phase];
}

/* Map k's part begins at first[k] * KH * KW; in it, phase by phase, the order in which connected_tile reads. */
static void pack_weights(const gather *g, int64_t count, int64_t kernel_columns, const int64_t *number,
                         const float *kernel) {
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    float *to = g->weights;
    for (int64_t k = 0; k < g->K; k++)
        for (int64_t r = 0; r < rows->phases; r++)
            for (int64_t c = 0; c < columns->phases; c++)
                for (int64_t t = rows->first[r]; t < rows->first[r + 1]; t++)
                    for (int64_t u = columns->first[c]; u < columns->first[c + 1]; u++) {
                        const float *tap = kernel + (rows->tap[t] * kernel_columns + columns->tap[u]) * count;
                        for (int64_t i = g->first[k]; i < g->first[k + 1]; i++) *to++ = tap[number[i]];
                    }
}

/* One row of all maps, [columns][K] vectors, from a strip. */
static void gather_row(const fc_kernels *kernels, const gather *g, int64_t row, const int64_t *offsets,
                       const float *bundle, const float *bias, float *to) {
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    const int64_t V = kernels->lanes, taps = rows->first[rows->phases] * columns->first[columns->phases];
    const int64_t row_phase = row % rows->phases, source_row = row / rows->phases * rows->step;
    /* The taps that fall into the image; a row of padding adds nothing. */
    int64_t tap = rows->first[row_phase], end_tap = rows->first[row_phase + 1];
    while (tap < end_tap && source_row + rows->offset[tap] < 0) tap++;
    while (tap < end_tap && source_row + rows->offset[end_tap - 1] >= rows->source) end_tap--;
    const int64_t skipped = tap - rows->first[row_phase];
    const float *from = bundle + source_row * g->strip.columns * g->C * V;
    for (int64_t phase = 0; phase < columns->phases; phase++) {
        const int64_t column_taps = columns->first[phase + 1] - columns->first[phase];
        const int64_t pixels = fc_pieces(columns->outputs - phase, columns->phases);
        const int64_t tiles = fc_pieces(pixels, FC_CONNECTED_PIXELS);
        for (int64_t k = 0; k < g->K; k++) {
            const int64_t seen = g->first[k + 1] - g->first[k];
            const fc_product product = {.runs = end_tap - tap, .offset = offsets + tap, .length = column_taps * seen,
                                        .x_step = columns->step * g->C, .y_step = columns->phases * g->K};
            const int64_t *reach =
                g->reach + g->first[k] * columns->first[columns->phases] + columns->first[phase] * seen;
            const float *weights = g->weights + g->first[k] * taps + taps_before(g, row_phase, phase) * seen +
                                   skipped * product.length;
            for (int64_t t = 0; t < tiles; t++) {
                const int64_t w = fc_part(pixels, tiles, t), end = fc_part(pixels, tiles, t + 1);
                kernels->connected_tile(&product, reach, (int)(end - w), from + w * product.x_step * V, weights,
                                        bias ? bias[k] : 0, to + (phase * g->K + k + w * product.y_step) * V);
            }
        }
    }
}

static fc_status run_gather(gather *g, const fc_conv2d *conv, fc_connections connections, const int64_t *output,
                            const int64_t *source_map, const float *source, const float *kernel, const float *bias,
                            float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_axis *rows = &g->rows, *columns = &g->columns;
    const int64_t V = kernels->lanes, count = connections.count, bundles = fc_pieces(g->N, V);
    const int threads = fc_threads_for(operations(conv, connections));
    g->strip = (strip){.row = rows->least, .column = columns->least, .rows = fc_extent(rows, fc_most_outputs(rows)),
                       .columns = fc_extent(columns, fc_most_outputs(columns)), .C = g->C};
    const int64_t source_size = floats_in(&g->strip, V), row_size = columns->outputs * g->K;

    int64_t *numbers = fc_indices(g->K + 1 + (2 + conv->KW) * count + conv->KH);
    float *memory = fc_floats(fc_plus(fc_round_up(conv->KH * conv->KW * count, 16),
                                      fc_times(threads, source_size + row_size * V)));
    if (!numbers || !memory) {
        free(numbers);
        fc_free(memory);
        return FC_OUT_OF_MEMORY;
    }
    g->first = numbers;
    g->source = g->first + g->K + 1;
    g->reach = g->source + count;
    int64_t *number = g->reach + conv->KW * count, *offsets = number + count;
    g->weights = memory;
    sort_connections(g, count, output, source_map, number);
    fill_reach(g, conv->KW);
    pack_weights(g, count, conv->KW, number, kernel);
    for (int64_t t = 0; t < conv->KH; t++) offsets[t] = (rows->offset[t] - rows->least) * g->strip.columns * g->C;

#pragma omp parallel num_threads(threads)
    {
        float *bundle = memory + fc_round_up(conv->KH * conv->KW * count, 16) +
                        fc_thread_index() * (source_size + row_size * V);
        float *row_of_maps = bundle + source_size;
        memset(bundle, 0, sizeof(float) * (size_t)source_size);
#pragma omp for schedule(dynamic)
        for (int64_t b = 0; b < bundles; b++) {
            const int64_t n = b * V, images = fc_min(V, g->N - n), image_size = rows->outputs * row_size;
            load_bundle(kernels, &g->strip, images, rows->source, columns->source,
                        source + n * rows->source * columns->source * g->C, bundle);
            for (int64_t row = 0; row < rows->outputs; row++) {
                gather_row(kernels, g, row, offsets, bundle, bias, row_of_maps);
                kernels->untranspose((int)images, row_size, row_of_maps, V, y + n * image_size + row * row_size,
                                     image_size);
            }
        }
    }
    free(numbers);
    fc_free(memory);
    return FC_OK;
}

fc_status fc_conv2d_connected_forward(const fc_conv2d *conv, fc_connections connections, const float *x,
                                      const float *kernel, const float *bias, float *y) {
    if (!sizes_fit(conv, connections)) return FC_TOO_LARGE;
    gather g = {.N = conv->N, .C = conv->C_in, .K = conv->C_out};
    int64_t *axes = fc_find_axes(conv, 0, &g.rows, &g.columns);
    if (!axes) return FC_OUT_OF_MEMORY;
    const fc_status status =
        run_gather(&g, conv, connections, connections.filter, connections.input, x, kernel, bias, y);
    free(axes);
    return status;
}

fc_status fc_conv2d_connected_backward_data(const fc_conv2d *conv, fc_connections connections, const float *dy,
                                            const float *kernel, float *dx) {
    if (!sizes_fit(conv, connections)) return FC_TOO_LARGE;
    gather g = {.N = conv->N, .C = conv->C_out, .K = conv->C_in};
    int64_t *axes = fc_find_axes(conv, 1, &g.rows, &g.columns);
    if (!axes) return FC_OUT_OF_MEMORY;
    const fc_status status =
        run_gather(&g, conv, connections, connections.input, connections.filter, dy, kernel, NULL, dx);
    free(axes);
    return status;
}

/* ---- backward-kernel ---------------------------------------------------------------------------- */

/* sums[kh, kw, e] += x dy over all pixels, a vector of images each. A map's connections lie side by side. */
static void correlate(const fc_kernels *kernels, const fc_conv2d *conv, fc_connections connections, const strip *s,
                      const float *x, const float *dy, float *sums) {
    const int64_t V = kernels->lanes, count = connections.count;
    const int64_t tap_tiles = fc_pieces(conv->KW, kernels->bundle_pixels), tap_step = conv->dilation_w * s->C;
    for (int64_t e = 0, next; e < count; e = next) {
        const int64_t map = connections.input[e];
        for (next = e; next < count && connections.input[next] == map; next++) continue;
        const int64_t tiles = fc_pieces(next - e, kernels->bundle_channels);
        const fc_pixels pixels = {.rows = conv->OH, .pixels = conv->OW, .x_row = conv->stride_h * s->columns * s->C,
                                  .x_step = conv->stride_w * s->C, .dy_row = conv->OW * conv->C_out,
                                  .dy_step = conv->C_out};
        for (int64_t u = 0; u < tiles; u++) {
            const int64_t first = e + fc_part(next - e, tiles, u), end = e + fc_part(next - e, tiles, u + 1);
            for (int64_t kh = 0; kh < conv->KH; kh++)
                for (int64_t t = 0; t < tap_tiles; t++) {
                    const int64_t kw = fc_part(conv->KW, tap_tiles, t), stop = fc_part(conv->KW, tap_tiles, t + 1);
                    kernels->connected_outer_tile(
                        &pixels, tap_step, connections.filter + first, (int)(stop - kw), (int)(end - first),
                        x + (kh * conv->dilation_h * s->columns * s->C + kw * tap_step + map) * V, dy,
                        sums + ((kh * conv->KW + kw) * count + first) * V, count);
                }
        }
    }
}

fc_status fc_conv2d_connected_backward_kernel(const fc_conv2d *conv, fc_connections connections, const float *x,
                                              const float *dy, float *dkernel, float *dbias) {
    if (!sizes_fit(conv, connections)) return FC_TOO_LARGE;
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t V = kernels->lanes, size = conv->KH * conv->KW * connections.count;
    const int64_t bundles = fc_pieces(conv->N, V), chunks = fc_min(bundles, 16); /* of bundles, summed together */
    fc_status status = fc_column_sums(kernels, conv->N * conv->OH * conv->OW, conv->C_out, dy, dbias);
    if (status != FC_OK) return status;

    fc_axis rows, columns;
    int64_t *axes = fc_find_axes(conv, 0, &rows, &columns);
    if (!axes) return FC_OUT_OF_MEMORY;
    const strip source = {.row = rows.least, .column = columns.least, .rows = fc_extent(&rows, conv->OH),
                          .columns = fc_extent(&columns, conv->OW), .C = conv->C_in};
    const strip gradient = {.rows = conv->OH, .columns = conv->OW, .C = conv->C_out};
    free(axes);

    const int threads = fc_threads_for(operations(conv, connections));
    const int64_t x_size = floats_in(&source, V), dy_size = floats_in(&gradient, V);
    float *memory = fc_floats(fc_plus(fc_times(threads, x_size + dy_size + size * V), chunks * size));
    if (!memory) return FC_OUT_OF_MEMORY;
    float *partial = memory + threads * (x_size + dy_size + size * V);
    memset(partial, 0, sizeof(float) * (size_t)(chunks * size));

#pragma omp parallel num_threads(threads)
    {
        float *x_bundle = memory + fc_thread_index() * (x_size + dy_size + size * V);
        float *dy_bundle = x_bundle + x_size, *sums = dy_bundle + dy_size;
        memset(x_bundle, 0, sizeof(float) * (size_t)x_size);
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < chunks; c++) {
            memset(sums, 0, sizeof(float) * (size_t)(size * V));
            for (int64_t b = fc_part(bundles, chunks, c); b < fc_part(bundles, chunks, c + 1); b++) {
                const int64_t n = b * V, images = fc_min(V, conv->N - n);
                load_bundle(kernels, &source, images, conv->H, conv->W, x + n * conv->H * conv->W * conv->C_in,
                            x_bundle);
                load_bundle(kernels, &gradient, images, conv->OH, conv->OW, dy + n * conv->OH * conv->OW * conv->C_out,
                            dy_bundle);
                correlate(kernels, conv, connections, &source, x_bundle, dy_bundle, sums);
            }
            kernels->sum_lanes(size, sums, partial + c * size);
        }
    }
    memset(dkernel, 0, sizeof(float) * (size_t)size);
    kernels->add_rows(chunks, size, partial, dkernel);
    fc_free(memory);
    return FC_OK;
}
