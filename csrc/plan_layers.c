/* plan_layers.c - a plan for a few images: layer after layer, channels in the lanes.
 *
 * One image in a bundle of sixteen would do sixteen times the work. With channels in the lanes instead
 * (tile_kernel.h), a layer of LeNet-5 takes a microsecond or two for one image, and what there is to save is
 * everything around it. So
 *
 *     memory          is laid out once, for all calls
 *     weights         are read where they lie, rows of K floats: packing them costs as much as one image's sums.
 *                     The last vector of a row reaches into the next row, that of the last row past the
 *                     array: parameters are followed by a few floats that nobody uses (plan.h)
 *     y = x w         of a dense layer and one image has more sums at once than a tile of one row (row_kernel.h)
 *     dx = dy w^T     of a dense layer is taken by dot products along w's rows (dot_rows), for the same reason
 *     images          are copied where a convolution pads them, into arrays whose borders are zero for good; rows of
 *                     the border are left out of the sums
 *     threads         are woken once for the whole network, if it is large enough to pay at all
 *     large kernels   are left to the drivers of lessons 3 and 4, forward only: what is saved is the way from
 *                     layer to layer through Python
 *
 * Every output is computed by one thread in one order: bits do not depend on how many there are.
 * Measured, LeNet-5, one image, one thread, AVX-512: 10 microseconds forward, 45 for a training step, where the
 * same layers on the drivers of lesson 3, in one call too, took 20 and 83.
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"

enum { ROW_PIECES = 16 }; /* that the rows of a pooling layer are dealt out in */

/* Where one step's arrays are: N images NHWC, floats from the start of the memory; -1 for none, as are those of
 * the way back where there is none. */
typedef struct {
    int64_t y, dy;              /* its output, and the gradient of that */
    int64_t padded, padded_dy;  /* a convolution's input and gradient with a border of zeros */
    int64_t turned;             /* its kernel for the way back: [KH][KW][K][C], taps in reverse order */
    int64_t switches;           /* of max pooling */
} places;

struct fc_layers {
    int count, drivers; /* steps, and those among them that a driver computes */
    const fc_step *steps;
    places *at;
    /* What follows depends on the instruction set and the largest batch, and is laid out when they change. */
    const fc_kernels *kernels;
    int64_t capacity, unwanted_bias;
    float *memory;
};

/* ---- layout ------------------------------------------------------------------------------------- */

fc_layers *fc_layers_new(const fc_step *steps, int count) {
    fc_layers *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->count = count;
    l->steps = steps;
    for (int i = 0; i < count; i++) l->drivers += steps[i].driver != NULL;
    l->at = malloc(sizeof(places) * (size_t)count);
    if (l->at) return l;
    free(l);
    return NULL;
}

void fc_layers_free(fc_layers *l) {
    if (!l) return;
    fc_free(l->memory);
    free(l->at);
    free(l);
}

int fc_layers_drivers(const fc_layers *l) { return l->drivers; }

static int64_t size_out_of(const fc_step *s) { return s->OH * s->OW * s->K; }

/* A convolution's image with its border: what the taps of all outputs see. */
static int64_t padded_height(const fc_step *s) { return s->OH + s->size_h - 1; }
static int64_t padded_width(const fc_step *s) { return s->OW + s->size_w - 1; }
static int is_padded(const fc_step *s) { return padded_height(s) != s->H || padded_width(s) != s->W; }

/* The same of its gradient, on the way back: a convolution from (OH, OW, K) to (H, W, C). */
static int64_t back_height(const fc_step *s) { return s->H + s->size_h - 1; }
static int64_t back_width(const fc_step *s) { return s->W + s->size_w - 1; }

/* Room for `floats`, and for the vector that reaches past the last of them. */
static int64_t take(int64_t *used, int64_t floats) {
    const int64_t at = *used;
    *used = fc_plus(*used, fc_round_up(fc_plus(floats, FC_PLAN_SLACK), 16));
    return at;
}

