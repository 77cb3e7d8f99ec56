/* plan.c - lesson 6: a whole training step in one call, a bundle of images at a time.
 *
 * Layer by layer, a batch's activations are written to memory and read back for every layer, twice. But
 * images do not meet until the weights' gradients are summed. So a plan takes one bundle (VLEN images in the
 * lanes, bundle_kernel.h) through the whole network, forward and back, while all that is its own stays in
 * a level-2 cache; then the next bundle. A plan is
 *
 *     any number of stride-1 convolutions and pooling layers, then one or more dense layers, then softmax
 *
 * and a step has four phases, with a barrier after each:
 *
 *     1  pack      kernels turned round or transposed for the way back, or transformed (plan_winograd.c)
 *     2  bundles   forward; loss gradient; back to the first layer; kernel gradients summed in the bundle's chunk
 *     3  dense     gradients of the dense layers, from inputs and gradients kept for the whole batch
 *     4  chunks    the chunks' convolution gradients, added up in their order
 *
 * Between phases 1 and 4 there is no Python, no allocation, and no array of the size of the batch but the dense
 * layers' inputs. How bundles are dealt to chunks depends on the batch size alone, so the result does not
 * depend on the number of threads.
 *
 * Inside a bundle every tensor has the zero border that the next convolution pads with (its value) or the
 * way back needs (its gradient). Borders are cleared once, when the plan is laid out: nobody writes there.
 */
#include "plan.h"

#include <string.h>

#include "bundle.h"
#include "memory.h"
#include "plan_winograd.h"
#include "threads.h"

/* ---- layout ------------------------------------------------------------------------------------- */

/* A bundle's tensor: [H][W][C] vectors with a border. */
typedef struct {
    int64_t H, W, C;
    int64_t top, left, bottom, right;
    int64_t at; /* in a thread's workspace, in floats */
} tensor;

struct fc_plan {
    int count, convolutional; /* steps; those before the first dense one */
    fc_step *steps;
    fc_layers *layers; /* for a few images */
    tensor *values, *gradients; /* convolutional + 1 of each: before step 0, between steps, after the last */

    /* What follows depends on the instruction set, the threads or the batch, and is laid out when they change. */
    const fc_kernels *kernels;
    int threads;
    int64_t capacity;
    int64_t workspace, sums_at, rows_at, scratch_at, chunk_size;
    float *memory;      /* a workspace for every thread */
    float *packed;      /* kernels transformed; for the way back kernels turned round, and dense ones' transposes */
    float *batch;       /* inputs and gradients of the dense layers */
    float *chunk_sums;  /* convolution gradients of every chunk */
    int64_t *packed_at, *transformed_at; /* a kernel for the way back; a convolution's for Winograd's way forward */
    int64_t *batch_at, *batch_gradient_at, *chunk_at;
};

static int64_t row_of(const tensor *t) { return t->left + t->W + t->right; }

static int64_t size_of(const tensor *t) { return (t->top + t->H + t->bottom) * row_of(t) * t->C; }

/* Vectors from the start of a tensor's memory to its first pixel inside the border. */
static int64_t inside(const tensor *t) { return (t->top * row_of(t) + t->left) * t->C; }

/* A border is zeros, and multiplying them takes as long as anything else: of LeNet's 14 x 14 gradients below its
 * second convolution, 10 x 10 with a border of 4, every second product would be with the border. So tiles leave out
 * what falls outside for all their outputs (fc_taps_inside). Measured on direct sums alone, training, batch 32, one
 * thread: LeNet-5 in 0.87 of the time with AVX2 and 0.91 with AVX-512, ConvNetJS' net in 0.93. */

/* Pairs of an output and a tap along one axis of which the tap is inside. */
static int64_t pairs_inside(int64_t outputs, int64_t taps, int64_t border, int64_t n) {
    int64_t pairs = 0;
    for (int64_t o = 0; o < outputs; o++) {
        const fc_range t = fc_taps_inside(taps, border, n, o, o + 1);
        pairs += t.end - t.first;
    }
    return pairs;
}

