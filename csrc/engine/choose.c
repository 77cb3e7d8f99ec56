/* choose.c - the way of every operation of a program.
 *
 *     the sum over operations of their estimates (cost.c), and over tensors of what changing their layout takes
 *
 * is made small. A tensor is in the layout of the operation that makes it, and where one of its readers wants the other
 * it is brought there once, and its gradient back. Along a chain of operations the best choice is found exactly, from
 * the first to the last, by keeping the best for each way so far (Viterbi 1967); where a network branches the first
 * input of an operation counts as its chain. Then ways are changed one by one, as long as that makes the sum smaller.
 */
#include <float.h>
#include <stdlib.h>

#include "cost.h"
#include "memory.h"
#include "schedule.h"

typedef struct {
    const fc_program *p;
    fc_schedule *s;
    double (*own)[FC_WAYS]; /* of each operation; DBL_MAX: it does not have this way */
    int *in_pixels;         /* of each tensor: the caller reads it, or a loss */
} choice;

/* PIXELS takes the statistics of a batch from all images at once: a stage of bundles has no such moment. */
static int takes(const fc_schedule *s, fc_way way, const fc_op *op) {
    if (way == FC_PIXELS && op->kind == FC_OP_BATCH_NORM && op->training && !s->few) return 0;
    const fc_method *method = fc_method_of(way, op->kind);
    return method->forward && (!method->takes || method->takes(s->kernels, op, s->mode != FC_INFER));
}

static double cost_of(const fc_schedule *s, const fc_op *op, fc_way way) {
    fc_effort efforts[FC_MOST_EFFORTS];
    double cost = 0;
    const int count = fc_efforts_of(s->kernels, op, way, s->N, s->mode != FC_INFER, efforts);
    for (int i = 0; i < count; i++) cost += fc_cost_of(&efforts[i]);
    return cost;
}

/* A tensor's value to the other layout, and its gradient back. */
static double move_of(const choice *c, int tensor) {
    const fc_effort e = fc_effort_of_move(c->s->kernels, c->p->sizes[tensor], c->s->N);
    return fc_cost_of(&e) * (c->s->mode != FC_INFER && c->p->needed[tensor] ? 2 : 1);
}

static int in_lanes(const choice *c, int op) { return op >= 0 && c->s->way[op] == FC_LANES; }

/* What a tensor's changes of layout take now. */
static double moves_of(const choice *c, int tensor) {
    const int lanes = in_lanes(c, c->p->producer[tensor]);
    int moved = lanes && c->in_pixels[tensor];
    for (int i = 0; i < c->p->count && !moved; i++)
        for (int k = 0; k < c->p->ops[i].inputs; k++)
            moved |= c->p->ops[i].input[k] == tensor && in_lanes(c, i) != lanes;
    return moved ? move_of(c, tensor) : 0;
}

/* The part of the sum that operation i has a share in. */
static double around(const choice *c, int i) {
    const fc_op *op = &c->p->ops[i];
    double cost = c->own[i][c->s->way[i]] + moves_of(c, op->output);
    for (int k = 0; k < op->inputs; k++) cost += moves_of(c, op->input[k]);
    return cost;
}