static fc_status lay_out(fc_layers *l, const fc_kernels *kernels, int64_t N) {
    if (l->kernels == kernels && N <= l->capacity) return FC_OK;
    for (int i = 0; i < l->count; i++)
        if (!fc_step_fits(&l->steps[i], N)) return FC_TOO_LARGE;
    fc_free(l->memory);
    l->kernels = NULL;
    int64_t used = 0, most_channels = 1;
    for (int i = 0; i < l->count; i++) {
        const fc_step *s = &l->steps[i];
        places *at = &l->at[i];
        const int by_rows = s->kind == FC_CONV && !s->driver, way_back = !l->drivers;
        *at = (places){-1, -1, -1, -1, -1, -1};
        at->y = take(&used, N * size_out_of(s));
        if (by_rows && is_padded(s)) at->padded = take(&used, N * padded_height(s) * padded_width(s) * s->C);
        if (s->kind == FC_MAX_POOL) at->switches = take(&used, fc_pieces(N * size_out_of(s), 2));
        if (way_back) at->dy = take(&used, N * size_out_of(s));
        if (way_back && by_rows && i > 0) {
            at->padded_dy = take(&used, N * back_height(s) * back_width(s) * s->K);
            at->turned = take(&used, s->size_h * s->size_w * s->K * s->C);
        }
        most_channels = fc_max(most_channels, s->K);
    }
    l->unwanted_bias = take(&used, most_channels);
    l->memory = fc_floats(used);
    if (!l->memory) return FC_OUT_OF_MEMORY;
    memset(l->memory, 0, sizeof(float) * (size_t)used);
    l->kernels = kernels;
    l->capacity = N;
    return FC_OK;
}

/* ---- pooling ------------------------------------------------------------------------------------ */

static fc_pool2d pooling(const fc_step *s, int64_t N) {
    return (fc_pool2d){.N = N, .H = s->H, .W = s->W, .C = s->C, .KH = s->size_h, .KW = s->size_w, .OH = s->OH,
                       .OW = s->OW, .stride_h = s->size_h, .stride_w = s->size_w};
}

static fc_switches switches_of(const fc_layers *l, int i) {
    const int64_t at = l->at[i].switches;
    return (fc_switches){.narrow = at < 0 ? NULL : (uint16_t *)(l->memory + at)};
}

/* ---- forward ------------------------------------------------------------------------------------ */

static const float zeros[FC_ROW_VECTORS * FC_MOST_LANES]; /* in place of a bias */

/* y (pixels, K) = bias + products, for the output channels [k, k + lanes) */
static void multiply_panel(const fc_kernels *kernels, const fc_product *product, int64_t k, const float *x,
                           const float *kernel, const float *bias, int64_t pixels, float *y) {
    const int64_t K = product->y_step, tiles = fc_pieces(pixels, kernels->tile_pixels);
    const int channels = (int)fc_min(kernels->tile_lanes, K - k);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t w = fc_part(pixels, tiles, t), end = fc_part(pixels, tiles, t + 1);
        kernels->product_tile(product, (int)(end - w), channels, x + w * product->x_step, kernel + k,
                              bias ? bias + k : zeros, y + w * K + k);
    }
}

/* y (pixels, K) = bias + what the taps see of x, pixel by pixel; x and x_row of an image with its border */
static void convolve_row(const fc_kernels *kernels, int64_t KH, int64_t KW, int64_t C, int64_t K, const float *x,
                         int64_t x_row, const float *kernel, const float *bias, int64_t pixels, float *y) {
    int64_t offsets[FC_PLAN_MOST_ROWS];
    for (int64_t kh = 0; kh < KH; kh++) offsets[kh] = kh * x_row;
    const fc_product product = {.runs = KH, .offset = offsets, .length = KW * C, .x_step = C, .w_step = K,
                                .y_step = K};
    for (int64_t k = 0; k < K; k += kernels->tile_lanes)
        multiply_panel(kernels, &product, k, x, kernel, bias, pixels, y);
}

