/* pixels_norm.c - batch normalisation of a few images. The equations are in batch_norm.c.
 *
 * Rows are laid side by side until they fill whole vectors (fold.h); columns of each channel's numbers are made for
 * every call in scratch. The statistics of a batch of few images are one member's work: it adds the pieces of fold.h up
 * in double precision and gives the sums about the mean, so that they join those of other ways.
 */
#include <math.h>
#include <string.h>

#include "fold.h"
#include "pixels.h"

/* Columns that are made with: mean, scale, shift or mean of dy, slope. Of moments: mean, sum and squares of a piece. */
enum { COLUMNS = 4 };

static int64_t rows_of(const fc_work *work, int64_t images) { return images * work->op->y.H * work->op->y.W; }

int64_t fc_pixels_norm_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images, (void)backward;
    const fc_folded f = fc_fold(kernels->lanes, 0, op->y.C);
    return fc_plus(fc_times(COLUMNS, fc_round_up(f.period, 16)), fc_times(4, op->y.C)); /* and two doubles each */
}

int fc_pixels_norm_needs(const fc_op *op) {
    return (op->training || op->gradient[0] ? FC_NEEDS_X : 0) | (op->activation != FC_LINEAR ? FC_NEEDS_Y : 0);
}

/* ---- the columns ---------------------------------------------------------------------------------- */

typedef struct {
    fc_folded f;
    float *mean, *scale, *shift, *slope;
} columns;

static columns room_for(const fc_work *work) {
    columns c = {.f = fc_fold(work->kernels->lanes, rows_of(work, work->images), work->op->y.C), .mean = work->scratch};
    const int64_t step = fc_round_up(c.f.period, 16);
    c.scale = c.mean + step, c.shift = c.scale + step, c.slope = c.shift + step;
    return c;
}

static double *doubles_of(const columns *c) { return (double *)(c->slope + fc_round_up(c->f.period, 16)); }

static const float *mean_of(const fc_work *work) {
    return work->op->training ? work->statistics : work->op->weight[2];
}

static const float *variance_of(const fc_work *work) {
    return work->op->training ? work->statistics + work->op->y.C : work->op->weight[3];
}

static double inverse_deviation(const fc_work *work, int64_t c) {
    return 1 / sqrt((double)variance_of(work)[c] + work->op->epsilon);
}

/* The rows of the member: long ones, and for the last member what is left after them. */
typedef struct {
    int64_t first, rows, rest;
} share;

static share share_of(const fc_work *work, const fc_folded *f) {
    const int64_t first = fc_first_of(work, f->rows);
    return (share){first * f->period, fc_end_of(work, f->rows) - first, fc_alone(work) ? f->rest : 0};
}

/* ---- forward ------------------------------------------------------------------------------------ */

static void normalise(const fc_work *work, const columns *c, fc_activation activation, const float *x,
                      const float *residual, float *y) {
    const share s = share_of(work, &c->f);
    const int64_t end = c->f.rows * c->f.period;
    const fc_normalisation all = {c->mean, c->scale, c->shift, activation, work->op->alpha};
    work->kernels->normalise(s.rows, c->f.period, x + s.first, &all, residual ? residual + s.first : NULL, y + s.first);
    if (s.rest) work->kernels->normalise(1, s.rest, x + end, &all, residual ? residual + end : NULL, y + end);
}

fc_status fc_pixels_norm_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const columns c = room_for(work);
    for (int64_t k = 0; k < op->y.C; k++) {
        c.mean[k] = mean_of(work)[k];
        c.scale[k] = (float)((op->weight[0] ? (double)op->weight[0][k] : 1) * inverse_deviation(work, k));
        c.shift[k] = op->weight[1] ? op->weight[1][k] : 0;
    }
    fc_repeat(&c.f, c.mean), fc_repeat(&c.f, c.scale), fc_repeat(&c.f, c.shift);
    normalise(work, &c, op->activation, work->x[0].at, work->x[1].at, work->y.at);
    return FC_OK;
}

/* ---- sums over the images at work ----------------------------------------------------------------- */

int64_t fc_pixels_norm_partial_size(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return 3 * op->y.C;
}

fc_status fc_pixels_norm_moments(const fc_work *work, float *partial) {
    const columns c = room_for(work);
    const int64_t C = c.f.C;
    double *mean = doubles_of(&c), *total = mean + C, seen = 0;
    for (int64_t k = 0; k < C; k++) mean[k] = total[k] = 0;
    for (int64_t p = 0; p < c.f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&c.f, p);
        const double rows = (double)piece.rows;
        float *about = c.mean, *sum = c.scale, *squares = c.shift;
        work->kernels->moments(piece.rows, piece.width, work->x[0].at + piece.start, about, sum, squares);
        for (int64_t j = 0; j < piece.width; j += C, seen += rows)
            for (int64_t k = 0; k < C; k++) {
                const double offset = (double)sum[j + k] / rows, delta = (double)about[j + k] + offset - mean[k];
                mean[k] += delta * rows / (seen + rows);
                total[k] += (double)squares[j + k] - (double)sum[j + k] * offset +
                            delta * delta * seen * rows / (seen + rows);
            }
    }
    for (int64_t k = 0; k < C; k++) {
        partial[k] = (float)mean[k];
        partial[C + k] = 0;
        partial[2 * C + k] = (float)fmax(0, total[k]);
    }
    return FC_OK;
}

