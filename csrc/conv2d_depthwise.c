/* conv2d_depthwise.c - every channel is convolved by itself, with M filters of its own.
 *
 *     y[n, h, w, c M + m] = bias[c M + m] + sum over kh, kw of
 *                           x[n, h*s + kh*d - pad, w*s + kw*d - pad, c] kernel[kh, kw, c, m]
 *
 * Howard et al. 2017, *MobileNets*: with a 1x1 convolution after it, which mixes the channels, this takes 8 to 9 times
 * fewer multiplications than a 3x3 convolution. The same as conv2d with groups = C_in; but there the register tile
 * would hold M outputs, a lane or two of a vector. Here K = C M channels lie in the lanes.
 *
 * Few channels would leave lanes empty as well. But where the pixels of a row lie side by side and a tap's are a
 * constant distance away, a row of outputs is one array of floats, and float j has the weights of channel j mod K: the
 * weights repeat with period K, 2 K, 4 K, ..., the first of these that fills whole vectors (fold.h does the same).
 *
 *     K = 3, four lanes:   pixels   [r g b r][g b r g][b r g b]    3 vectors are 4 pixels
 *
 * So the rows that a block of outputs sees are copied into a strip in which this holds: with their halo of zeros, with
 * each channel M times, and with the source pixels of a stride s dealt out by their remainder mod s, for of one tap's
 * pixels all have the same:
 *
 *     s = 2, three taps:   source   0 1 2 3 4 5 6      strip   0 2 4 6 | 1 3 5     tap 0, tap 2 | tap 1
 *
 * An image without padding, stride 1 and M = 1, is read where it lies.
 *
 * The gradient of the input asks which outputs saw a pixel: as in conv2d_direct.c, within one phase (the pixel's
 * remainder mod s) it is a convolution of dy with stride 1, with some of the taps. Its K numbers for each pixel are
 * added up M by M, and where s > 1 put between those of the other phases.
 *
 * The gradient of the kernel has a sum for each tap and float of the period, which walks along the rows of a strip.
 * The blocks of all images are cut into at most 16 parts, by the shapes alone, each with sums of its own, which are
 * added up in double precision in their order.
 */
#include <string.h>

#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum {
    STRIP_FLOATS = 1 << 16, /* a quarter of a megabyte: half of a small level-2 cache */
    MOST_PARTS = 16,
    WIDE = 64 /* channels that may end inside a vector: at most one lane in five is empty */
};

static double operations(const fc_conv2d *conv) {
    return 2.0 * (double)(conv->N * conv->OH * conv->OW) * (double)(conv->C_out) * (double)(conv->KH * conv->KW);
}

/* Floats after which the weights repeat, and fill whole vectors. */
static int64_t period_of(int64_t K, int64_t lanes) {
    int64_t period = K;
    while (period % lanes && K < WIDE) period *= 2;
    return period;
}

/* ---- one axis ------------------------------------------------------------------------------------- */

/* Output first + i*output_step, 0 <= i < outputs, sees through tap tap[t] the source pixel
 * (i + place[t]) * source_step + remainder[slot[t]]. Taps that see only padding are left out. */
typedef struct {
    int64_t source, source_step;
    int64_t first, output_step, outputs;
    int64_t taps, slots;
    int64_t least, most; /* place */
    int64_t *tap, *place, *slot, *remainder;
} axis;

static int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static void add_tap(axis *a, int64_t tap, int64_t place, int64_t remainder) {
    const int64_t first_seen = fc_max(0, place) * a->source_step + remainder;
    if (a->outputs - 1 + place < 0 || first_seen >= a->source) return;
    int64_t slot = 0;
    while (slot < a->slots && a->remainder[slot] != remainder) slot++;
    if (slot == a->slots) a->remainder[a->slots++] = remainder;
    a->least = a->taps ? fc_min(a->least, place) : place;
    a->most = a->taps ? fc_max(a->most, place) : place;
    a->tap[a->taps] = tap, a->place[a->taps] = place, a->slot[a->taps++] = slot;
}

static void forward_axis(axis *a, int64_t source, int64_t outputs, int64_t taps, int64_t stride, int64_t dilation,
                         int64_t pad) {
    a->source = source, a->source_step = stride;
    a->first = 0, a->output_step = 1, a->outputs = outputs;
    a->taps = a->slots = a->least = a->most = 0;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t place = floor_of(t * dilation - pad, stride);
        add_tap(a, t, place, t * dilation - pad - place * stride);
    }
}