/* A convolution as plan_winograd.c sees it. */
static fc_winograd winograd_of(const fc_step *s) {
    return (fc_winograd){.side = s->size_h == s->size_w ? s->size_h : 0, .H = s->H, .W = s->W, .C = s->C, .OH = s->OH,
                         .OW = s->OW, .K = s->K, .top = s->pad_top, .left = s->pad_left,
                         .products = pairs_inside(s->OH, s->size_h, s->pad_top, s->H) *
                                     pairs_inside(s->OW, s->size_w, s->pad_left, s->W)};
}

static int64_t kernel_size(const fc_step *s) { return s->size_h * s->size_w * s->C * s->K; }

/* Floats of a kernel's gradient while it is summed, the bias's aside. */
static int64_t sums_size(const fc_step *s) {
    const fc_winograd g = winograd_of(s);
    return fc_winograd_pays(&g) ? fc_winograd_weights_size(&g) : kernel_size(s);
}

/* A tensor's border, so that whole tiles of g see pixels: `taps` rows and columns more than their outputs. */
static void reach(const fc_winograd *g, int64_t taps, tensor *t) {
    if (!fc_winograd_pays(g)) return;
    t->bottom = fc_max(t->bottom, fc_winograd_tiled(g->OH, g->side) + taps - t->top - t->H);
    t->right = fc_max(t->right, fc_winograd_tiled(g->OW, g->side) + taps - t->left - t->W);
}

static void surround(const fc_step *steps, int convolutional, tensor *values, tensor *gradients) {
    for (int i = 0; i <= convolutional; i++) {
        const fc_step *before = i > 0 ? &steps[i - 1] : NULL, *after = i < convolutional ? &steps[i] : NULL;
        tensor shape = {.H = 1, .W = 1, .C = steps[0].C}; /* where all steps are dense */
        if (after) shape = (tensor){.H = after->H, .W = after->W, .C = after->C};
        else if (before) shape = (tensor){.H = before->OH, .W = before->OW, .C = before->K};
        values[i] = gradients[i] = shape;
        if (after && after->kind == FC_CONV) {
            values[i].top = after->pad_top;
            values[i].left = after->pad_left;
            values[i].bottom = after->OH + after->size_h - 1 - after->H - after->pad_top;
            values[i].right = after->OW + after->size_w - 1 - after->W - after->pad_left;
            const fc_winograd g = winograd_of(after);
            reach(&g, g.side - 1, &values[i]);
        }
        if (before && before->kind == FC_CONV) {
            const fc_winograd g = winograd_of(before);
            if (fc_winograd_pays(&g)) {
                reach(&g, 0, &gradients[i]);
            } else if (i > 1) { /* the first convolution has no way back */
                gradients[i].top = before->size_h - 1 - before->pad_top;
                gradients[i].left = before->size_w - 1 - before->pad_left;
                gradients[i].bottom = before->H - 1 + before->pad_top - (before->OH - 1);
                gradients[i].right = before->W - 1 + before->pad_left - (before->OW - 1);
            }
        }
    }
}

fc_plan *fc_plan_new(const fc_step *steps, int count) {
    for (int i = 0; i < count; i++)
        if (!fc_step_fits(&steps[i], 1)) return NULL;
    fc_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return NULL;
    plan->count = count;
    while (plan->convolutional < count && steps[plan->convolutional].kind != FC_DENSE) plan->convolutional++;
    const size_t tensors = (size_t)plan->convolutional + 1, n = (size_t)count;
    plan->steps = malloc(sizeof(fc_step) * n);
    plan->values = calloc(2 * tensors, sizeof(tensor));
    plan->packed_at = calloc(5 * n, sizeof(int64_t));
    if (plan->steps) memcpy(plan->steps, steps, sizeof(fc_step) * n);
    plan->layers = plan->steps ? fc_layers_new(plan->steps, count) : NULL;
    if (!plan->layers || !plan->values || !plan->packed_at) {
        fc_plan_free(plan);
        return NULL;
    }
    plan->gradients = plan->values + tensors;
    plan->transformed_at = plan->packed_at + count;
    plan->batch_at = plan->transformed_at + count;
    plan->batch_gradient_at = plan->batch_at + count;
    plan->chunk_at = plan->batch_gradient_at + count;
    surround(plan->steps, plan->convolutional, plan->values, plan->gradients);
    return plan;
}