/* from[i][way]: the way of the operation below on the best path to operation i in this way. */
static void along_chains(const choice *c, int (*from)[FC_WAYS], double (*best)[FC_WAYS]) {
    const fc_program *p = c->p;
    for (int i = 0; i < p->count; i++) {
        const int tensor = p->ops[i].inputs ? p->ops[i].input[0] : -1, below = tensor < 0 ? -1 : p->producer[tensor];
        for (int way = 0; way < FC_WAYS; way++) {
            const double move = tensor < 0 ? 0 : move_of(c, tensor);
            best[i][way] = below < 0 && way == FC_LANES ? move : 0;
            from[i][way] = -1;
            for (int w = 0; below >= 0 && w < FC_WAYS; w++) {
                const double cost = best[below][w] + ((w == FC_LANES) != (way == FC_LANES) ? move : 0);
                if (from[i][way] < 0 || cost < best[i][way]) best[i][way] = cost, from[i][way] = w;
            }
            best[i][way] += c->own[i][way];
        }
    }
    for (int i = 0; i < p->count; i++) c->s->way[i] = (fc_way)FC_WAYS; /* still open */
    for (int i = p->count - 1; i >= 0; i--) {
        if (c->s->way[i] != (fc_way)FC_WAYS) continue;
        int way = 0;
        for (int w = 1; w < FC_WAYS; w++)
            if (best[i][w] < best[i][way]) way = w;
        for (int at = i; at >= 0 && c->s->way[at] == (fc_way)FC_WAYS;) {
            const int below = p->ops[at].inputs ? p->producer[p->ops[at].input[0]] : -1;
            c->s->way[at] = (fc_way)way;
            way = from[at][way], at = below;
        }
    }
}

static void one_by_one(const choice *c) {
    enum { MOST_ROUNDS = 8 };
    int changed = 1;
    for (int round = 0; changed && round < MOST_ROUNDS; round++) {
        changed = 0;
        for (int i = 0; i < c->p->count; i++) {
            const fc_way now = c->s->way[i];
            fc_way better = now;
            double least = around(c, i);
            for (int way = 0; way < FC_WAYS; way++) {
                if (way == (int)now || c->own[i][way] == DBL_MAX) continue;
                c->s->way[i] = (fc_way)way;
                const double cost = around(c, i);
                if (cost < least) least = cost, better = (fc_way)way;
            }
            c->s->way[i] = better;
            changed |= better != now;
        }
    }
}

static const char *why(const choice *c, int i) {
    const double chosen = c->own[i][c->s->way[i]];
    int others = 0, faster = 0;
    for (int way = 0; way < FC_WAYS; way++) {
        others += way != (int)c->s->way[i] && c->own[i][way] < DBL_MAX;
        faster += c->own[i][way] < chosen;
    }
    if (c->p->forced[i] == (int)c->s->way[i]) return "forced";
    if (!others) return "no other way";
    return faster ? "neighbours' layout" : "fastest";
}

fc_status fc_choose_ways(const fc_program *p, fc_schedule *s, int losses, const fc_loss *loss) {
    const size_t n = (size_t)p->count + 1;
    choice c = {.p = p, .s = s};
    c.own = calloc(n, sizeof *c.own);
    c.in_pixels = calloc((size_t)p->tensors + 1, sizeof(int));
    int(*from)[FC_WAYS] = calloc(n, sizeof *from);
    double(*best)[FC_WAYS] = calloc(n, sizeof *best);
    const int there = c.own && c.in_pixels && from && best;
    if (there) {
        for (int i = 0; i < p->count; i++)
            for (int way = 0; way < FC_WAYS; way++) {
                const int forced = p->forced[i] >= 0 && p->forced[i] != way && takes(s, (fc_way)p->forced[i], &s->ops[i]);
                const int few = way == FC_LANES && s->few && p->forced[i] != FC_LANES; /* too few for a bundle */
                const int can = !forced && !few && takes(s, (fc_way)way, &s->ops[i]);
                c.own[i][way] = can ? cost_of(s, &s->ops[i], (fc_way)way) : DBL_MAX;
            }
        for (int o = 0; o < p->outputs; o++) c.in_pixels[p->output[o]] = 1;
        for (int l = 0; l < losses; l++) c.in_pixels[loss[l].tensor] = 1;
        along_chains(&c, from, best);
        one_by_one(&c);
        for (int i = 0; i < p->count; i++) s->why[i] = why(&c, i);
    }
    free(c.own), free(c.in_pixels), free(from), free(best);
    return there ? FC_OK : FC_OUT_OF_MEMORY;
}