/* The outputs are pixels of x, of one phase, and the source is dy. */
static void backward_axis(axis *a, int64_t phase, int64_t pixels, int64_t source, int64_t taps, int64_t stride,
                          int64_t dilation, int64_t pad) {
    a->source = source, a->source_step = 1;
    a->first = phase, a->output_step = stride, a->outputs = fc_pieces(pixels - phase, stride);
    a->taps = a->slots = a->least = a->most = 0;
    for (int64_t t = taps - 1; t >= 0; t--) {
        const int64_t distance = phase + pad - t * dilation;
        if (distance % stride == 0) add_tap(a, t, distance / stride, 0);
    }
}

/* ---- a block of outputs and what it sees ------------------------------------------------------------ */

typedef struct {
    const fc_conv2d *conv;
    const fc_kernels *kernels;
    int backward;
    int64_t M, C, K; /* the source has C channels, each M times in the strip, which makes K */
    axis rows, columns;
    int64_t *numbers; /* of the axes, and */
    int64_t *offset;  /* of the taps, in floats from the strip's first */
    int in_place;
    int64_t width, block, strip_rows, strip_size; /* pixels of a strip's row; rows of outputs that share a strip */
    fc_depthwise_rows shape;
} plan;

static fc_status new_plan(plan *p, const fc_conv2d *conv, int backward) {
    const int64_t K = conv->C_out, taps = conv->KH * conv->KW;
    /* More than the rows and columns of all slots of a strip. */
    if (!fc_fits(conv->N, conv->KH, conv->KW, 2 * (conv->H + conv->OH), 2 * (conv->W + conv->OW), K + FC_MOST_LANES))
        return FC_TOO_LARGE;
    *p = (plan){.conv = conv, .kernels = fc_kernels_active(), .backward = backward,
                .M = backward ? 1 : conv->C_out / conv->C_in, .C = backward ? K : conv->C_in, .K = K};
    p->numbers = fc_indices(4 * (conv->KH + conv->KW) + taps);
    if (!p->numbers) return FC_OUT_OF_MEMORY;
    int64_t *memory = p->numbers;
    axis *const axes[2] = {&p->rows, &p->columns};
    for (int i = 0; i < 2; i++) {
        const int64_t n = i ? conv->KW : conv->KH;
        axes[i]->tap = memory, axes[i]->place = memory + n, axes[i]->slot = memory + 2 * n;
        axes[i]->remainder = memory + 3 * n;
        memory += 4 * n;
    }
    p->offset = memory;
    return FC_OK;
}

/* Phases whose pixels there are. */
static int64_t row_phases(const plan *p) { return p->backward ? fc_min(p->conv->stride_h, p->conv->H) : 1; }
static int64_t column_phases(const plan *p) { return p->backward ? fc_min(p->conv->stride_w, p->conv->W) : 1; }

