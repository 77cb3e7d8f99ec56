/* pixels.c - a few images by a team: the table, and what is done row by row or number by number.
 *
 * Depthwise and transposed convolutions are left to other ways.
 */
#include "pixels.h"

#include <string.h>

const float fc_no_bias[FC_ROW_VECTORS * FC_MOST_LANES];

/* ---- row by row ----------------------------------------------------------------------------------- */

static void run_rows(const fc_rows *rows, const fc_work *work) {
    const int64_t count = rows->count(work), first = fc_first_of(work, count), end = fc_end_of(work, count);
    if (first < end) rows->run(work, first, end);
}

static fc_status forward(const fc_work *work) {
    run_rows(&fc_row_operations[work->op->kind].forward, work);
    return FC_OK;
}

static fc_status backward(const fc_work *work) {
    run_rows(&fc_row_operations[work->op->kind].backward, work);
    return FC_OK;
}

/* ---- two operands --------------------------------------------------------------------------------- */

/* Sizes are equal, or an operand is a vector for the image: the same for all its pixels. */
static int is_vector(const fc_op *op, int i) {
    return op->x[i].H * op->x[i].W == 1 && op->y.H * op->y.W != 1;
}

static int takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels, (void)backward;
    for (int i = 0; i < 2; i++)
        if (op->x[i].C != op->y.C || (!is_vector(op, i) && (op->x[i].H != op->y.H || op->x[i].W != op->y.W))) return 0;
    return !is_vector(op, 0) || !is_vector(op, 1);
}

enum { PIECE = 1 << 9, BUFFER = 1 << 11 }; /* floats: of equal operands at once; of gradients before they are summed */

static int64_t scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward && (is_vector(op, 0) || is_vector(op, 1)) ? fc_max(BUFFER, op->y.C) : 0;
}

/* Floats that are done at once: of one pixel, where an operand is the same for all of them. */
static int64_t step_of(const fc_op *op) { return is_vector(op, 0) || is_vector(op, 1) ? op->y.C : PIECE; }

/* What meets the floats of y from `at` on. */
static const float *operand(const fc_work *work, int i, int64_t at) {
    const fc_op *op = work->op;
    return work->x[i].at + (is_vector(op, i) ? at / fc_size_of(op->y) * op->y.C : at);
}

/* The gradient by operand i of n floats of y from `at` on, not summed. Where it is not made of the operands they may
 * not be there. */
static void gradient(const fc_work *work, int i, int64_t at, int64_t n, float *to) {
    const float *dy = work->dy.at + at;
    const int reads = fc_needs_operands(work->op->elementwise);
    work->kernels->combine_gradient(work->op->elementwise, i, n, dy, reads ? operand(work, 0, at) : dy, 1,
                                    reads ? operand(work, 1, at) : dy, 1, to);
}

static fc_status combine(const fc_work *work) {
    const int64_t n = work->images * fc_size_of(work->op->y), step = step_of(work->op), steps = fc_pieces(n, step);
    const int64_t end = fc_min(n, fc_end_of(work, steps) * step);
    const fc_op *op = work->op;
    for (int64_t at = fc_first_of(work, steps) * step; at < end; at += step) {
        const int64_t floats = fc_min(step, end - at);
        float *y = work->y.at + at;
        work->kernels->combine(op->elementwise, floats, operand(work, 0, at), 1, operand(work, 1, at), 1, y);
        if (op->activation != FC_LINEAR) work->kernels->activate(op->activation, op->alpha, floats, y, y);
    }
    return FC_OK;
}

/* The sum over an image's pixels, for the member's images. */
static void sum_pixels(const fc_work *work, int i) {
    const int64_t C = work->op->y.C, image = fc_size_of(work->op->y), most = fc_max(1, BUFFER / C) * C;
    for (int64_t n = fc_first_of(work, work->images); n < fc_end_of(work, work->images); n++) {
        float *to = work->dx[i].at + n * C;
        memset(to, 0, sizeof(float) * (size_t)C);
        for (int64_t at = 0; at < image; at += most) {
            const int64_t size = fc_min(most, image - at);
            for (int64_t j = 0; j < size; j += C) gradient(work, i, n * image + at + j, C, work->scratch + j);
            work->kernels->add_rows(size / C, C, work->scratch, to);
        }
    }
}

static fc_status combine_back(const fc_work *work) {
    const int64_t n = work->images * fc_size_of(work->op->y), step = step_of(work->op), steps = fc_pieces(n, step);
    const int64_t end = fc_min(n, fc_end_of(work, steps) * step);
    fc_slope_outputs(work);
    if (work->op->activation != FC_LINEAR) fc_wait(work); /* others sum up what is a vector for the image */
    for (int i = 0; i < 2; i++) {
        if (!work->dx[i].at) continue;
        if (is_vector(work->op, i)) {
            sum_pixels(work, i);
            continue;
        }
        for (int64_t at = fc_first_of(work, steps) * step; at < end; at += step)
            gradient(work, i, at, fc_min(step, end - at), work->dx[i].at + at);
    }
    return FC_OK;
}

/* ---- a slope for each number of an image ---------------------------------------------------------- */