static void forward(const fc_layers *l, int i, int64_t N, const float *x) {
    const fc_kernels *kernels = l->kernels;
    const fc_step *s = &l->steps[i];
    const places *at = &l->at[i];
    float *y = l->memory + at->y;
    if (s->kind == FC_CONV) {
        int64_t row = s->W * s->C, height = s->H;
        if (at->padded >= 0) {
            float *padded = l->memory + at->padded;
            row = padded_width(s) * s->C, height = padded_height(s);
#pragma omp for schedule(static)
            for (int64_t r = 0; r < N * s->H; r++)
                memcpy(padded + (r / s->H * height + r % s->H + s->pad_top) * row + s->pad_left * s->C,
                       x + r * s->W * s->C, sizeof(float) * (size_t)(s->W * s->C));
            x = padded;
        }
#pragma omp for schedule(static)
        for (int64_t r = 0; r < N * s->OH; r++) {
            const fc_range kh = fc_taps_inside(s->size_h, s->pad_top, s->H, r % s->OH, r % s->OH + 1);
            float *to = y + r * s->OW * s->K;
            convolve_row(kernels, kh.end - kh.first, s->size_w, s->C, s->K,
                         x + (r / s->OH * height + r % s->OH + kh.first) * row, row,
                         s->kernel + kh.first * s->size_w * s->C * s->K, s->bias, s->OW, to);
            if (s->activation != FC_LINEAR) kernels->activate(s->activation, s->alpha, s->OW * s->K, to, to);
        }
    } else if (s->kind == FC_DENSE) {
        const int64_t lanes = N == 1 ? FC_ROW_VECTORS * kernels->lanes : kernels->tile_lanes, start = 0;
        const fc_product product = {.runs = 1, .offset = &start, .length = s->C, .x_step = s->C, .w_step = s->K,
                                    .y_step = s->K};
#pragma omp for schedule(static)
        for (int64_t k = 0; k < s->K; k += lanes) {
            if (N == 1)
                kernels->row_tile(s->C, (int)fc_min(lanes, s->K - k), x, s->kernel + k, s->K,
                                  s->bias ? s->bias + k : zeros, y + k);
            else multiply_panel(kernels, &product, k, x, s->kernel, s->bias, N, y);
        }
#pragma omp single
        if (s->activation != FC_LINEAR) kernels->activate(s->activation, s->alpha, N * s->K, y, y);
    } else {
        const fc_pool2d pool = pooling(s, N);
        const int64_t rows = N * s->OH, pieces = fc_min(rows, ROW_PIECES);
        const fc_switches switches = switches_of(l, i);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < pieces; t++) {
            const int64_t first = fc_part(rows, pieces, t), count = fc_part(rows, pieces, t + 1) - first;
            if (s->kind == FC_MAX_POOL) kernels->max_pool(&pool, first, count, x, y, switches);
            else kernels->avg_pool(&pool, first, count, x, y);
        }
    }
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* dw (rows, K) = the outer products of all pixels, rows [0, rows) of x with all of dy */
static void correlate(const fc_kernels *kernels, const fc_pixels *pixels, int64_t rows, int64_t K, const float *x,
                      const float *dy, float *dw) {
    for (int64_t k = 0; k < K; k += kernels->tile_lanes)
        kernels->outer_tile(pixels, (int)rows, (int)fc_min(kernels->tile_lanes, K - k), x, dy + k, dw + k, K);
}

