/* program.c - a network's table of operations: checked, completed, kept.
 *
 * Operations are in an order in which every tensor is made before it is read. What does not depend on the number of
 * images, the instruction set or the threads is found here, once:
 *
 *     producer[t]   the operation whose output tensor t is
 *     needed[t]     the gradient of t is worth computing: it is asked for, or something that learns is below it, or a
 *                   tensor whose gradient is asked for
 *     goes_on[i]    that is so of an input of operation i, or it learns itself
 */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "cost.h"
#include "schedule.h"

static int fits(const fc_op *op, const fc_size *y) {
    enum { TILE = 2 * FC_MOST_LANES };
    int ok = fc_fits(fc_plus(y->H, TILE), fc_plus(y->W, TILE), fc_plus(y->C, TILE));
    for (int i = 0; i < op->inputs; i++) {
        const fc_size *x = &op->x[i];
        const int64_t rows = fc_plus(fc_plus(x->H, y->H), fc_plus(op->KH, TILE));
        const int64_t columns = fc_plus(fc_plus(x->W, y->W), fc_plus(op->KW, TILE));
        const int64_t C = fc_plus(x->C, TILE), K = fc_plus(y->C, TILE);
        ok = ok && fc_fits(rows, columns, fc_plus(C, K)) && fc_fits(fc_plus(op->KH, 1), fc_plus(op->KW, 1), C, K);
    }
    return ok;
}

static int learns(const fc_op *op) {
    for (int w = 0; w < FC_MOST_WEIGHTS; w++)
        if (op->gradient[w]) return 1;
    return 0;
}

static void find_needed(fc_program *p) {
    for (int t = 0; t < p->tensors; t++) p->needed[t] = 0;
    for (int i = 0; i < p->inputs; i++) p->needed[p->input[i]] = p->wanted[i];
    for (int t = 0; t < p->taps; t++) p->needed[p->tap[t]] = 1;
    for (int i = 0; i < p->count; i++) {
        const fc_op *op = &p->ops[i];
        p->goes_on[i] = learns(op);
        for (int k = 0; k < op->inputs; k++) p->goes_on[i] |= p->needed[op->input[k]];
        p->needed[op->output] |= p->goes_on[i];
    }
}

fc_program *fc_program_new(const fc_op *ops, int count, const fc_size *tensors, int tensor_count, const int *inputs,
                           const int *wanted, int input_count, const int *outputs, int output_count) {
    fc_program *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    const size_t n = (size_t)tensor_count;
    p->count = count, p->tensors = tensor_count, p->inputs = input_count, p->outputs = output_count;
    p->ops = calloc((size_t)count + 1, sizeof *p->ops);
    p->sizes = calloc(n + 1, sizeof *p->sizes);
    p->input = calloc((size_t)input_count + 1, sizeof(int));
    p->wanted = calloc((size_t)input_count + 1, sizeof(int));
    p->output = calloc((size_t)output_count + 1, sizeof(int));
    p->producer = calloc(n + 1, sizeof(int));
    p->needed = calloc(n + 1, sizeof(int));
    p->goes_on = calloc((size_t)count + 1, sizeof(int));
    p->forced = malloc(sizeof(int) * ((size_t)count + 1));
    if (!p->ops || !p->sizes || !p->input || !p->wanted || !p->output || !p->producer || !p->needed || !p->goes_on ||
        !p->forced) {
        fc_program_free(p);
        return NULL;
    }
    memcpy(p->ops, ops, sizeof *ops * (size_t)count);
    memcpy(p->sizes, tensors, sizeof *tensors * n);
    memcpy(p->input, inputs, sizeof(int) * (size_t)input_count);
    memcpy(p->wanted, wanted, sizeof(int) * (size_t)input_count);
    memcpy(p->output, outputs, sizeof(int) * (size_t)output_count);
    for (int t = 0; t < tensor_count; t++) p->producer[t] = -1;
    int ok = 1;
    for (int i = 0; i < count; i++) {
        p->forced[i] = -1;
        fc_op *op = &p->ops[i];
        op->y = tensors[op->output];
        p->producer[op->output] = i;
        for (int k = 0; k < op->inputs; k++) op->x[k] = tensors[op->input[k]];
        ok = ok && fits(op, &op->y);
    }
    find_needed(p);
    if (ok) return p;
    fc_program_free(p);
    return NULL;
}

static void forget_schedules(fc_program *p) {
    fc_lock();
    fc_schedule *s = p->idle;
    p->idle = NULL, p->arenas.idle = 0;
    fc_unlock();
    fc_schedules_free(s);
}

void fc_program_force(fc_program *p, const int *ways) {
    forget_schedules(p);
    memcpy(p->forced, ways, sizeof(int) * (size_t)p->count);
}

int fc_program_tap(fc_program *p, const int *tensors, int count) {
    int *tap = calloc((size_t)count + 1, sizeof(int));
    if (!tap) return 0;
    forget_schedules(p);
    free(p->tap);
    memcpy(tap, tensors, sizeof(int) * (size_t)count);
    p->tap = tap, p->taps = count;
    find_needed(p);
    return 1;
}

int fc_program_efforts(const fc_program *p, int op, fc_way way, int64_t N, int backward, fc_effort *efforts) {
    return fc_efforts_of(fc_kernels_active(), &p->ops[op], way, N, backward, efforts);
}

fc_arenas fc_program_arenas(fc_program *p) {
    fc_lock();
    const fc_arenas now = p->arenas;
    fc_unlock();
    return now;
}

void fc_program_time(fc_program *p, double *seconds) { p->seconds = seconds; }

void fc_program_free(fc_program *p) {
    if (!p) return;
    forget_schedules(p);
    free(p->ops);
    free(p->sizes);
    free(p->input);
    free(p->wanted);
    free(p->output);
    free(p->producer);
    free(p->needed);
    free(p->goes_on);
    free(p->tap);
    free(p->forced);
    free(p);
}
