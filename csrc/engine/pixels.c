/* pixels.c - a few images by a team: the table, and what is done row by row or number by number.
 *
 * Depthwise and transposed convolutions and PReLU are left to other ways.
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

static int needs(const fc_op *op) { return fc_needs_operands(op->elementwise) ? FC_NEEDS_X : 0; }

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
    for (int64_t at = fc_first_of(work, steps) * step; at < end; at += step)
        work->kernels->combine(work->op->elementwise, fc_min(step, end - at), operand(work, 0, at), 1,
                               operand(work, 1, at), 1, work->y.at + at);
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

/* ---- the table ------------------------------------------------------------------------------------ */

#define ROWS {.needs = fc_rows_needs, .forward = forward, .backward = backward}
#define POOL {.takes = fc_rows_take_pool, .saved_size = fc_rows_saved_size, .forward = forward, .backward = backward}

const fc_method fc_pixels_methods[FC_OP_KINDS] = {
    [FC_OP_CONV] = {.takes = fc_pixels_conv_takes, .needs = fc_pixels_conv_needs,
                    .packed_size = fc_pixels_conv_packed_size, .pack = fc_pixels_conv_pack,
                    .saved_size = fc_pixels_conv_saved_size, .scratch_size = fc_pixels_conv_scratch_size, .forward = fc_pixels_conv_forward,
                    .backward = fc_pixels_conv_backward, .weights = fc_pixels_conv_weights},
    [FC_OP_DENSE] = {.needs = fc_pixels_dense_needs, .packed_size = fc_pixels_dense_packed_size,
                     .pack = fc_pixels_dense_pack, .scratch_size = fc_pixels_dense_scratch_size, .forward = fc_pixels_dense_forward,
                     .backward = fc_pixels_dense_backward, .weights = fc_pixels_dense_weights},
    [FC_OP_MAX_POOL] = POOL, [FC_OP_AVG_POOL] = POOL, [FC_OP_GLOBAL_MAX_POOL] = POOL, [FC_OP_GLOBAL_AVG_POOL] = POOL,
    [FC_OP_BATCH_NORM] = {.needs = fc_pixels_norm_needs, .scratch_size = fc_pixels_norm_scratch_size,
                          .forward = fc_pixels_norm_forward, .backward = fc_pixels_norm_backward,
                          .weights = fc_pixels_norm_weights, .moments = fc_pixels_norm_moments,
                          .gradient_moments = fc_pixels_norm_gradient_moments},
    [FC_OP_ELEMENTWISE] = {.takes = takes, .needs = needs, .scratch_size = scratch_size, .forward = combine,
                           .backward = combine_back},
    [FC_OP_ACTIVATION] = ROWS, [FC_OP_SOFTMAX] = ROWS, [FC_OP_SCALE] = ROWS, [FC_OP_CONCATENATE] = ROWS,
    [FC_OP_PAD] = ROWS, [FC_OP_UPSAMPLE] = ROWS, [FC_OP_RESHAPE] = ROWS, [FC_OP_DROPOUT] = ROWS,
};