static void release(fc_plan *plan) {
    fc_free(plan->memory);
    fc_free(plan->packed);
    fc_free(plan->batch);
    fc_free(plan->chunk_sums);
    plan->memory = plan->packed = plan->batch = plan->chunk_sums = NULL;
    plan->kernels = NULL;
}

void fc_plan_free(fc_plan *plan) {
    if (!plan) return;
    release(plan);
    fc_layers_free(plan->layers);
    free(plan->steps);
    free(plan->values);
    free(plan->packed_at);
    free(plan);
}

/* A chunk is a run of bundles whose kernel gradients are summed together. */
static int64_t bundles_of(const fc_kernels *kernels, int64_t N) { return fc_pieces(N, kernels->lanes); }
static int64_t chunks_of(const fc_kernels *kernels, int64_t N) { return fc_min(bundles_of(kernels, N), 16); }

static fc_status lay_out(fc_plan *plan, const fc_kernels *kernels, int64_t N) {
    const int threads = fc_num_threads();
    if (plan->kernels == kernels && plan->threads == threads && N <= plan->capacity) return FC_OK;
    for (int i = 0; i < plan->count; i++)
        if (!fc_step_fits(&plan->steps[i], N)) return FC_TOO_LARGE;
    release(plan);

    const int64_t V = kernels->lanes, lanes = kernels->tile_lanes;
    int64_t workspace = 0, most_sums = 0, most_scratch = 0, chunk_size = 0, packed = 0, batch = 0;
    for (int i = 0; i <= plan->convolutional; i++) {
        plan->values[i].at = workspace;
        workspace = fc_plus(workspace, fc_round_up(size_of(&plan->values[i]) * V, 16));
        plan->gradients[i].at = workspace;
        workspace = fc_plus(workspace, fc_round_up(size_of(&plan->gradients[i]) * V, 16));
    }
    for (int i = 0; i < plan->count; i++) {
        const fc_step *s = &plan->steps[i];
        if (s->kind == FC_CONV) {
            plan->chunk_at[i] = chunk_size;
            chunk_size = fc_plus(chunk_size, sums_size(s) + s->K);
            most_sums = fc_max(most_sums, kernel_size(s) * V);
            plan->packed_at[i] = packed;
            packed = fc_plus(packed, fc_round_up(sums_size(s), 16));
            const fc_winograd g = winograd_of(s);
            if (fc_winograd_pays(&g)) {
                plan->transformed_at[i] = packed;
                packed = fc_plus(packed, fc_round_up(fc_winograd_weights_size(&g), 16));
                most_scratch = fc_max(most_scratch, fc_winograd_scratch(&g, kernels));
            }
        } else if (s->kind == FC_DENSE) {
            plan->packed_at[i] = packed;
            packed = fc_plus(packed, fc_pieces(s->C, lanes) * lanes * s->K);
            plan->batch_at[i] = batch;
            batch = fc_plus(batch, fc_round_up(N * s->C, 16));
            plan->batch_gradient_at[i] = batch;
            batch = fc_plus(batch, fc_round_up(N * s->K + lanes, 16));
        }
    }
    plan->sums_at = workspace;
    workspace = fc_plus(workspace, fc_round_up(most_sums, 16));
    plan->rows_at = workspace;
    workspace = fc_plus(workspace, fc_round_up(size_of(&plan->values[plan->convolutional]) * V, 16));

    plan->scratch_at = workspace;
    workspace = fc_plus(workspace, fc_round_up(most_scratch, 16));

    plan->memory = fc_floats(fc_times(workspace, threads));
    plan->packed = fc_floats(packed);
    plan->batch = fc_floats(batch);
    plan->chunk_sums = fc_floats(fc_times(chunks_of(kernels, N), chunk_size));
    if (!plan->memory || !plan->packed || !plan->batch || !plan->chunk_sums) {
        release(plan);
        return FC_OUT_OF_MEMORY;
    }
    memset(plan->memory, 0, sizeof(float) * (size_t)(workspace * threads));
    memset(plan->packed, 0, sizeof(float) * (size_t)packed);
    memset(plan->batch, 0, sizeof(float) * (size_t)batch);
    plan->kernels = kernels;
    plan->threads = threads;
    plan->capacity = N;
    plan->workspace = workspace;
    plan->chunk_size = chunk_size;
    return FC_OK;
}