/* dy = dy phi'(y); sums = those of dy, products = those of dy (x - mean) */
static void gradient_sums(const fc_work *work, fc_activation activation, double *sums, double *products) {
    const columns c = room_for(work);
    const int64_t C = c.f.C;
    for (int64_t k = 0; k < C; k++) sums[k] = products[k] = 0;
    memcpy(c.mean, mean_of(work), sizeof(float) * (size_t)C);
    fc_repeat(&c.f, c.mean);
    for (int64_t p = 0; p < c.f.pieces; p++) {
        const fc_piece piece = fc_piece_of(&c.f, p);
        float *dy = work->dy.at + piece.start;
        work->kernels->sloped_gradient_sums(activation, work->op->alpha, piece.rows, piece.width, dy,
                                            work->y.at ? work->y.at + piece.start : dy, work->x[0].at + piece.start,
                                            c.mean, c.scale, c.shift);
        for (int64_t j = 0; j < piece.width; j += C)
            for (int64_t k = 0; k < C; k++) {
                sums[k] += (double)c.scale[j + k];
                products[k] += (double)c.shift[j + k];
            }
    }
}

fc_status fc_pixels_norm_gradient_moments(const fc_work *work, float *partial) {
    const columns c = room_for(work);
    const int64_t C = c.f.C;
    double *sums = doubles_of(&c), *products = sums + C;
    gradient_sums(work, work->op->activation, sums, products);
    for (int64_t k = 0; k < C; k++) partial[k] = (float)sums[k], partial[C + k] = (float)products[k];
    return FC_OK;
}

/* In inference nobody has asked for the sums before; the slope is in dy already. */
fc_status fc_pixels_norm_weights(const fc_work *work) {
    const fc_op *op = work->op;
    const columns c = room_for(work);
    double *sums = doubles_of(&c), *products = sums + c.f.C;
    if (op->training || !fc_alone(work)) return FC_OK;
    if (!op->gradient[0]) {
        fc_sum_rows(work, rows_of(work, work->images), c.f.C, work->dy.at, op->gradient[1]);
        return FC_OK;
    }
    gradient_sums(work, FC_LINEAR, sums, products);
    for (int64_t k = 0; k < c.f.C; k++) {
        op->gradient[0][k] = (float)(products[k] * inverse_deviation(work, k));
        if (op->gradient[1]) op->gradient[1][k] = (float)sums[k];
    }
    return FC_OK;
}

/* ---- backward ----------------------------------------------------------------------------------- */

fc_status fc_pixels_norm_backward(const fc_work *work) {
    const fc_op *op = work->op;
    const columns c = room_for(work);
    const int64_t C = c.f.C, end = c.f.rows * c.f.period;
    const double rows = (double)rows_of(work, work->N);
    const float *dgamma = op->training ? work->statistics + 2 * C : NULL;
    const share s = share_of(work, &c.f);
    if (!op->training) {
        fc_slope_outputs(work);
        if (op->activation != FC_LINEAR) fc_wait(work);
    }
    if (work->dx[1].at) {
        memcpy(work->dx[1].at + s.first, work->dy.at + s.first, sizeof(float) * (size_t)(s.rows * c.f.period));
        memcpy(work->dx[1].at + end, work->dy.at + end, sizeof(float) * (size_t)s.rest);
    }
    if (!work->dx[0].at) return FC_OK;
    for (int64_t k = 0; k < C; k++) {
        const double inverse = inverse_deviation(work, k);
        c.mean[k] = dgamma ? mean_of(work)[k] : 0;
        c.scale[k] = (float)((op->weight[0] ? (double)op->weight[0][k] : 1) * inverse);
        c.shift[k] = dgamma ? (float)((double)dgamma[C + k] / rows) : 0;
        c.slope[k] = dgamma ? (float)(inverse * (double)dgamma[k] / rows) : 0;
    }
    fc_repeat(&c.f, c.mean), fc_repeat(&c.f, c.scale), fc_repeat(&c.f, c.shift), fc_repeat(&c.f, c.slope);
    if (!dgamma) {
        normalise(work, &c, FC_LINEAR, work->dy.at, NULL, work->dx[0].at);
        return FC_OK;
    }
    const fc_norm_gradient all = {c.mean, c.scale, c.shift, c.slope};
    work->kernels->normalise_backward(s.rows, c.f.period, work->dy.at + s.first, work->x[0].at + s.first, &all,
                                      work->dx[0].at + s.first);
    if (s.rest)
        work->kernels->normalise_backward(1, s.rest, work->dy.at + end, work->x[0].at + end, &all,
                                          work->dx[0].at + end);
    return FC_OK;
}
