/* norms.c - batch normalisation in inference, as part of the convolution or dense layer before it.
 *
 *     gamma (kernel x + bias - mean) inv + beta = kernel' x + bias'
 *
 *     kernel'[.., k] = kernel[.., k] gamma[k] inv[k]        bias'[k] = (bias[k] - mean[k]) gamma[k] inv[k] + beta[k]
 *
 * with inv = 1 / sqrt(variance + epsilon). Weights and moving statistics may have changed since the last run, so kernel'
 * is made anew in each, before anything else: that pays where it has fewer numbers than the outputs, each of which would
 * be read and written once more. The activation behind the normalisation is then the convolution's; an addition is an
 * operation by itself.
 */
#include <math.h>

#include "matmul.h"
#include "memory.h"
#include "schedule.h"

/* The operation that makes `tensor`, if the normalisation of it can be in its weights; -1. */
static int foldable(const fc_program *p, const fc_schedule *s, int tensor) {
    const int i = p->producer[tensor];
    if (i < 0 || s->ops[i].activation != FC_LINEAR) return -1;
    const fc_op_kind kind = s->ops[i].kind;
    if (kind != FC_OP_CONV && kind != FC_OP_DEPTHWISE && kind != FC_OP_DENSE) return -1;
    int readers = 0;
    for (int k = 0; k < p->count; k++)
        for (int x = 0; x < p->ops[k].inputs; x++) readers += p->ops[k].input[x] == tensor;
    for (int o = 0; o < p->outputs; o++) readers += p->output[o] == tensor;
    return readers == 1 ? i : -1;
}

void fc_fold_norms(const fc_program *p, fc_schedule *s) {
    for (int i = 0; i < p->count; i++) s->norm[i] = -1;
    if (s->mode != FC_INFER) return;
    for (int i = 0; i < p->count; i++) {
        fc_op *norm = &s->ops[i];
        if (norm->kind != FC_OP_BATCH_NORM || norm->training) continue;
        const int before = foldable(p, s, norm->input[0]);
        if (before < 0 || fc_weight_size(&s->ops[before], 0) > s->N * fc_size_of(norm->y)) continue;
        s->norm[before] = i;
        if (norm->inputs == 2) {
            norm->kind = FC_OP_ELEMENTWISE, norm->elementwise = FC_ADD;
            continue;
        }
        fc_op *sum = &s->ops[before];
        sum->output = norm->output, sum->activation = norm->activation, sum->alpha = norm->alpha;
        s->gone[i] = 1;
    }
}

/* ---- the new weights ------------------------------------------------------------------------------ */

static int64_t column(const fc_op *op) { return fc_round_up(fc_plus(op->y.C, FC_SLACK), 16); }

int64_t fc_folded_size(const fc_op *op) {
    return fc_plus(fc_round_up(fc_plus(fc_weight_size(op, 0), FC_SLACK), 16), column(op));
}

int64_t fc_folded_scratch(const fc_op *op) { return 2 * column(op); }

void fc_place_folded(fc_op *op, float *room) {
    op->weight[0] = room;
    op->weight[1] = room + fc_round_up(fc_weight_size(op, 0) + FC_SLACK, 16);
}

/* Each member makes all scales for itself, and its rows of the kernel. */
void fc_fill_folded(const fc_schedule *s, const fc_op *given, int i, float *scratch, int member, int team) {
    const fc_op *op = &s->ops[i], *norm = &s->ops[s->norm[i]];
    const int64_t C = op->y.C, rows = fc_weight_size(op, 0) / C;
    const float *gamma = norm->weight[0], *beta = norm->weight[1], *mean = norm->weight[2], *variance = norm->weight[3];
    const float *bias = given->weight[1];
    float *scale = scratch, *zeros = scratch + column(op);
    for (int64_t c = 0; c < C; c++) {
        scale[c] = (float)((gamma ? (double)gamma[c] : 1) / sqrt((double)variance[c] + norm->epsilon));
        zeros[c] = 0;
    }
    const fc_normalisation columns = {.mean = zeros, .scale = scale, .shift = zeros};
    const int64_t first = fc_part(rows, team, member), end = fc_part(rows, team, member + 1);
    s->kernels->normalise(end - first, C, given->weight[0] + first * C, &columns, NULL, op->weight[0] + first * C);
    for (int64_t c = 0; member == 0 && c < C; c++)
        op->weight[1][c] = ((bias ? bias[c] : 0) - mean[c]) * scale[c] + (beta ? beta[c] : 0);
}