/* Everything that depends on the phase; forward there is one. `tasks` are wanted. */
static void enter_phase(plan *p, int64_t row_phase, int64_t column_phase, int64_t tasks) {
    const fc_conv2d *conv = p->conv;
    axis *rows = &p->rows, *columns = &p->columns;
    if (p->backward) {
        backward_axis(rows, row_phase, conv->H, conv->OH, conv->KH, conv->stride_h, conv->dilation_h, conv->pad_top);
        backward_axis(columns, column_phase, conv->W, conv->OW, conv->KW, conv->stride_w, conv->dilation_w,
                      conv->pad_left);
    } else {
        forward_axis(rows, conv->H, conv->OH, conv->KH, conv->stride_h, conv->dilation_h, conv->pad_top);
        forward_axis(columns, conv->W, conv->OW, conv->KW, conv->stride_w, conv->dilation_w, conv->pad_left);
    }
    const int64_t row_spread = rows->most - rows->least, column_spread = columns->most - columns->least;
    p->in_place = p->M == 1 && columns->source_step == 1 && columns->least >= 0 && rows->least >= 0 &&
                  columns->outputs - 1 + columns->most < columns->source;
    for (int64_t t = 0; t < rows->taps; t++)
        p->in_place &= (rows->outputs - 1 + rows->place[t]) * rows->source_step + rows->remainder[rows->slot[t]] <
                       rows->source;

    p->width = p->in_place ? columns->source : columns->slots * (columns->outputs + column_spread);
    const int64_t row = p->width * p->K, cached = STRIP_FLOATS / fc_max(1, row * fc_max(1, rows->slots)) - row_spread;
    const int64_t shared = fc_max(fc_pieces(conv->N * rows->outputs, tasks), 2 * (row_spread + 1));
    p->block = fc_max(1, fc_min(rows->outputs, fc_min(cached, tasks > 1 ? shared : cached)));
    p->strip_rows = p->block + row_spread;
    p->strip_size = p->in_place ? 0 : rows->slots * p->strip_rows * row;

    int64_t *offset = p->offset;
    for (int64_t t = 0; t < rows->taps; t++)
        for (int64_t u = 0; u < columns->taps; u++) {
            const int64_t column = columns->place[u] - columns->least;
            *offset++ = p->in_place
                            ? ((rows->place[t] * rows->source_step + rows->remainder[rows->slot[t]]) * p->width +
                               columns->place[u]) * p->K
                            : ((rows->slot[t] * p->strip_rows + rows->place[t] - rows->least) * p->width +
                               columns->slot[u] * (columns->outputs + column_spread) + column) * p->K;
        }
    const int64_t period = period_of(p->K, p->kernels->lanes);
    p->shape = (fc_depthwise_rows){.taps = rows->taps * columns->taps, .offset = p->offset,
                                   .x_row = p->in_place ? rows->source_step * row : row, .period = period,
                                   .x_step = period, .y_step = period, .length = columns->outputs * p->K};
}

/* to (pixels, C, M) from every step-th pixel of C floats */
static void copy_pixels(int64_t pixels, int64_t C, int64_t M, int64_t step, const float *from, float *to) {
    if (M == 1 && step == 1)
        memcpy(to, from, sizeof(float) * (size_t)(pixels * C));
    else if (M == 1 && C >= 8)
        for (int64_t i = 0; i < pixels; i++, from += step * C, to += C) memcpy(to, from, sizeof(float) * (size_t)C);
    else
        for (int64_t i = 0; i < pixels; i++, from += step * C)
            for (int64_t c = 0; c < C; c++)
                for (int64_t m = 0; m < M; m++) *to++ = from[c];
}

static void zero(float *to, int64_t count) { memset(to, 0, sizeof(float) * (size_t)count); }

/* What the outputs in rows first, ..., first + rows - 1 of the phase see of an image: the strip, or the image. */
static const float *load_strip(const plan *p, const float *image, int64_t first, int64_t count, float *strip) {
    const axis *rows = &p->rows, *columns = &p->columns;
    if (p->in_place) return image + first * p->shape.x_row;
    const int64_t pixels = columns->outputs + columns->most - columns->least, K = p->K;
    for (int64_t s = 0; s < rows->slots; s++) {
        float *to = strip + s * p->strip_rows * p->width * K;
        for (int64_t r = first + rows->least; r < first + count + rows->most; r++) {
            const int64_t row = r * rows->source_step + rows->remainder[s];
            if (r < 0 || row >= rows->source) {
                zero(to, p->width * K);
                to += p->width * K;
                continue;
            }
            for (int64_t u = 0; u < columns->slots; u++, to += pixels * K) {
                /* Of this slot's pixels, i is at (i + least) * step + remainder of the source. */
                const int64_t rest = columns->remainder[u], step = columns->source_step;
                const int64_t there = rest < columns->source ? (columns->source - 1 - rest) / step + 1 : 0;
                const int64_t left = fc_min(pixels, fc_max(0, -columns->least));
                const int64_t end = fc_max(left, fc_min(pixels, there - columns->least));
                zero(to, left * K);
                copy_pixels(end - left, p->C, p->M, step,
                            image + (row * columns->source + (left + columns->least) * step + rest) * p->C,
                            to + left * K);
                zero(to + end * K, (pixels - end) * K);
            }
        }
    }
    return strip;
}

/* ---- forward and backward-data ---------------------------------------------------------------------- */

