/* whole.c - an operation on all images by the drivers of fastconv.h, which wake their own threads.
 *
 *     y = activation(op(x))        dy <- dy activation'(y), in place        then dx, dkernel and dbias by the drivers
 *
 * For wide layers. What is not asked for is not computed; where a driver computes two gradients and one of them is not
 * wanted, that one goes to scratch.
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "operands.h"
#include "rows.h"
#include "threads.h"

static int64_t rows_of(const fc_work *work) { return work->images * work->op->y.H * work->op->y.W; }

/* ---- what stands after a sum ---------------------------------------------------------------------- */

static void activate(const fc_work *work) {
    const fc_op *op = work->op;
    if (op->activation != FC_LINEAR)
        fc_activation_forward(op->activation, op->alpha, work->images * fc_size_of(op->y), work->y.at, work->y.at);
}

static void activate_back(const fc_work *work) {
    const fc_op *op = work->op;
    if (op->activation != FC_LINEAR)
        fc_activation_backward(op->activation, op->alpha, work->images * fc_size_of(op->y), work->dy.at, work->y.at,
                               work->dy.at);
}

static int needs(const fc_op *op) {
    return (op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* Room for the gradient of a bias that is not wanted, of whatever size: a transposed convolution's driver has C. */
static int64_t bias_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward ? fc_max(op->y.C, op->x[0].C) : 0;
}

static float *bias_gradient(const fc_work *work) {
    return work->op->gradient[1] ? work->op->gradient[1] : work->scratch;
}

/* Where the kernel does not learn, the bias's gradient by itself. */
static fc_status bias_alone(const fc_work *work) {
    return fc_column_sums(work->kernels, rows_of(work), work->op->y.C, work->dy.at, work->op->gradient[1]);
}

/* ---- convolutions --------------------------------------------------------------------------------- */

static fc_conv2d_algorithm algorithm_of(const fc_op *op) { return (fc_conv2d_algorithm)op->algorithm; }

static fc_status conv(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    const fc_status status =
        fc_conv2d_forward_by(algorithm_of(op), &c, work->x[0].at, op->weight[0], op->weight[1], work->y.at);
    if (status == FC_OK) activate(work);
    return status;
}

static fc_status conv_back(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    fc_status status = FC_OK;
    activate_back(work);
    if (op->gradient[0])
        status = fc_conv2d_backward_kernel_by(algorithm_of(op), &c, work->x[0].at, work->dy.at, op->gradient[0],
                                              bias_gradient(work));
    else if (op->gradient[1]) status = bias_alone(work);
    if (status == FC_OK && work->dx[0].at)
        status = fc_conv2d_backward_data_by(algorithm_of(op), &c, work->dy.at, op->weight[0], work->dx[0].at);
    return status;
}

static fc_conv2d_algorithm conv_algorithm(const fc_op *op, int64_t N, fc_conv2d_pass pass) {
    const fc_conv2d c = fc_conv_of(op, N);
    return fc_conv2d_choose(&c, pass, algorithm_of(op));
}

static fc_status depthwise(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    const fc_status status = fc_conv2d_depthwise_forward(&c, work->x[0].at, op->weight[0], op->weight[1], work->y.at);
    if (status == FC_OK) activate(work);
    return status;
}

static fc_status depthwise_back(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    fc_status status = FC_OK;
    activate_back(work);
    if (op->gradient[0])
        status = fc_conv2d_depthwise_backward_kernel(&c, work->x[0].at, work->dy.at, op->gradient[0],
                                                     bias_gradient(work));
    else if (op->gradient[1]) status = bias_alone(work);
    if (status == FC_OK && work->dx[0].at)
        status = fc_conv2d_depthwise_backward_data(&c, work->dy.at, op->weight[0], work->dx[0].at);
    return status;
}

/* The adjoint of a convolution, which is that of y: see fc_conv_of. */
static fc_status conv_transposed(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    const fc_broadcast biased = {.kind = FC_ADD, .outer = 1, .rows = rows_of(work), .width = op->y.C,
                                 .a = {0, op->y.C, 1}, .b = {0, 0, 1}};
    fc_status status =
        fc_conv2d_backward_data_by(algorithm_of(op), &c, work->x[0].at, op->weight[0], work->y.at);
    if (status == FC_OK && op->weight[1])
        status = fc_elementwise_forward(&biased, work->y.at, op->weight[1], work->y.at);
    if (status == FC_OK) activate(work);
    return status;
}

static fc_status conv_transposed_back(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_conv2d c = fc_conv_of(op, work->images);
    fc_status status = FC_OK;
    activate_back(work);
    if (op->gradient[1]) status = bias_alone(work);
    if (status == FC_OK && op->gradient[0])
        status = fc_conv2d_backward_kernel_by(algorithm_of(op), &c, work->dy.at, work->x[0].at, op->gradient[0],
                                              work->scratch);
    if (status == FC_OK && work->dx[0].at)
        status = fc_conv2d_forward_by(algorithm_of(op), &c, work->dy.at, op->weight[0], NULL, work->dx[0].at);
    return status;
}

static fc_conv2d_algorithm conv_transposed_algorithm(const fc_op *op, int64_t N, fc_conv2d_pass pass) {
    const fc_conv2d_pass adjoint[] = {
        [FC_PASS_FORWARD] = FC_PASS_DATA, [FC_PASS_DATA] = FC_PASS_FORWARD, [FC_PASS_KERNEL] = FC_PASS_KERNEL};
    return conv_algorithm(op, N, adjoint[pass]);
}

/* ---- dense ---------------------------------------------------------------------------------------- */

static fc_status dense(const fc_work *work) {
    const fc_op *op = work->op;
    const fc_status status = fc_dense_forward(rows_of(work), op->x[0].C, op->y.C, work->x[0].at, op->weight[0],
                                              op->weight[1], work->y.at);
    if (status == FC_OK) activate(work);
    return status;
}

static fc_status dense_back(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t M = rows_of(work), C = op->x[0].C, K = op->y.C;
    fc_status status = FC_OK;
    activate_back(work);
    if (op->gradient[0])
        status = fc_dense_backward_kernel(M, C, K, work->x[0].at, work->dy.at, op->gradient[0], bias_gradient(work));
    else if (op->gradient[1]) status = bias_alone(work);
    if (status == FC_OK && work->dx[0].at)
        status = fc_dense_backward_data(M, C, K, work->dy.at, op->weight[0], work->dx[0].at);
    return status;
}

/* ---- batch norm ----------------------------------------------------------------------------------- */

static int batch_norm_needs(const fc_op *op) {
    return (op->training || op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* About the mean, sums of distances and their squares; and of gradients two sums. */
static int64_t batch_norm_partial(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return 3 * op->y.C;
}

static int64_t batch_norm_scratch(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward ? op->y.C : 0;
}

static fc_status moments(const fc_work *work, float *partial) {
    const int64_t C = work->op->y.C, rows = rows_of(work);
    float *mean = partial, *sum = mean + C, *squares = sum + C;
    const fc_status status = fc_moments(rows, C, work->x[0].at, mean, squares);
    for (int64_t c = 0; c < C; c++) {
        sum[c] = 0;
        squares[c] = (float)((double)squares[c] * (double)rows);
    }
    return status;
}

static fc_ending ending_of(const fc_work *work) {
    return (fc_ending){work->op->activation, work->op->alpha, work->x[1].at};
}

static fc_status gradient_moments(const fc_work *work, float *partial) {
    const int64_t C = work->op->y.C;
    const fc_ending ending = ending_of(work);
    return fc_gradient_moments(rows_of(work), C, &ending, work->dy.at, work->y.at ? work->y.at : work->dy.at,
                               work->x[0].at, work->statistics, partial, partial + C);
}

static fc_status batch_norm(const fc_work *work) {
    const fc_op *op = work->op;
    const float *mean = op->training ? work->statistics : op->weight[2];
    const float *variance = op->training ? work->statistics + op->y.C : op->weight[3];
    const fc_ending ending = ending_of(work);
    return fc_batch_norm_forward(rows_of(work), op->y.C, work->x[0].at, mean, variance, op->weight[0], op->weight[1],
                                 op->epsilon, &ending, work->y.at);
}

static fc_status batch_norm_back(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t C = op->y.C, rows = rows_of(work);
    const float *mean = op->weight[2], *variance = op->weight[3], *dgamma = NULL, *dbeta = NULL;
    fc_status status = FC_OK;
    if (!op->training) activate_back(work);
    if (work->dx[1].at) memcpy(work->dx[1].at, work->dy.at, sizeof(float) * (size_t)(rows * C));
    if (op->training) {
        mean = work->statistics, variance = mean + C, dgamma = variance + C, dbeta = dgamma + C;
    } else if (op->gradient[0]) {
        status = fc_batch_norm_backward_weights(rows, C, work->dy.at, work->x[0].at, mean, variance, op->epsilon,
                                                op->gradient[0], op->gradient[1] ? op->gradient[1] : work->scratch);
    } else if (op->gradient[1]) {
        status = bias_alone(work);
    }
    if (status == FC_OK && work->dx[0].at)
        status = fc_batch_norm_backward_data(rows, C, work->dy.at, op->training ? work->x[0].at : NULL, mean, variance,
                                             op->weight[0], dgamma, dbeta, op->epsilon, work->dx[0].at);
    return status;
}

/* ---- PReLU ---------------------------------------------------------------------------------------- */

static int prelu_needs(const fc_op *op) {
    (void)op;
    return FC_NEEDS_X;
}

static int64_t prelu_scratch(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)kernels, (void)images;
    return backward ? fc_size_of(op->y) : 0;
}

static fc_status prelu(const fc_work *work) {
    return fc_prelu_forward(work->images, fc_size_of(work->op->y), work->x[0].at, work->op->weight[0], work->y.at);
}

/* Number by number, so that a gradient of x that is not wanted may be written over dy. */
static fc_status prelu_back(const fc_work *work) {
    const fc_op *op = work->op;
    return fc_prelu_backward(work->images, fc_size_of(op->y), work->dy.at, work->x[0].at, op->weight[0],
                             work->dx[0].at ? work->dx[0].at : work->dy.at,
                             op->gradient[0] ? op->gradient[0] : work->scratch);
}

/* ---- two operands --------------------------------------------------------------------------------- */

static fc_status elementwise(const fc_work *work) {
    const fc_operands o = fc_operands_of(work->op, work->images);
    const int64_t y_image = fc_size_of(work->op->y);
    fc_status status = FC_OK;
    for (int64_t n = 0; n < o.images && status == FC_OK; n++)
        status = fc_elementwise_forward(&o.shape, work->x[0].at + n * o.a_image, work->x[1].at + n * o.b_image,
                                        work->y.at + n * y_image);
    return status;
}

static fc_status elementwise_back(const fc_work *work) {
    const fc_operands o = fc_operands_of(work->op, work->images);
    const int64_t y_image = fc_size_of(work->op->y);
    fc_status status = FC_OK;
    activate_back(work);
    for (int i = 0; i < 2; i++)
        for (int64_t n = 0; work->dx[i].at && n < o.images && status == FC_OK; n++) {
            const float *dy = work->dy.at + n * y_image;
            const int reads = fc_needs_operands(work->op->elementwise); /* else they may not be there */
            const float *a = reads ? work->x[0].at + n * o.a_image : dy;
            const float *b = reads ? work->x[1].at + n * o.b_image : dy;
            status = fc_elementwise_backward(&o.shape, i, dy, a, b,
                                             work->dx[i].at + n * (i ? o.b_image : o.a_image));
        }
    return status;
}

/* ---- row by row ----------------------------------------------------------------------------------- */

/* Tasks of 32 KB, a few for each thread. */
static fc_status run_rows(const fc_rows *rows, const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t count = rows->count(work);
    const int64_t floats = work->images * fc_max(fc_size_of(op->x[0]), fc_size_of(op->y));
    const int64_t tasks = fc_min(count, fc_pieces(floats, 1 << 13));
    const int costly = op->kind == FC_OP_ACTIVATION || op->kind == FC_OP_SOFTMAX || op->kind == FC_OP_DROPOUT;
    const int threads = fc_threads_for((costly ? 20.0 : 1.0) * (double)floats);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t t = 0; t < tasks; t++) rows->run(work, fc_part(count, tasks, t), fc_part(count, tasks, t + 1));
    return FC_OK;
}

static fc_status rows(const fc_work *work) { return run_rows(&fc_row_operations[work->op->kind].forward, work); }

static fc_status rows_back(const fc_work *work) { return run_rows(&fc_row_operations[work->op->kind].backward, work); }

/* ---- the table ------------------------------------------------------------------------------------ */

#define SUM(name) {.needs = needs, .scratch_size = bias_size, .forward = name, .backward = name##_back}
#define CONVOLUTION(name)                                                                                          \
    {.needs = needs, .scratch_size = bias_size, .forward = name, .backward = name##_back, .algorithm = name##_algorithm}
#define ROWS {.needs = fc_rows_needs, .forward = rows, .backward = rows_back}
#define POOL {.takes = fc_rows_take_pool, .saved_size = fc_rows_saved_size, .forward = rows, .backward = rows_back}

const fc_method fc_whole_methods[FC_OP_KINDS] = {
    [FC_OP_CONV] = CONVOLUTION(conv),
    [FC_OP_DEPTHWISE] = SUM(depthwise),
    [FC_OP_CONV_TRANSPOSED] = CONVOLUTION(conv_transposed),
    [FC_OP_DENSE] = SUM(dense),
    [FC_OP_MAX_POOL] = POOL, [FC_OP_AVG_POOL] = POOL, [FC_OP_GLOBAL_MAX_POOL] = POOL, [FC_OP_GLOBAL_AVG_POOL] = POOL,
    [FC_OP_BATCH_NORM] = {.needs = batch_norm_needs, .scratch_size = batch_norm_scratch, .forward = batch_norm,
                          .backward = batch_norm_back, .partial_size = batch_norm_partial, .moments = moments,
                          .gradient_moments = gradient_moments},
    [FC_OP_PRELU] = {.needs = prelu_needs, .scratch_size = prelu_scratch, .forward = prelu, .backward = prelu_back},
    [FC_OP_ELEMENTWISE] = {.needs = fc_elementwise_needs, .forward = elementwise, .backward = elementwise_back},
    [FC_OP_ACTIVATION] = ROWS, [FC_OP_SOFTMAX] = ROWS, [FC_OP_SCALE] = ROWS, [FC_OP_CONCATENATE] = ROWS,
    [FC_OP_PAD] = ROWS, [FC_OP_UPSAMPLE] = ROWS, [FC_OP_RESHAPE] = ROWS, [FC_OP_DROPOUT] = ROWS,
};