/* Leaves the gradient at its input in `below`, unless that is NULL. `dy` is used up. */
static void backward(const fc_layers *l, int i, int64_t N, const float *x, float *below) {
    const fc_kernels *kernels = l->kernels;
    const fc_step *s = &l->steps[i];
    const places *at = &l->at[i];
    const float *y = l->memory + at->y;
    float *dy = l->memory + at->dy, *dbias = s->dbias ? s->dbias : l->memory + l->unwanted_bias;
    if (s->kind == FC_CONV) {
        /* dy through the activation's slope, to where it has a border if the way goes on */
        const int bordered = below != NULL;
        const int64_t dy_row = bordered ? back_width(s) * s->K : s->OW * s->K;
        const int64_t dy_height = bordered ? back_height(s) : s->OH;
        const int64_t top = bordered ? s->size_h - 1 - s->pad_top : 0;
        const int64_t left = bordered ? s->size_w - 1 - s->pad_left : 0;
        float *dz = bordered ? l->memory + at->padded_dy : dy;
#pragma omp for schedule(static)
        for (int64_t r = 0; r < N * s->OH; r++) {
            const int64_t size = s->OW * s->K;
            float *to = dz + (r / s->OH * dy_height + r % s->OH + top) * dy_row + left * s->K;
            if (s->activation != FC_LINEAR)
                kernels->activate_backward(s->activation, s->alpha, size, dy + r * size, y + r * size, to);
            else if (bordered) memcpy(to, dy + r * size, sizeof(float) * (size_t)size);
        }
        const float *inner = dz + top * dy_row + left * s->K;
#pragma omp single nowait
        {
            memset(dbias, 0, sizeof(float) * (size_t)s->K);
            for (int64_t r = 0; r < N * s->OH; r++)
                kernels->add_rows(s->OW, s->K, inner + (r / s->OH * dy_height + r % s->OH) * dy_row, dbias);
        }
        const int padded = at->padded >= 0;
        const int64_t x_row = (padded ? padded_width(s) : s->W) * s->C, x_height = padded ? padded_height(s) : s->H;
        const int64_t length = s->size_w * s->C, tiles = fc_pieces(length, kernels->tile_pixels);
        if (padded) x = l->memory + at->padded;
#pragma omp for schedule(static) nowait
        for (int64_t task = 0; task < s->size_h * tiles; task++) {
            const int64_t kh = task / tiles, j = fc_part(length, tiles, task % tiles);
            const fc_range h = fc_taps_inside(s->OH, s->pad_top, s->H, kh, kh + 1);
            const fc_pixels pixels = {.fresh = 1, .images = N, .rows = h.end - h.first, .pixels = s->OW,
                                      .x_image = x_height * x_row, .x_row = x_row, .x_step = s->C,
                                      .dy_image = dy_height * dy_row, .dy_row = dy_row, .dy_step = s->K};
            correlate(kernels, &pixels, fc_part(length, tiles, task % tiles + 1) - j, s->K,
                      x + (kh + h.first) * x_row + j, inner + h.first * dy_row, s->dkernel + (kh * length + j) * s->K);
        }
        if (!below) return;
        const int64_t taps = s->size_h * s->size_w, V = kernels->lanes;
        float *turned = l->memory + at->turned;
#pragma omp for schedule(static)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t c = 0; c < s->C; c += V) {
                const int channels = (int)fc_min(V, s->C - c);
                kernels->transpose(channels, channels, s->K, s->kernel + ((taps - 1 - tap) * s->C + c) * s->K, s->K,
                                   turned + tap * s->K * s->C + c, s->C);
            }
#pragma omp for schedule(static)
        for (int64_t r = 0; r < N * s->H; r++) {
            const fc_range kh = fc_taps_inside(s->size_h, top, s->OH, r % s->H, r % s->H + 1);
            convolve_row(kernels, kh.end - kh.first, s->size_w, s->K, s->C,
                         dz + (r / s->H * dy_height + r % s->H + kh.first) * dy_row, dy_row,
                         turned + kh.first * s->size_w * s->K * s->C, NULL, s->W, below + r * s->W * s->C);
        }
    } else if (s->kind == FC_DENSE) {
#pragma omp single
        {
            if (s->activation != FC_LINEAR)
                kernels->activate_backward(s->activation, s->alpha, N * s->K, dy, y, dy);
            memset(dbias, 0, sizeof(float) * (size_t)s->K);
            kernels->add_rows(N, s->K, dy, dbias);
        }
        const int64_t tiles = fc_pieces(s->C, kernels->tile_pixels), V = kernels->lanes;
        const fc_pixels pixels = {.fresh = 1, .images = 1, .rows = 1, .pixels = N, .x_step = s->C, .dy_step = s->K};
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < tiles; t++) {
            const int64_t c = fc_part(s->C, tiles, t);
            correlate(kernels, &pixels, fc_part(s->C, tiles, t + 1) - c, s->K, x + c, dy, s->dkernel + c * s->K);
        }
        if (!below) return;
