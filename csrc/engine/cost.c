/* cost.c - which way every operation of a program goes.
 *
 * LANES, images in the lanes of a vector, wastes nothing on few channels and keeps what lies between two barriers in
 * a cache; but it sums the gradient of a kernel with a vector for each element, and reads a weight for every vector.
 * PIXELS, channels in the lanes, by one thread on the images of a bundle or by all threads on a few images. WHOLE, a
 * driver for all images, for wide layers. The figures below say where one becomes the better.
 */
#include "memory.h"
#include "schedule.h"

double fc_operations_of(const fc_op *op) {
    const double places = (double)(op->y.H * op->y.W), C = (double)op->x[0].C, K = (double)op->y.C;
    switch (op->kind) {
    case FC_OP_CONV: return 2 * places * K * (double)(op->KH * op->KW) * C / (double)op->groups;
    case FC_OP_CONV_TRANSPOSED: return 2 * (double)(op->x[0].H * op->x[0].W) * K * (double)(op->KH * op->KW) * C;
    case FC_OP_DEPTHWISE: return 2 * places * K * (double)(op->KH * op->KW);
    case FC_OP_DENSE: return 2 * places * C * K;
    case FC_OP_MAX_POOL: case FC_OP_AVG_POOL: return places * K * (double)(op->KH * op->KW);
    default: return 4 * places * K;
    }
}

/* PIXELS takes the statistics of a batch from all images at once: a stage of bundles has no such moment. */
static int takes(const fc_schedule *s, fc_way way, const fc_op *op) {
    if (way == FC_PIXELS && op->kind == FC_OP_BATCH_NORM && op->training && !s->few) return 0;
    const fc_method *method = fc_method_of(way, op->kind);
    return method->forward && (!method->takes || method->takes(s->kernels, op, s->mode != FC_INFER));
}

/* Operations in lanes follow a convolution in lanes: what lies between is not worth a change of layout by itself. */
static int leads_to_lanes(const fc_program *p, const fc_schedule *s, int i) {
    for (int k = 0; k < p->ops[i].inputs; k++) {
        const int below = p->producer[p->ops[i].input[k]];
        if (below >= 0 && s->way[below] == FC_LANES) return 1;
    }
    return 0;
}

/* Whether an operation is arithmetic enough to decide by itself. */
static int decides(const fc_op *op) {
    return op->kind == FC_OP_CONV || op->kind == FC_OP_DEPTHWISE;
}

void fc_choose_ways(const fc_program *p, fc_schedule *s) {
    enum { CACHED_DENSE = 1 << 17, /* floats of a dense kernel that stay in the level-2 cache, for each bundle anew */
           FEW_CHANNELS = 24 };
    int lanes_below = 0;
    for (int i = 0; i < p->count; i++) {
        const fc_op *op = &s->ops[i];
        const int in_lanes = takes(s, FC_LANES, op), in_pixels = takes(s, FC_PIXELS, op);
        fc_way way = FC_WHOLE;
        const char *why = "input in pixels";
        if (s->few) {
            const int large = op->kind == FC_OP_CONV && op->KH * op->KW * op->x[0].C * op->y.C > 1 << 14;
            why = large ? "few images, a large kernel" : "few images";
            if (!large && in_pixels) way = FC_PIXELS;
        } else if (decides(op)) {
            const int few = op->x[0].C <= FEW_CHANNELS || op->y.C <= FEW_CHANNELS;
            why = few ? in_lanes ? "few channels" : "not possible in lanes" : "many channels";
            if (few && in_lanes) way = FC_LANES;
        } else if (op->kind == FC_OP_DENSE || op->kind == FC_OP_SOFTMAX) {
            const int small = op->kind == FC_OP_SOFTMAX || op->x[0].C * op->y.C <= CACHED_DENSE;
            if (!small) why = "a large kernel";
            if (lanes_below && small && in_pixels) way = FC_PIXELS, why = "behind lanes";
        } else if ((i == 0 || leads_to_lanes(p, s, i)) && in_lanes) {
            way = FC_LANES, why = i == 0 ? "first operation" : "input in lanes";
        } else if (lanes_below && !leads_to_lanes(p, s, i) && in_pixels && op->y.H * op->y.W == 1) {
            way = FC_PIXELS, why = "behind lanes";
        } else if (leads_to_lanes(p, s, i)) {
            why = "not possible in lanes";
        }
        if (p->forced[i] >= 0 && takes(s, (fc_way)p->forced[i], op)) way = (fc_way)p->forced[i], why = "forced";
        s->way[i] = way, s->why[i] = why;
        lanes_below = way == FC_LANES || (lanes_below && way == FC_PIXELS);
    }
}