static int prelu_needs(const fc_op *op) {
    (void)op;
    return FC_NEEDS_X;
}

/* A piece of dx that nobody wants, and one of products. */
static int64_t prelu_scratch(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)op, (void)images;
    return backward ? 2 * PIECE : 0;
}

/* Piece t of the images at work: where it begins in its image, and how many floats it has. */
static int64_t slopes_from(const fc_op *op, int64_t t) { return t % fc_pieces(fc_size_of(op->y), PIECE) * PIECE; }
static int64_t slopes_of(const fc_op *op, int64_t t) { return fc_min(PIECE, fc_size_of(op->y) - slopes_from(op, t)); }

static fc_status prelu(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t each = fc_pieces(fc_size_of(op->y), PIECE), pieces = work->images * each;
    for (int64_t t = fc_first_of(work, pieces); t < fc_end_of(work, pieces); t++) {
        const int64_t from = slopes_from(op, t), at = t / each * fc_size_of(op->y) + from;
        work->kernels->prelu(1, slopes_of(op, t), work->x[0].at + at, op->weight[0] + from, work->y.at + at);
    }
    return FC_OK;
}

static fc_status prelu_back(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t each = fc_pieces(fc_size_of(op->y), PIECE), pieces = work->images * each;
    if (!work->dx[0].at) return FC_OK;
    for (int64_t t = fc_first_of(work, pieces); t < fc_end_of(work, pieces); t++) {
        const int64_t from = slopes_from(op, t), at = t / each * fc_size_of(op->y) + from;
        work->kernels->prelu_backward(1, slopes_of(op, t), work->dy.at + at, work->x[0].at + at, op->weight[0] + from,
                                      work->dx[0].at + at, work->scratch + PIECE);
    }
    return FC_OK;
}

/* Each slope's sum over the images in their order, by the member that it belongs to. */
static fc_status prelu_weights(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t pieces = fc_pieces(fc_size_of(op->y), PIECE);
    for (int64_t t = fc_first_of(work, pieces); t < fc_end_of(work, pieces); t++) {
        const int64_t from = slopes_from(op, t), n = slopes_of(op, t);
        float *sums = op->gradient[0] + from, *products = work->scratch + PIECE;
        memset(sums, 0, sizeof(float) * (size_t)n);
        for (int64_t i = 0; i < work->images; i++) {
            const int64_t at = i * fc_size_of(op->y) + from;
            work->kernels->prelu_backward(1, n, work->dy.at + at, work->x[0].at + at, op->weight[0] + from,
                                          work->scratch, products);
            work->kernels->add_rows(1, n, products, sums);
        }
    }
    return FC_OK;
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define ROWS {.needs = fc_rows_needs, .forward = forward, .backward = backward}
#define POOL {.takes = fc_rows_take_pool, .saved_size = fc_rows_saved_size, .forward = forward, .backward = backward}

const fc_method fc_pixels_methods[FC_OP_KINDS] = {
    [FC_OP_CONV] = {.takes = fc_pixels_conv_takes, .needs = fc_pixels_conv_needs,
                    .packed_size = fc_pixels_conv_packed_size, .pack = fc_pixels_conv_pack,
                    .saved_size = fc_pixels_conv_saved_size, .forward = fc_pixels_conv_forward,
                    .backward = fc_pixels_conv_backward, .weights = fc_pixels_conv_weights},
    [FC_OP_DENSE] = {.needs = fc_pixels_dense_needs, .packed_size = fc_pixels_dense_packed_size,
                     .pack = fc_pixels_dense_pack, .forward = fc_pixels_dense_forward,
                     .backward = fc_pixels_dense_backward, .weights = fc_pixels_dense_weights},
    [FC_OP_MAX_POOL] = POOL, [FC_OP_AVG_POOL] = POOL, [FC_OP_GLOBAL_MAX_POOL] = POOL, [FC_OP_GLOBAL_AVG_POOL] = POOL,
    [FC_OP_BATCH_NORM] = {.needs = fc_pixels_norm_needs, .scratch_size = fc_pixels_norm_scratch_size,
                          .forward = fc_pixels_norm_forward, .backward = fc_pixels_norm_backward,
                          .weights = fc_pixels_norm_weights, .partial_size = fc_pixels_norm_partial_size,
                          .moments = fc_pixels_norm_moments,
                          .gradient_moments = fc_pixels_norm_gradient_moments},
    [FC_OP_PRELU] = {.needs = prelu_needs, .scratch_size = prelu_scratch, .forward = prelu, .backward = prelu_back,
                     .weights = prelu_weights},
    [FC_OP_ELEMENTWISE] = {.takes = takes, .needs = fc_elementwise_needs, .scratch_size = scratch_size, .forward = combine,
                           .backward = combine_back},
    [FC_OP_ACTIVATION] = ROWS, [FC_OP_SOFTMAX] = ROWS, [FC_OP_SCALE] = ROWS, [FC_OP_CONCATENATE] = ROWS,
    [FC_OP_PAD] = ROWS, [FC_OP_UPSAMPLE] = ROWS, [FC_OP_RESHAPE] = ROWS, [FC_OP_DROPOUT] = ROWS,
};
