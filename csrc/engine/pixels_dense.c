/* pixels_dense.c - dense layers of a few rows, or of a block of many.
 *
 *     y (M, K) = x (M, C) w + bias        dx = dy w^T        dw = x^T dy        M vectors: images times H W
 *
 * One row has more sums at once than a tile of one row (row_kernel.h), and few rows are taken back by dot products
 * along w's rows (dot_rows). Many rows are tiles, and the way back meets panels of w^T, packed once for all of them. The
 * gradient of w is of all images, so that no block of images needs sums as large as w.
 */
#include "pixels.h"

static int64_t vectors_of(const fc_work *work, int64_t images) { return images * work->op->y.H * work->op->y.W; }

/* Too few to make up for packing w^T. By those of the whole batch, for blocks and parts to give the same bits. */
static int few(const fc_work *work) { return vectors_of(work, work->batch_N) < work->kernels->lanes / 2; }

int fc_pixels_dense_needs(const fc_op *op) {
    return (op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* ---- y = bias + x w ------------------------------------------------------------------------------- */

typedef struct {
    const float *x, *w, *bias;
    int64_t panel, w_step; /* floats from one panel of w's columns to the next, from one row to the next */
    float *y;
} product;

static void activate(const fc_work *work, int64_t n, float *y) {
    const fc_op *op = work->op;
    if (op->activation != FC_LINEAR) work->kernels->activate(op->activation, op->alpha, n, y, y);
}

/* The member's tiles of y (M, K). `active`: each through the activation while it is in the cache. */
static void multiply(const fc_work *work, int64_t M, int64_t C, int64_t K, const product *p, int active) {
    const fc_kernels *kernels = work->kernels;
    const int64_t lanes = kernels->tile_lanes, start = 0, tiles = fc_pieces(M, kernels->tile_pixels);
    const int64_t tasks = fc_pieces(K, lanes) * tiles;
    const fc_product each = {.runs = 1, .offset = &start, .length = C, .x_step = C, .w_step = p->w_step, .y_step = K};
    for (int64_t task = fc_first_of(work, tasks); task < fc_end_of(work, tasks); task++) {
        const int64_t k = task / tiles * lanes, t = task % tiles, channels = fc_min(lanes, K - k);
        const int64_t m = fc_part(M, tiles, t), end = fc_part(M, tiles, t + 1);
        float *y = p->y + m * K + k;
        kernels->product_tile(&each, (int)(end - m), (int)channels, p->x + m * C, p->w + task / tiles * p->panel,
                              p->bias ? p->bias + k : fc_no_bias, y);
        for (int64_t i = m; active && i < end; i++, y += K) activate(work, channels, y);
    }
}

fc_status fc_pixels_dense_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_kernels *kernels = work->kernels;
    const int64_t M = vectors_of(work, work->images), C = op->x[0].C, K = op->y.C;
    const float *w = op->weight[0], *bias = op->weight[1];
    if (M == 1) {
        const int64_t lanes = FC_ROW_VECTORS * kernels->lanes, tasks = fc_pieces(K, lanes);
        const int64_t first = fc_first_of(work, tasks) * lanes, end = fc_min(K, fc_end_of(work, tasks) * lanes);
        for (int64_t k = first; k < end; k += lanes)
            kernels->row_tile(C, (int)fc_min(lanes, K - k), work->x[0].at, w + k, K, bias ? bias + k : fc_no_bias,
                              work->y.at + k);
        if (end > first) activate(work, end - first, work->y.at + first);
        return FC_OK;
    }
    const product p = {.x = work->x[0].at, .w = w, .bias = bias, .panel = kernels->tile_lanes, .w_step = K,
                       .y = work->y.at};
    multiply(work, M, C, K, &p, work->team > 1);
    if (work->team == 1) activate(work, M * K, work->y.at);
    return FC_OK;
}

/* ---- dx = dy w^T ---------------------------------------------------------------------------------- */

int64_t fc_pixels_dense_packed_size(const fc_kernels *kernels, const fc_op *op, int backward) {
    const int64_t lanes = kernels->tile_lanes;
    return backward ? fc_volume(fc_pieces(op->x[0].C, lanes), lanes, op->y.C) : 0;
}

void fc_pixels_dense_pack(const fc_work *work, int backward) {
    const int64_t lanes = work->kernels->tile_lanes, C = work->op->x[0].C, K = work->op->y.C;
    const int64_t panels = fc_pieces(C, lanes);
    if (!backward || few(work)) return;
    for (int64_t p = fc_first_of(work, panels); p < fc_end_of(work, panels); p++)
        fc_pack_panel(work->kernels, K, (fc_weights){work->op->weight[0] + p * lanes * K, 1, K},
                      fc_min(lanes, C - p * lanes), lanes, work->packed + p * lanes * K);
}

fc_status fc_pixels_dense_backward(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_kernels *kernels = work->kernels;
    const int64_t M = vectors_of(work, work->images), C = op->x[0].C, K = op->y.C, n = M * K;
    float *dy = work->dy.at;
    if (op->activation != FC_LINEAR) {
        const int64_t first = fc_first_of(work, n);
        kernels->activate_backward(op->activation, op->alpha, fc_end_of(work, n) - first, dy + first,
                                   work->y.at + first, dy + first);
        fc_wait(work);
    }
    if (!work->dx[0].at) return FC_OK;
    if (few(work)) {
        const int64_t V = kernels->lanes, tasks = fc_pieces(C, V);
        for (int64_t t = fc_first_of(work, tasks); t < fc_end_of(work, tasks); t++)
            for (int64_t m = 0; m < M; m++)
                kernels->dot_rows((int)fc_min(V, C - t * V), K, op->weight[0] + t * V * K, K, dy + m * K,
                                  work->dx[0].at + m * C + t * V);
        return FC_OK;
    }
    const product p = {.x = dy, .w = work->packed, .panel = kernels->tile_lanes * K, .w_step = kernels->tile_lanes,
                       .y = work->dx[0].at};
    multiply(work, M, K, C, &p, 0);
    return FC_OK;
}

/* ---- dw = x^T dy ---------------------------------------------------------------------------------- */

int64_t fc_pixels_dense_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward && op->gradient[1] ? FC_MOST_WAITING * op->y.C : 0;
}

fc_status fc_pixels_dense_weights(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_kernels *kernels = work->kernels;
    const int64_t M = vectors_of(work, work->images), C = op->x[0].C, K = op->y.C, lanes = kernels->tile_lanes;
    const int64_t tiles = fc_pieces(C, kernels->tile_pixels), tasks = op->gradient[0] ? fc_pieces(K, lanes) * tiles : 0;
    const fc_pixels pixels = {.fresh = 1, .images = 1, .rows = 1, .pixels = M, .x_step = C, .dy_step = K,
                              .leaf = vectors_of(work, work->leaf)};
    if (op->gradient[1] && fc_alone(work)) fc_sum_rows(work, vectors_of(work, 1), K, work->dy.at, op->gradient[1]);
    for (int64_t task = fc_first_of(work, tasks); task < fc_end_of(work, tasks); task++) {
        const int64_t k = task / tiles * lanes, t = task % tiles;
        const int64_t c = fc_part(C, tiles, t), end = fc_part(C, tiles, t + 1);
        kernels->outer_tile(&pixels, (int)(end - c), (int)fc_min(lanes, K - k), work->x[0].at + c, work->dy.at + k,
                            op->gradient[0] + c * K + k, K);
    }
    return FC_OK;
}
