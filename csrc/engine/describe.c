/* describe.c - what a schedule does, in words and numbers, for people.
 *
 *     operations   forward as cost.c counts them; going back as many for each of the gradients that are wanted: of x, and
 *                  of the kernel
 *     bytes        what an action touches outside the workspace of a thread, each tensor once; of weights the
 *                  weights, and going back the gradients too
 */
#include "cost.h"
#include "memory.h"
#include "schedule.h"

static int64_t bytes_of_slot(const fc_schedule *s, int number) {
    if (number < 0 || s->slot[number].home == FC_WORK) return 0;
    const fc_slot *slot = &s->slot[number];
    return (int64_t)sizeof(float) * slot->step * (slot->lanes ? s->bundles : s->N);
}

static double bytes_of_tensors(const fc_schedule *s, const fc_action *a) {
    int64_t bytes = bytes_of_slot(s, a->y) + bytes_of_slot(s, a->dy);
    for (int k = 0; k < FC_MOST_INPUTS; k++) bytes += bytes_of_slot(s, a->x[k]) + bytes_of_slot(s, a->dx[k]);
    return (double)bytes;
}

static double bytes_of_weights(const fc_op *op, int gradients) {
    int64_t floats = 0;
    for (int w = 0; w < FC_MOST_WEIGHTS; w++)
        if (op->weight[w]) floats += fc_weight_size(op, w) * (1 + (gradients && op->gradient[w] != NULL));
    return (double)sizeof(float) * (double)floats;
}

static void describe_op(const fc_program *p, const fc_schedule *s, int i, fc_described *row) {
    const fc_op *op = &s->ops[i];
    const fc_method *method = fc_method_of(s->way[i], op->kind);
    *row = (fc_described){.way = s->way[i], .why = s->why[i], .stage = -1, .back_stage = -1,
                          .operations = (double)s->N * fc_operations_of(op), .bytes = bytes_of_weights(op, 0)};
    for (int pass = 0; pass < 3; pass++)
        row->algorithm[pass] = method->algorithm ? method->algorithm(op, s->N, (fc_conv2d_pass)pass) : FC_CONV2D_AUTO;
    fc_effort efforts[FC_MOST_EFFORTS];
    const int count = fc_efforts_of(s->kernels, op, s->way[i], s->N, s->reached[i], efforts);
    for (int k = 0; k < count; k++)
        *(efforts[k].pass == FC_PASS_FORWARD ? &row->estimate : &row->back_estimate) += fc_cost_of(&efforts[k]);
    if (!s->reached[i]) return;
    int inputs = 0;
    for (int k = 0; k < op->inputs; k++) inputs |= p->needed[op->input[k]];
    const int kernel = op->gradient[0] && fc_weight_size(op, 0) > op->y.C;
    row->back_operations = row->operations * fc_max(1, inputs + kernel);
    row->back_bytes = bytes_of_weights(op, 1);
}

static void describe_action(const fc_schedule *s, const fc_action *a, int stage, fc_described *rows) {
    switch (a->kind) {
    case FC_FORWARD:
        rows[a->op].stage = stage;
        rows[a->op].kept = bytes_of_slot(s, a->y);
        rows[a->op].bytes += bytes_of_tensors(s, a);
        break;
    case FC_MOMENTS: rows[a->op].bytes += bytes_of_tensors(s, a); break;
    case FC_BACKWARD:
        rows[a->op].back_stage = stage;
        rows[a->op].back_bytes += bytes_of_tensors(s, a);
        break;
    case FC_GRADIENT_MOMENTS: case FC_WEIGHTS: rows[a->op].back_bytes += bytes_of_tensors(s, a); break;
    default: break;
    }
}

fc_status fc_program_describe(fc_program *p, int64_t N, int backward, int losses, const fc_loss *loss,
                              fc_described *rows, fc_footprint *all) {
    fc_status status;
    const fc_mode mode = losses ? FC_TRAIN : backward ? FC_KEEP : FC_INFER;
    const fc_run run = {.N = N, .losses = losses, .loss = loss};
    fc_schedule *s = fc_schedule_take(p, &run, mode, &status);
    if (!s) return status;
    for (int i = 0; i < p->count; i++) describe_op(p, s, i, &rows[i]);
    for (int g = 0; g < s->stages; g++)
        for (int a = s->stage[g].first; a < s->stage[g].end; a++) describe_action(s, &s->action[a], g, rows);
    for (int i = 0; i < p->count; i++)
        if (rows[i].stage < 0) rows[i].why = "folded into another", rows[i].operations = rows[i].bytes = 0;
    const int64_t bytes = (int64_t)sizeof(float);
    *all = (fc_footprint){.stages = s->stages, .few = s->few, .workspace = bytes * (s->workspace + s->scratch),
                          .batch = bytes * s->batch, .fixed = bytes * s->fixed,
                          .sums = bytes * s->chunks * s->chunk_size};
    fc_schedule_give(p, s);
    return FC_OK;
}
