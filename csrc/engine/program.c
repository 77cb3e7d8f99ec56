/* program.c - a network's table of operations: checked, completed, kept.
 *
 * Operations are in an order in which every tensor is made before it is read. What does not depend on the number of
 * images, the instruction set or the threads is found here, once:
 *
 *     producer[t]   the operation whose output tensor t is
 *     needed[t]     the gradient of t is worth computing: something that learns is below it, or an input whose
 *                   gradient is wanted
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
    p->forced = malloc(sizeof(int) * ((size_t)count + 1));
    if (!p->ops || !p->sizes || !p->input || !p->wanted || !p->output || !p->producer || !p->needed || !p->forced) {
        fc_program_free(p);
        return NULL;
    }
    memcpy(p->ops, ops, sizeof *ops * (size_t)count);
    memcpy(p->sizes, tensors, sizeof *tensors * n);
    memcpy(p->input, inputs, sizeof(int) * (size_t)input_count);
    memcpy(p->wanted, wanted, sizeof(int) * (size_t)input_count);
    memcpy(p->output, outputs, sizeof(int) * (size_t)output_count);
    for (int t = 0; t < tensor_count; t++) p->producer[t] = -1;
    for (int i = 0; i < input_count; i++) p->needed[inputs[i]] = wanted[i];
    int ok = 1;
    for (int i = 0; i < count; i++) {
        p->forced[i] = -1;
        fc_op *op = &p->ops[i];
        op->y = tensors[op->output];
        p->producer[op->output] = i;
        int below = learns(op);
        for (int k = 0; k < op->inputs; k++) {
            op->x[k] = tensors[op->input[k]];
            below |= p->needed[op->input[k]];
        }
        p->needed[op->output] = below;
        ok = ok && fits(op, &op->y);
    }
    if (ok) return p;
    fc_program_free(p);
    return NULL;
}

static void forget_schedules(fc_program *p) {
    fc_lock();
    fc_schedule *s = p->idle;
    p->idle = NULL, p->arenas.idle = 0;
    fc_unlock();
    while (s) {
        fc_schedule *next = s->next;
        fc_schedule_free(s);
        s = next;
    }
}

void fc_program_force(fc_program *p, const int *ways) {
    forget_schedules(p);
    memcpy(p->forced, ways, sizeof(int) * (size_t)p->count);
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
    free(p->forced);
    free(p);
}