/* ---- phase 1: weights --------------------------------------------------------------------------- */

/* Panel of a dense kernel's transpose, for the way back. Forward it is read where it lies, as in plan_layers.c. */
static void pack_dense(const fc_plan *plan, int i, int64_t panel) {
    const fc_step *s = &plan->steps[i];
    const int64_t lanes = plan->kernels->tile_lanes, c = panel * lanes;
    fc_pack_panel(plan->kernels, s->K, (fc_weights){s->kernel + c * s->K, 1, s->K}, fc_min(lanes, s->C - c), lanes,
                  plan->packed + plan->packed_at[i] + panel * lanes * s->K);
}

/* turned[kh, kw, k, c] = kernel[KH-1-kh, KW-1-kw, c, k] */
static void turn_kernel(const fc_plan *plan, int i) {
    const fc_step *s = &plan->steps[i];
    const int64_t taps = s->size_h * s->size_w;
    float *to = plan->packed + plan->packed_at[i];
    for (int64_t tap = taps - 1; tap >= 0; tap--, to += s->C * s->K)
        for (int64_t c = 0; c < s->C; c += plan->kernels->lanes) {
            const int channels = (int)fc_min(plan->kernels->lanes, s->C - c);
            plan->kernels->transpose(channels, channels, s->K, s->kernel + (tap * s->C + c) * s->K, s->K, to + c, s->C);
        }
}

static void pack_kernel(const fc_plan *plan, int i, int training) {
    const fc_step *s = &plan->steps[i];
    const fc_winograd g = winograd_of(s);
    const int way_back = training && i > 0;
    if (fc_winograd_pays(&g)) {
        float *transformed = plan->packed + plan->transformed_at[i];
        fc_winograd_weights(&g, plan->kernels, s->kernel, transformed);
        if (way_back) fc_winograd_turn(&g, plan->kernels, transformed, plan->packed + plan->packed_at[i]);
    } else if (way_back) {
        turn_kernel(plan, i);
    }
}

static void pack_weights(const fc_plan *plan, int training) {
    for (int i = 0; i < plan->count; i++) {
        const fc_step *s = &plan->steps[i];
        if (s->kind == FC_DENSE && training && i > 0) {
            const int64_t panels = fc_pieces(s->C, plan->kernels->tile_lanes);
#pragma omp for schedule(static) nowait
            for (int64_t panel = 0; panel < panels; panel++) pack_dense(plan, i, panel);
        } else if (s->kind == FC_CONV) {
#pragma omp single nowait
            pack_kernel(plan, i, training);
        }
    }
#pragma omp barrier
}

/* ---- phase 2: a bundle -------------------------------------------------------------------------- */

/* Row h of y, W pixels of K vectors = the sums of products of x and KH x KW taps. Pixels that see the border are taken
 * two by two, so that few of their taps are outside. */
static void convolve_row(const fc_kernels *kernels, int64_t KH, int64_t KW, int64_t K, const tensor *from,
                         const float *workspace, const float *kernel, const float *bias, int64_t h, int64_t W,
                         float *y) {
    enum { EDGE = 2 };
    const int64_t V = kernels->lanes, C = from->C, x_row = row_of(from) * C;
    const int64_t channel_tiles = fc_bundle_tiling(kernels, W, K).channels;
    const float *x = workspace + from->at + h * x_row * V;
    int64_t offsets[FC_PLAN_MOST_ROWS];
    for (int64_t kh = 0; kh < KH; kh++) offsets[kh] = kh * x_row;
    const fc_range kh = fc_taps_inside(KH, from->top, from->H, h, h + 1);
    const int64_t whole = fc_min(from->left, W), right = fc_max(whole, fc_min(W, from->W + from->left - KW + 1));
    for (int64_t w = 0, end; w < W; w = end) {
        end = w < whole ? fc_min(w + EDGE, whole) : w < right ? right : fc_min(w + EDGE, W);
        const fc_range kw = fc_taps_inside(KW, from->left, from->W, w, end);
        const fc_product product = {.runs = kh.end - kh.first, .offset = offsets + kh.first,
                                    .length = (kw.end - kw.first) * C, .x_step = C, .w_step = K,
                                    .w_skip = (KW - kw.end + kw.first) * C * K, .y_step = K};
        for (int64_t u = 0; u < channel_tiles; u++) {
            const int64_t k = fc_part(K, channel_tiles, u), channels = fc_part(K, channel_tiles, u + 1) - k;
            kernels->bundle_tiles(&product, end - w, (int)channels, x + (w + kw.first) * C * V,
                                  kernel + (kh.first * KW + kw.first) * C * K + k, bias ? bias + k : NULL,
                                  y + (w * K + k) * V);
        }
    }
}