#pragma omp for schedule(static)
        for (int64_t t = 0; t < fc_pieces(s->C, V); t++)
            for (int64_t n = 0; n < N; n++)
                kernels->dot_rows((int)fc_min(V, s->C - t * V), s->K, s->kernel + t * V * s->K, s->K, dy + n * s->K,
                                  below + n * s->C + t * V);
    } else if (below) {
        const fc_pool2d pool = pooling(s, N);
        const int64_t rows = N * s->H, pieces = fc_min(rows, ROW_PIECES);
        const fc_switches switches = switches_of(l, i);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < pieces; t++) {
            const int64_t first = fc_part(rows, pieces, t), count = fc_part(rows, pieces, t + 1) - first;
            if (s->kind == FC_MAX_POOL) kernels->max_pool_backward(&pool, first, count, dy, switches, below);
            else kernels->avg_pool_backward(&pool, first, count, dy, below);
        }
    }
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static double operations_of(const fc_step *s, int64_t N) {
    const int64_t taps = s->size_h * s->size_w * (s->kind == FC_CONV || s->kind == FC_DENSE ? 2 * s->C : 1);
    return (double)(N * size_out_of(s)) * (double)taps;
}

static double operations(const fc_layers *l, int64_t N, int training) {
    double sum = 0;
    for (int i = 0; i < l->count; i++) sum += operations_of(&l->steps[i], N);
    return training ? 3 * sum : sum;
}

static const float *input_of(const fc_layers *l, int i, const fc_batch *batch) {
    return i ? l->memory + l->at[i - 1].y : batch->x;
}

static void run(const fc_layers *l, const fc_batch *batch, int training) {
    const int64_t N = batch->N, classes = l->steps[l->count - 1].K;
    const int last = l->count - 1;
    for (int i = 0; i <= last; i++) forward(l, i, N, input_of(l, i, batch));
#pragma omp single
    {
        const float *logits = l->memory + l->at[last].y;
        l->kernels->softmax(N, classes, logits, batch->probabilities);
        if (training)
            l->kernels->cross_entropy(N, classes, logits, batch->targets, batch->scale, FC_NO_LIMITS, batch->losses,
                                      l->memory + l->at[last].dy);
    }
    for (int i = last; training && i >= 0; i--)
        backward(l, i, N, input_of(l, i, batch), i ? l->memory + l->at[i - 1].dy : NULL);
}

/* Forward through large layers, each with threads of its own. */
static fc_status run_with_drivers(const fc_layers *l, const fc_batch *batch) {
    const int64_t N = batch->N;
    for (int i = 0; i < l->count; i++) {
        const fc_step *s = &l->steps[i];
        const float *x = input_of(l, i, batch);
        if (s->driver) {
            float *y = l->memory + l->at[i].y;
            const fc_conv2d conv = {.N = N, .H = s->H, .W = s->W, .C_in = s->C, .KH = s->size_h, .KW = s->size_w,
                                    .C_out = s->K, .OH = s->OH, .OW = s->OW, .stride_h = 1, .stride_w = 1,
                                    .dilation_h = 1, .dilation_w = 1, .pad_top = s->pad_top, .pad_left = s->pad_left,
                                    .groups = 1};
            fc_status status = s->driver(&conv, x, s->kernel, s->bias, y);
            if (status != FC_OK) return status;
            if (s->activation != FC_LINEAR) fc_activation_forward(s->activation, s->alpha, N * size_out_of(s), y, y);
            continue;
        }
        const int threads = fc_threads_for(operations_of(s, N));
        if (threads == 1) {
            forward(l, i, N, x);
            continue;
        }
#pragma omp parallel num_threads(threads)
        forward(l, i, N, x);
    }
    const int last = l->count - 1;
    l->kernels->softmax(N, l->steps[last].K, l->memory + l->at[last].y, batch->probabilities);
    return FC_OK;
}

fc_status fc_layers_run(fc_layers *l, const fc_kernels *kernels, const fc_batch *batch, int training) {
    fc_status status = lay_out(l, kernels, batch->N);
    if (status != FC_OK) return status;
    if (l->drivers) return run_with_drivers(l, batch);
    const int threads = fc_threads_for(operations(l, batch->N, training));
    if (threads == 1) {
        run(l, batch, training); /* a team of one would still call the system at each barrier */
        return FC_OK;
    }
#pragma omp parallel num_threads(threads)
    run(l, batch, training);
    return FC_OK;
}