/* The phase's taps of kernel (KH, KW, K), each repeated to a period, and the bias. */
static void pack_weights(const plan *p, const float *kernel, const float *bias, float *weights, float *biases) {
    const int64_t period = p->shape.period, K = p->K;
    for (int64_t t = 0; t < p->rows.taps; t++)
        for (int64_t u = 0; u < p->columns.taps; u++)
            for (int64_t i = 0; i < period; i += K, weights += K)
                memcpy(weights, kernel + (p->rows.tap[t] * p->conv->KW + p->columns.tap[u]) * K,
                       sizeof(float) * (size_t)K);
    for (int64_t i = 0; i < period; i += K, biases += K) {
        if (bias) memcpy(biases, bias, sizeof(float) * (size_t)K);
        else zero(biases, K);
    }
}

/* A row of the phase's pixels, (pixels, C, M) summed over m, goes to every step-th pixel of dx. */
static void scatter_row(const float *from, int64_t pixels, int64_t C, int64_t M, int64_t step, float *dx) {
    for (int64_t i = 0; i < pixels; i++, dx += step * C)
        if (M == 1) {
            for (int64_t c = 0; c < C; c++) dx[c] = from[c];
            from += C;
        } else {
            for (int64_t c = 0; c < C; c++, from += M) {
                float sum = from[0];
                for (int64_t m = 1; m < M; m++) sum += from[m];
                dx[c] = sum;
            }
        }
}

static void run_phase(plan *p, int threads, const float *source, const float *weights, const float *biases,
                      int64_t room, float *memory, float *y) {
    const fc_conv2d *conv = p->conv;
    const axis *rows = &p->rows, *columns = &p->columns;
    /* Channels of an output pixel, and whether they can be written where they belong. */
    const int64_t C = p->backward ? conv->C_in : p->K, width = p->backward ? conv->W : conv->OW;
    const int64_t height = p->backward ? conv->H : conv->OH;
    const int direct = C == p->K && columns->output_step == 1;
    const int64_t blocks = fc_pieces(rows->outputs, p->block);
#pragma omp parallel num_threads(threads)
    {
        float *strip = memory + fc_thread_index() * room, *scratch = strip + p->strip_size;
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < conv->N * blocks; task++) {
            const int64_t n = task / blocks, first = task % blocks * p->block;
            const int64_t count = fc_min(p->block, rows->outputs - first), y_row = rows->output_step * width * C;
            float *to = y + ((n * height + rows->first + first * rows->output_step) * width + columns->first) * C;
            fc_depthwise_rows shape = p->shape;
            shape.rows = count;
            shape.y_row = direct ? y_row : shape.length;
            shape.roomy = !p->in_place || (conv->N - 1 - n) * rows->source * columns->source * p->C >= FC_MOST_LANES;
            const float *from =
                load_strip(p, source + n * rows->source * columns->source * p->C, first, count, strip);
            p->kernels->depthwise_rows(&shape, from, weights, biases, direct ? to : scratch);
            for (int64_t r = 0; !direct && r < count; r++)
                scatter_row(scratch + r * shape.length, columns->outputs, C, p->K / C, columns->output_step,
                            to + r * y_row);
        }
    }
}