/* sums[tap, c, k] = the sum over pixels of their outer products, a vector of images each */
static void correlate(const fc_kernels *kernels, const fc_step *s, const tensor *from, const float *workspace,
                      const float *dy, int64_t dy_row, float *sums) {
    const int64_t V = kernels->lanes, C = s->C, length = s->size_w * C, x_row = row_of(from) * C;
    const fc_tiling tiling = fc_bundle_tiling(kernels, length, s->K);
    const int64_t row_tiles = tiling.pixels, channel_tiles = tiling.channels;
    const float *x = workspace + from->at;
    /* Rows of pixels that are about a level-1 cache together, all tiles going over them before the next. */
    const int64_t cached = 14000, row_floats = (s->OW * s->K + x_row) * V;
    const int64_t blocks = fc_pieces(s->OH, fc_max(1, cached / row_floats));
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = fc_part(s->OH, blocks, b), end = fc_part(s->OH, blocks, b + 1);
        for (int64_t kh = 0; kh < s->size_h; kh++) {
            /* Seen from a tap, outputs are what taps are to an output. */
            const fc_range all_h = fc_taps_inside(s->OH, from->top, from->H, kh, kh + 1);
            const int64_t h = fc_max(first, all_h.first), rows = fc_max(0, fc_min(end, all_h.end) - h);
            for (int64_t u = 0; u < channel_tiles; u++) {
                const int64_t k = fc_part(s->K, channel_tiles, u), next = fc_part(s->K, channel_tiles, u + 1);
                for (int64_t t = 0; t < row_tiles; t++) {
                    const int64_t j = fc_part(length, row_tiles, t), last = fc_part(length, row_tiles, t + 1);
                    const fc_range w = fc_taps_inside(s->OW, from->left, from->W, j / C, (last - 1) / C + 1);
                    const fc_pixels pixels = {.fresh = b == 0, .rows = rows, .pixels = w.end - w.first,
                                              .x_row = x_row, .x_step = C, .dy_row = dy_row, .dy_step = s->K};
                    kernels->bundle_outer_tile(&pixels, (int)(last - j), (int)(next - k),
                                               x + ((h + kh) * x_row + w.first * C + j) * V,
                                               dy + (h * dy_row + w.first * s->K + k) * V,
                                               sums + ((kh * length + j) * s->K + k) * V, s->K);
                }
            }
        }
    }
}

static fc_bundle_pool pooling(const fc_step *s, const tensor *x, const tensor *dx) {
    return (fc_bundle_pool){.pixels = s->OW, .C = s->C, .size_h = s->size_h, .size_w = s->size_w,
                            .x_step = s->size_w * s->C, .x_row = row_of(x) * x->C, .dx_row = row_of(dx) * dx->C};
}

static void forward_step(const fc_plan *plan, int i, float *workspace) {
    const fc_kernels *kernels = plan->kernels;
    const fc_step *s = &plan->steps[i];
    const tensor *x = &plan->values[i], *y = &plan->values[i + 1];
    const int64_t V = kernels->lanes, y_row = row_of(y) * y->C;
    float *to = workspace + y->at + inside(y) * V;
    if (s->kind == FC_CONV) {
        const fc_winograd g = winograd_of(s);
        const int transformed = fc_winograd_pays(&g);
        if (transformed)
            fc_winograd_convolve(&g, kernels, workspace + x->at, row_of(x) * x->C, plan->packed + plan->transformed_at[i],
                                 s->bias, to, y_row, workspace + plan->scratch_at);
        for (int64_t h = 0; h < s->OH; h++) {
            float *row = to + h * y_row * V;
            if (!transformed)
                convolve_row(kernels, s->size_h, s->size_w, s->K, x, workspace, s->kernel, s->bias, h, s->OW, row);
            if (s->activation != FC_LINEAR) kernels->activate(s->activation, s->alpha, s->OW * s->K * V, row, row);
        }
        return;
    }
    const fc_bundle_pool pool = pooling(s, x, x);
    const float *from = workspace + x->at + inside(x) * V;
    for (int64_t h = 0; h < s->OH; h++)
        (s->kind == FC_MAX_POOL ? kernels->bundle_max_pool : kernels->bundle_avg_pool)(
            &pool, from + h * s->size_h * pool.x_row * V, to + h * y_row * V);
}

