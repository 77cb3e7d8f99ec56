/* lanes_norm.c - batch normalisation of a bundle.
 *
 *     y = phi(gamma (x - mean) inv + beta + residual)
 *     dy <- dy phi'(y)        dx = gamma inv (dy - dbeta / m - (x - mean) inv dgamma / m)        dresidual = dy
 *
 * with inv = 1 / sqrt(variance + epsilon) and m = N H W; batch_norm.c tells it at length. In inference mean and
 * variance are the moving ones, constants, and dx = gamma inv dy. The slope of the activation comes to dy where dy is
 * read first: in training with the sums for dgamma and dbeta.
 *
 * The kernels are those of batch_norm_kernel.h, for which a pixel of C vectors is a row of C V columns; so what belongs
 * to a channel is repeated for each lane. Lanes without an image are left out of what is summed over the batch, and get
 * gradients of zero, for otherwise they would get those that the batch's statistics hand to all.
 */
#include <math.h>

#include "lanes.h"

int fc_lanes_norm_takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels;
    return op->training || !backward || (!op->gradient[0] && !op->gradient[1]);
}

int fc_lanes_norm_needs(const fc_op *op) {
    return (op->training ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* Columns of C V floats each. */
enum { COLUMNS = 5 };
int64_t fc_lanes_norm_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images, (void)backward;
    return COLUMNS * op->y.C * kernels->lanes;
}

static int64_t width_of(const fc_work *work) { return work->op->y.C * work->kernels->lanes; }
static float *column(const fc_work *work, int i) { return work->scratch + i * width_of(work); }

/* The first `lanes` floats of channel c in a column; the others are zero. */
static void fill(const fc_work *work, float *to, int64_t c, int64_t lanes, double value) {
    for (int64_t l = 0; l < work->kernels->lanes; l++) to[c * work->kernels->lanes + l] = l < lanes ? (float)value : 0;
}

static double inverse_deviation(const fc_work *work, int64_t c) {
    const float *variance = work->op->training ? work->statistics + work->op->y.C : work->op->weight[3];
    return 1 / sqrt((double)variance[c] + work->op->epsilon);
}

static double scale_of(const fc_work *work, int64_t c) {
    return (work->op->weight[0] ? (double)work->op->weight[0][c] : 1) * inverse_deviation(work, c);
}

fc_status fc_lanes_norm_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t V = work->kernels->lanes;
    const float *mean = op->training ? work->statistics : op->weight[2];
    float *about = column(work, 0), *scale = column(work, 1), *shift = column(work, 2);
    for (int64_t c = 0; c < op->y.C; c++) {
        fill(work, about, c, V, mean[c]);
        fill(work, scale, c, V, scale_of(work, c));
        fill(work, shift, c, V, op->weight[1] ? op->weight[1][c] : 0);
    }
    const fc_normalisation columns = {about, scale, shift, op->activation, op->alpha};
    for (int64_t h = 0; h < op->y.H; h++)
        work->kernels->normalise(op->y.W, width_of(work), fc_row_of(work, work->x[0], h), &columns,
                                 work->x[1].at ? fc_row_of(work, work->x[1], h) : NULL, fc_row_of(work, work->y, h));
    return FC_OK;
}

