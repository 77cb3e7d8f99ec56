/* pixels.h - what the methods of PIXELS share: channels in the lanes, work dealt out to a team.
 *
 * One image in a bundle of sixteen would do sixteen times the work; with channels in the lanes a layer of LeNet-5 takes
 * a microsecond or two for one image, and what there is to save is everything around it. So
 *
 *     memory     is laid out once, for all runs: methods ask for none
 *     weights    are read where they lie, rows of K floats: packing them costs as much as one image's sums. The last
 *                vector of a row reaches into the next row, that of the last row into FC_SLACK floats that nobody uses
 *     a team     splits an operation by the parts of fc_part. What parts there are decides who computes a number, not
 *                how: bits do not depend on the team
 */
#ifndef FASTCONV_ENGINE_PIXELS_H
#define FASTCONV_ENGINE_PIXELS_H

#include "engine.h"
#include "matmul.h"
#include "memory.h"
#include "operands.h"
#include "rows.h"

/* ---- methods, by file ---------------------------------------------------------------------------- */

int fc_pixels_conv_takes(const fc_kernels *kernels, const fc_op *op, int backward);
int fc_pixels_conv_needs(const fc_op *op);
int64_t fc_pixels_conv_packed_size(const fc_kernels *kernels, const fc_op *op, int backward);
void fc_pixels_conv_pack(const fc_work *work, int backward);
int64_t fc_pixels_conv_saved_size(const fc_kernels *kernels, const fc_op *op, int64_t N);
fc_status fc_pixels_conv_forward(const fc_work *work);
fc_status fc_pixels_conv_backward(const fc_work *work);
fc_status fc_pixels_conv_weights(const fc_work *work);

int fc_pixels_dense_needs(const fc_op *op);
int64_t fc_pixels_dense_packed_size(const fc_kernels *kernels, const fc_op *op, int backward);
void fc_pixels_dense_pack(const fc_work *work, int backward);
fc_status fc_pixels_dense_forward(const fc_work *work);
fc_status fc_pixels_dense_backward(const fc_work *work);
fc_status fc_pixels_dense_weights(const fc_work *work);

int fc_pixels_norm_needs(const fc_op *op);
int64_t fc_pixels_norm_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward);
fc_status fc_pixels_norm_forward(const fc_work *work);
fc_status fc_pixels_norm_backward(const fc_work *work);
fc_status fc_pixels_norm_weights(const fc_work *work);
int64_t fc_pixels_norm_partial_size(const fc_kernels *kernels, const fc_op *op);
fc_status fc_pixels_norm_moments(const fc_work *work, float *partial);
fc_status fc_pixels_norm_gradient_moments(const fc_work *work, float *partial);

/* ---- what they share ------------------------------------------------------------------------------ */

/* In place of a bias. */
extern const float fc_no_bias[FC_ROW_VECTORS * FC_MOST_LANES];

/* This member's part of n: fc_first_of(work, n) <= i < fc_end_of(work, n). */
static inline int64_t fc_first_of(const fc_work *work, int64_t n) {
    return work->team == 1 ? 0 : fc_part(n, work->team, work->member);
}
static inline int64_t fc_end_of(const fc_work *work, int64_t n) {
    return work->team == 1 ? n : fc_part(n, work->team, work->member + 1);
}

/* Until all members are here. */
static inline void fc_wait(const fc_work *work) {
    if (work->team > 1) {
#pragma omp barrier
    }
}

/* For what is not worth splitting: the last member, who has the least of what is split unevenly. */
static inline int fc_alone(const fc_work *work) { return work->member == work->team - 1; }

/* The member's part of dy, times the slope of the activation. */
static inline void fc_slope_outputs(const fc_work *work) {
    enum { PIECE = 1 << 9 };
    const fc_op *op = work->op;
    const int64_t n = work->images * fc_size_of(op->y), pieces = fc_pieces(n, PIECE);
    const int64_t first = fc_first_of(work, pieces) * PIECE, end = fc_min(n, fc_end_of(work, pieces) * PIECE);
    if (op->activation != FC_LINEAR && first < end)
        work->kernels->activate_backward(op->activation, op->alpha, end - first, work->dy.at + first,
                                         work->y.at + first, work->dy.at + first);
}

/* dbias[k] = sum over rows of dy[r, k] */
static inline void fc_sum_rows(const fc_work *work, int64_t rows, int64_t K, const float *dy, float *sums) {
    for (int64_t k = 0; k < K; k++) sums[k] = 0;
    work->kernels->add_rows(rows, K, dy, sums);
}

#endif