static void backward_step(const fc_plan *plan, int i, float *workspace, float *chunk) {
    const fc_kernels *kernels = plan->kernels;
    const fc_step *s = &plan->steps[i];
    const tensor *x = &plan->values[i], *y = &plan->values[i + 1];
    const tensor *dx = &plan->gradients[i], *dy = &plan->gradients[i + 1];
    const int64_t V = kernels->lanes, x_row = row_of(x) * x->C, y_row = row_of(y) * y->C;
    const int64_t dx_row = row_of(dx) * dx->C, dy_row = row_of(dy) * dy->C;
    float *gradient = workspace + dy->at + inside(dy) * V, *to = workspace + dx->at + inside(dx) * V;
    const float *value = workspace + y->at + inside(y) * V;

    if (s->kind == FC_CONV) {
        const fc_winograd g = winograd_of(s);
        const float *kernel = plan->packed + plan->packed_at[i];
        float *sums = workspace + plan->sums_at, *scratch = workspace + plan->scratch_at;
        float *chunk_kernel = chunk + plan->chunk_at[i], *chunk_bias = chunk_kernel + sums_size(s);
        memset(sums, 0, sizeof(float) * (size_t)(s->K * V));
        for (int64_t h = 0; h < s->OH; h++) {
            float *row = gradient + h * dy_row * V;
            if (s->activation != FC_LINEAR)
                kernels->activate_backward(s->activation, s->alpha, s->OW * s->K * V, row, value + h * y_row * V, row);
            kernels->add_rows(s->OW, s->K * V, row, sums);
        }
        kernels->sum_lanes(s->K, sums, chunk_bias);
        if (fc_winograd_pays(&g)) {
            fc_winograd_backward(&g, kernels, workspace + x->at, x_row, gradient, dy_row, kernel, chunk_kernel,
                                 i > 0 ? to : NULL, dx_row, scratch);
        } else {
            correlate(kernels, s, x, workspace, gradient, dy_row, sums);
            kernels->sum_lanes(kernel_size(s), sums, chunk_kernel);
            for (int64_t h = 0; i > 0 && h < s->H; h++)
                convolve_row(kernels, s->size_h, s->size_w, s->C, dy, workspace, kernel, NULL, h, s->W,
                             to + h * dx_row * V);
        }
        return;
    }
    if (i == 0) return; /* nothing below a first pooling layer wants a gradient */
    const fc_bundle_pool pool = pooling(s, x, dx);
    for (int64_t h = 0; h < s->OH; h++) {
        const float *below = workspace + x->at + (inside(x) + h * s->size_h * x_row) * V;
        float *dx_rows = to + h * s->size_h * dx_row * V;
        if (s->kind == FC_MAX_POOL)
            kernels->bundle_max_pool_backward(&pool, below, value + h * y_row * V, gradient + h * dy_row * V, dx_rows);
        else
            kernels->bundle_avg_pool_backward(&pool, gradient + h * dy_row * V, dx_rows);
    }
}

/* y (rows, K) = x (rows, C) w + bias. Panels of w's columns are `panel` floats apart, their rows `w_step`. */
static void multiply(const fc_kernels *kernels, int64_t rows, int64_t C, int64_t K, const float *x, const float *w,
                     int64_t panel, int64_t w_step, const float *bias, float *y) {
    static const float zeros[FC_PLAN_SLACK];
    const int64_t lanes = kernels->tile_lanes, start = 0, tiles = fc_pieces(rows, kernels->tile_pixels);
    const fc_product product = {.runs = 1, .offset = &start, .length = C, .x_step = C, .w_step = w_step, .y_step = K};
    for (int64_t k = 0; k < K; k += lanes, w += panel)
        for (int64_t t = 0; t < tiles; t++) {
            const int64_t m = fc_part(rows, tiles, t), end = fc_part(rows, tiles, t + 1);
            kernels->product_tile(&product, (int)(end - m), (int)fc_min(lanes, K - k), x + m * C, w,
                                  bias ? bias + k : zeros, y + m * K + k);
        }
}