static fc_status run(plan *p, const float *source, const float *kernel, const float *bias, float *y) {
    const int threads = fc_threads_for(operations(p->conv));
    const int64_t tasks = threads > 1 ? 4 * threads : 1, V = p->kernels->lanes;
    const int64_t row_count = row_phases(p), column_count = column_phases(p);
    int64_t room = 0;
    for (int64_t phase = 0; phase < row_count * column_count; phase++) {
        enter_phase(p, phase / column_count, phase % column_count, tasks);
        room = fc_max(room, p->strip_size + (p->backward ? p->block * p->shape.length : 0));
    }
    room = fc_round_up(room + V, 16); /* a vector may reach past the last pixel, in lanes that are never stored */
    const int64_t weights_size = fc_round_up(p->conv->KH * p->conv->KW * p->shape.period + V, 16);
    const int64_t bias_size = fc_round_up(p->shape.period + V, 16);
    float *memory = fc_floats(fc_plus(weights_size + bias_size, fc_times(threads, room)));
    if (!memory) return FC_OUT_OF_MEMORY;
    float *weights = memory, *biases = memory + weights_size;
    for (int64_t phase = 0; phase < row_count * column_count; phase++) {
        enter_phase(p, phase / column_count, phase % column_count, tasks);
        pack_weights(p, kernel, bias, weights, biases);
        run_phase(p, threads, source, weights, biases, room, biases + bias_size, y);
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_conv2d_depthwise_forward(const fc_conv2d *conv, const float *x, const float *kernel, const float *bias,
                                      float *y) {
    plan p;
    fc_status status = new_plan(&p, conv, 0);
    if (status != FC_OK) return status;
    status = run(&p, x, kernel, bias, y);
    free(p.numbers);
    return status;
}

fc_status fc_conv2d_depthwise_backward_data(const fc_conv2d *conv, const float *dy, const float *kernel, float *dx) {
    plan p;
    fc_status status = new_plan(&p, conv, 1);
    if (status != FC_OK) return status;
    status = run(&p, dy, kernel, NULL, dx);
    free(p.numbers);
    return status;
}

/* ---- backward-kernel --------------------------------------------------------------------------------- */

/* dkernel, zero for the taps that see only padding, from the parts' sums (parts, taps, period). */
static void add_parts(const plan *p, int64_t parts, const float *sums, float *dkernel) {
    const int64_t period = p->shape.period, K = p->K, size = p->shape.taps * period;
    zero(dkernel, p->conv->KH * p->conv->KW * K);
    for (int64_t t = 0; t < p->shape.taps; t++) {
        const int64_t tap = p->rows.tap[t / p->columns.taps] * p->conv->KW + p->columns.tap[t % p->columns.taps];
        for (int64_t k = 0; k < K; k++) {
            double total = 0;
            for (int64_t part = 0; part < parts; part++)
                for (int64_t j = k; j < period; j += K) total += (double)sums[part * size + t * period + j];
            dkernel[tap * K + k] = (float)total;
        }
    }
}

fc_status fc_conv2d_depthwise_backward_kernel(const fc_conv2d *conv, const float *x, const float *dy, float *dkernel,
                                              float *dbias) {
    plan p;
    fc_status status = new_plan(&p, conv, 0);
    if (status != FC_OK) return status;
    enter_phase(&p, 0, 0, MOST_PARTS); /* not the threads: sums depend on where the blocks end */
    const int threads = fc_threads_for(operations(conv));
    const int64_t blocks = fc_pieces(conv->OH, p.block), parts = fc_min(conv->N * blocks, MOST_PARTS);
    const int64_t size = p.shape.taps * p.shape.period, row = conv->OW * p.K;
    const int64_t image = conv->H * conv->W * conv->C_in;
    const int64_t room = fc_round_up(p.strip_size + p.kernels->lanes, 16);
    float *memory = fc_floats(fc_plus(parts * size, fc_times(threads, room)));
    status = memory ? fc_column_sums(p.kernels, conv->N * conv->OH * conv->OW, conv->C_out, dy, dbias)
                    : FC_OUT_OF_MEMORY;
    if (status != FC_OK) {
        fc_free(memory);
        free(p.numbers);
        return status;
    }
    float *strips = memory + parts * size;
    zero(memory, parts * size);
    /* Rows whose pixels stay in the first-level cache while every tap meets them. */
    const int64_t close = fc_max(1, (1 << 12) / fc_max(1, p.width * p.K));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t part = 0; part < parts; part++) {
        float *strip = strips + fc_thread_index() * room;
        for (int64_t b = fc_part(conv->N * blocks, parts, part); b < fc_part(conv->N * blocks, parts, part + 1); b++) {
            const int64_t n = b / blocks, first = b % blocks * p.block, count = fc_min(p.block, conv->OH - first);
            const float *from = load_strip(&p, x + n * image, first, count, strip);
            const float *gradient = dy + (n * conv->OH + first) * row;
            for (int64_t r = 0; r < count; r += close) {
                fc_depthwise_rows shape = p.shape;
                shape.y_row = row;
                shape.rows = fc_min(close, count - r);
                /* Other images of dy lie behind this one, and of x, if that is not a strip. */
                shape.roomy = (conv->N - 1 - n) * conv->OH * row >= FC_MOST_LANES &&
                              (!p.in_place || (conv->N - 1 - n) * image >= FC_MOST_LANES);
                p.kernels->depthwise_gradient(&shape, from + r * shape.x_row, gradient + r * row, memory + part * size);
            }
        }
    }
    add_parts(&p, parts, memory, dkernel);
    free(p.numbers);
    fc_free(memory);
    return FC_OK;
}