fc_status fc_lanes_norm_backward(const fc_work *work) {
    const fc_op *op = work->op;
    if (!op->training) fc_backward_outputs(work, NULL);
    for (int64_t h = 0; work->dx[1].at && h < op->y.H; h++)
        fc_copy(fc_row_of(work, work->dx[1], h), fc_row_of(work, work->dy, h), fc_row_floats(work, op->y));
    if (!work->dx[0].at) return FC_OK;
    const int64_t C = op->y.C;
    const double m = (double)work->N * (double)op->y.H * (double)op->y.W;
    float *about = column(work, 0), *scale = column(work, 1), *mean_dy = column(work, 2), *slope = column(work, 3);
    for (int64_t c = 0; c < C; c++) {
        const float *mean = work->statistics, *dgamma = mean + 2 * C, *dbeta = dgamma + C;
        fill(work, about, c, work->images, op->training ? mean[c] : 0);
        fill(work, scale, c, work->images, scale_of(work, c));
        fill(work, mean_dy, c, work->images, op->training ? (double)dbeta[c] / m : 0);
        fill(work, slope, c, work->images,
             op->training ? inverse_deviation(work, c) * (double)dgamma[c] / m : 0);
    }
    const fc_norm_gradient columns = {about, scale, mean_dy, slope};
    const fc_normalisation scaled = {.mean = about, .scale = scale, .shift = mean_dy}; /* zeros but scale */
    for (int64_t h = 0; h < op->y.H; h++) {
        const float *dy = fc_row_of(work, work->dy, h);
        float *dx = fc_row_of(work, work->dx[0], h);
        if (op->training)
            work->kernels->normalise_backward(op->y.W, width_of(work), dy, fc_row_of(work, work->x[0], h), &columns,
                                              dx);
        else
            work->kernels->normalise(op->y.W, width_of(work), dy, &scaled, NULL, dx);
    }
    return FC_OK;
}

/* ---- what is summed over the batch -------------------------------------------------------------- */

int64_t fc_lanes_norm_partial_size(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return 3 * op->x[0].C;
}

/* The lanes of channel c that have images, added up. */
static double sum_of(const fc_work *work, const float *sums, int64_t c) {
    double sum = 0;
    for (int64_t l = 0; l < work->images; l++) sum += (double)sums[c * work->kernels->lanes + l];
    return sum;
}

/* partial: about what, the sum of distances from there, and that of their squares. A mean of plain sums may be off in
 * its last digits, but not by much of a distance; what it is off by is in the sum. */
fc_status fc_lanes_norm_moments(const fc_work *work, float *partial) {
    const fc_op *op = work->op;
    const fc_size size = op->x[0];
    const int64_t width = width_of(work), C = size.C;
    const double numbers = (double)work->images * (double)size.H * (double)size.W;
    float *about = column(work, 0), *sum = column(work, 1), *squares = column(work, 2);
    fc_clear(sum, width);
    for (int64_t h = 0; h < size.H; h++)
        work->kernels->add_rows(size.W, width, fc_row_of(work, work->x[0], h), sum);
    for (int64_t c = 0; c < C; c++) {
        partial[c] = (float)(sum_of(work, sum, c) / numbers);
        fill(work, about, c, work->kernels->lanes, partial[c]);
    }
    fc_clear(sum, width);
    fc_clear(squares, width);
    for (int64_t h = 0; h < size.H; h++)
        work->kernels->distance_sums(size.W, width, fc_row_of(work, work->x[0], h), about, sum, squares);
    for (int64_t c = 0; c < C; c++) {
        partial[C + c] = (float)sum_of(work, sum, c);
        partial[2 * C + c] = (float)sum_of(work, squares, c);
    }
    return FC_OK;
}

/* dy = dy phi'(y); partial: its sum, and that of dy (x - mean). */
fc_status fc_lanes_norm_gradient_moments(const fc_work *work, float *partial) {
    const fc_op *op = work->op;
    const int64_t width = width_of(work), C = op->y.C;
    float *about = column(work, 0), *sums = column(work, 1), *row = column(work, 3); /* two columns each */
    for (int64_t c = 0; c < C; c++) fill(work, about, c, work->kernels->lanes, work->statistics[c]);
    fc_clear(sums, 2 * width);
    for (int64_t h = 0; h < op->y.H; h++) {
        float *dy = fc_row_of(work, work->dy, h);
        work->kernels->sloped_gradient_sums(op->activation, op->alpha, op->y.W, width, dy,
                                            work->y.at ? fc_row_of(work, work->y, h) : dy,
                                            fc_row_of(work, work->x[0], h), about, row, row + width);
        work->kernels->add_rows(1, 2 * width, row, sums);
    }
    for (int64_t c = 0; c < 2 * C; c++) partial[c] = (float)sum_of(work, sums, c);
    return FC_OK;
}