/* The dense layers on images [n, n + images), each a row; the last one's output is logits. */
static void forward_dense(const fc_plan *plan, int64_t n, int64_t images, float *outputs) {
    const fc_kernels *kernels = plan->kernels;
    for (int i = plan->convolutional; i < plan->count; i++) {
        const fc_step *s = &plan->steps[i];
        const int last = i + 1 == plan->count;
        float *y = last ? outputs + n * s->K : plan->batch + plan->batch_at[i + 1] + n * s->K;
        multiply(kernels, images, s->C, s->K, plan->batch + plan->batch_at[i] + n * s->C, s->kernel,
                 kernels->tile_lanes, s->K, s->bias, y);
        if (s->activation != FC_LINEAR) kernels->activate(s->activation, s->alpha, images * s->K, y, y);
    }
}

/* From the gradient at the logits, kept in the batch's arrays, down to the first dense layer's input. */
static void backward_dense(const fc_plan *plan, int64_t n, int64_t images, float *input_gradient) {
    const fc_kernels *kernels = plan->kernels;
    const int64_t lanes = kernels->tile_lanes;
    for (int i = plan->count - 1; i >= plan->convolutional; i--) {
        const fc_step *s = &plan->steps[i];
        const float *dy = plan->batch + plan->batch_gradient_at[i] + n * s->K;
        const int lowest = i == plan->convolutional;
        if (lowest && !input_gradient) return;
        float *dx = lowest ? input_gradient : plan->batch + plan->batch_gradient_at[i - 1] + n * s->C;
        multiply(kernels, images, s->K, s->C, dy, plan->packed + plan->packed_at[i], lanes * s->K, lanes, NULL,
                 dx);
        if (!lowest && plan->steps[i - 1].activation != FC_LINEAR)
            kernels->activate_backward(plan->steps[i - 1].activation, plan->steps[i - 1].alpha, images * s->C, dx,
                                       plan->batch + plan->batch_at[i] + n * s->C, dx);
    }
}

static void run_bundle(const fc_plan *plan, const fc_batch *batch, int64_t bundle, float *workspace, float *chunk) {
    const fc_kernels *kernels = plan->kernels;
    const int64_t V = kernels->lanes, n = bundle * V, images = fc_min(V, batch->N - n);
    const tensor *input = &plan->values[0], *top = &plan->values[plan->convolutional];
    const fc_step *first_dense = &plan->steps[plan->convolutional], *last = &plan->steps[plan->count - 1];

    for (int64_t h = 0; h < input->H; h++)
        kernels->transpose((int)images, (int)V, input->W * input->C,
                           batch->x + (n * input->H + h) * input->W * input->C, input->H * input->W * input->C,
                           workspace + input->at + (inside(input) + h * row_of(input) * input->C) * V, V);
    for (int i = 0; i < plan->convolutional; i++) forward_step(plan, i, workspace);
    /* The last tensor before a dense layer has no border below or above: its rows are the flattened image. */
    float *rows = plan->batch + plan->batch_at[plan->convolutional] + n * first_dense->C;
    kernels->untranspose((int)images, first_dense->C, workspace + top->at, V, rows, first_dense->C);

    float *outputs = batch->probabilities;
    forward_dense(plan, n, images, outputs);
    float *logits = outputs + n * last->K;
    if (chunk) {
        const fc_targets targets = {batch->targets.labels ? batch->targets.labels + n : NULL,
                                    batch->targets.rows ? batch->targets.rows + n * last->K : NULL,
                                    batch->targets.weights ? batch->targets.weights + n : NULL};
        kernels->cross_entropy(images, last->K, logits, targets, batch->scale, FC_NO_LIMITS, batch->losses + n,
                               plan->batch + plan->batch_gradient_at[plan->count - 1] + n * last->K);
    }
    kernels->softmax(images, last->K, logits, logits);
    if (!chunk) return;

    const tensor *gradient = &plan->gradients[plan->convolutional];
    float *down = workspace + plan->rows_at;
    backward_dense(plan, n, images, plan->convolutional ? down : NULL);
    for (int64_t h = 0; h < gradient->H && plan->convolutional; h++)
        kernels->transpose((int)images, (int)V, gradient->W * gradient->C, down + h * gradient->W * gradient->C,
                           first_dense->C,
                           workspace + gradient->at + (inside(gradient) + h * row_of(gradient) * gradient->C) * V, V);
    for (int i = plan->convolutional - 1; i >= 0; i--) backward_step(plan, i, workspace, chunk);
}

/* ---- phases 3 and 4: what is summed over the batch ---------------------------------------------- */

static void dense_gradients(const fc_plan *plan, int64_t N) {
    const fc_kernels *kernels = plan->kernels;
    const int64_t lanes = kernels->tile_lanes;
    for (int i = plan->convolutional; i < plan->count; i++) {
        const fc_step *s = &plan->steps[i];
        const int64_t panels = fc_pieces(s->K, lanes), tiles = fc_pieces(s->C, kernels->tile_pixels);
        const float *x = plan->batch + plan->batch_at[i], *dy = plan->batch + plan->batch_gradient_at[i];
        const fc_pixels pixels = {.fresh = 1, .images = 1, .rows = 1, .pixels = N, .x_step = s->C, .dy_step = s->K};
#pragma omp for schedule(static) nowait
        for (int64_t task = 0; task < panels * tiles; task++) {
            const int64_t k = task / tiles * lanes, channels = fc_min(lanes, s->K - k);
            const int64_t c = fc_part(s->C, tiles, task % tiles), end = fc_part(s->C, tiles, task % tiles + 1);
            kernels->outer_tile(&pixels, (int)(end - c), (int)channels, x + c, dy + k, s->dkernel + c * s->K + k, s->K);
        }
        if (!s->dbias) continue;
#pragma omp single nowait
        {
            memset(s->dbias, 0, sizeof(float) * (size_t)s->K);
            kernels->add_rows(N, s->K, dy, s->dbias);
        }
    }
}

static void add_chunks(const fc_plan *plan, int64_t chunks) {
    for (int i = 0; i < plan->convolutional; i++) {
        const fc_step *s = &plan->steps[i];
        if (s->kind != FC_CONV) continue;
        const fc_winograd g = winograd_of(s);
        const int64_t n = sums_size(s);
#pragma omp single nowait
        {
            float *all = plan->chunk_sums + plan->chunk_at[i];
            for (int64_t c = 1; c < chunks; c++) plan->kernels->add_rows(1, n + s->K, all + c * plan->chunk_size, all);
            if (fc_winograd_pays(&g)) fc_winograd_weights_gradient(&g, plan->kernels, all, s->dkernel);
            else memcpy(s->dkernel, all, sizeof(float) * (size_t)n);
            if (s->dbias) memcpy(s->dbias, all + n, sizeof(float) * (size_t)s->K);
        }
    }
}

/* ---- the whole ---------------------------------------------------------------------------------- */

fc_status fc_plan_run(fc_plan *plan, const fc_batch *batch, int training) {
    const fc_kernels *kernels = fc_kernels_active();
    if (batch->N == 0) return FC_OK;
    if (fc_layers_drivers(plan->layers) || batch->N < kernels->lanes / 2)
        return fc_layers_run(plan->layers, kernels, batch, training);
    fc_status status = lay_out(plan, kernels, batch->N);
    if (status != FC_OK) return status;
    const int64_t bundles = bundles_of(plan->kernels, batch->N), chunks = chunks_of(plan->kernels, batch->N);
    if (training) memset(plan->chunk_sums, 0, sizeof(float) * (size_t)(chunks * plan->chunk_size));

#pragma omp parallel num_threads(plan->threads)
    {
        pack_weights(plan, training);
        float *workspace = plan->memory + fc_thread_index() * plan->workspace;
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < chunks; c++)
            for (int64_t b = fc_part(bundles, chunks, c); b < fc_part(bundles, chunks, c + 1); b++)
                run_bundle(plan, batch, b, workspace, training ? plan->chunk_sums + c * plan->chunk_size : NULL);
        if (training) {
            dense_gradients(plan, batch->N);
            add_chunks(plan, chunks);
        }
    }
    return FC_OK;
}
