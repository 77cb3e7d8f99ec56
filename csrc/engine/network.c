/* network.c - a network from a file: predict, and learn.
 *
 * One step on N images, with L the loss, g its gradient and w the weights that learn:
 *
 *     outputs = training operations(inputs)                      draws of dropout: this call's
 *     L = sum over losses of weight l + sum over w of l1 |w| + l2 w^2
 *     g = dL/dw, by the way back through the operations, and the penalties' slopes
 *     w, states = rule(w, g, states)                             optimizer.c
 *     moving statistics, draws                                   once nothing can fail
 *
 * the same calls in the same order as fastconv makes from Python, so that both take the same steps to the bit.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "network.h"

/* ---- what it is ----------------------------------------------------------------------------------- */

static void free_table(fc_table *t) {
    fc_program_free(t->program);
    free(t->input_axes), free(t->output_axes), free(t->draws);
}

void fc_network_free(fc_network *n) {
    if (!n) return;
    for (int i = 0; n->parameter && i < n->count; i++) {
        fc_parameter *p = &n->parameter[i];
        fc_free(p->value), fc_free((float *)p->grad);
        for (int s = 0; s < FC_OPTIMIZER_STATES; s++) fc_free(p->state[s]);
    }
    free_table(&n->inference), free_table(&n->training);
    free(n->parameter), free(n->stepped), free(n->l1), free(n->l2);
    free(n);
}

const char *fc_network_error(const fc_network *n) { return n->error; }
int fc_network_inputs(const fc_network *n) { return n->inference.program->inputs; }
int fc_network_outputs(const fc_network *n) { return n->inference.program->outputs; }
int fc_network_losses(const fc_network *n) { return n->terms; }
fc_judgement fc_network_loss(const fc_network *n, int i) { return n->term[i].what; }

fc_port fc_network_input(const fc_network *n, int i) {
    const fc_table *t = &n->inference;
    return (fc_port){t->program->sizes[t->program->input[i]], t->input_axes[i]};
}

fc_port fc_network_output(const fc_network *n, int i) {
    const fc_table *t = &n->inference;
    return (fc_port){t->program->sizes[t->program->output[i]], t->output_axes[i]};
}

fc_training fc_network_training(const fc_network *n) {
    return (fc_training){.learning_rate = n->rule.learning_rate, .momentum = n->rule.momentum, .l2 = 0};
}

/* ---- runs ----------------------------------------------------------------------------------------- */

/* The next run has other draws. */
static void advance(fc_table *t) {
    for (int i = 0; i < t->program->count; i++) t->draws[i].random.call += t->draws[i].step;
}

static fc_status invalid(fc_network *n, const char *text) {
    snprintf(n->error, FC_ERROR_TEXT, "%s", text);
    return FC_INVALID;
}

fc_status fc_network_predict(fc_network *n, int64_t N, const float *const *inputs, float *const *outputs) {
    const fc_run run = {.N = N, .inputs = inputs, .outputs = outputs};
    if (N < 1) return invalid(n, "there are no images");
    const fc_status status = fc_program_run(n->inference.program, &run, 0, NULL);
    if (status == FC_OK) advance(&n->inference);
    return status;
}

/* ---- one step ------------------------------------------------------------------------------------- */

static fc_status check_targets(fc_network *n, int64_t N, const fc_term *term, const fc_targets *targets) {
    const fc_size size = n->training.program->sizes[term->tensor];
    if (!fc_fits(N, size.H, size.W, size.C)) return FC_TOO_LARGE;
    if (term->what.labels ? !targets->labels : !targets->rows)
        return invalid(n, term->what.labels ? "labels are wanted" : "rows are wanted as targets");
    const int64_t labels = term->what.labels ? N * size.H * size.W : 0;
    for (int64_t i = 0; i < labels; i++)
        if (targets->labels[i] < 0 || targets->labels[i] >= size.C) {
            snprintf(n->error, FC_ERROR_TEXT, "label %lld of the batch is %lld; there are %lld classes", (long long)i,
                     (long long)targets->labels[i], (long long)size.C);
            return FC_INVALID;
        }
    return FC_OK;
}

/* What a loss is multiplied by, once it is summed over the images: it is the mean over an image's places already. */
static double factor_of(const fc_term *term, int64_t N, fc_size size) {
    const double places = (double)(size.H * size.W);
    return (term->sum ? 1.0 : 1.0 / (double)(N * size.H * size.W)) * places;
}

static fc_loss loss_of(const fc_network *n, int64_t N, const fc_term *term, const fc_targets *targets, float *losses) {
    const fc_size size = n->training.program->sizes[term->tensor];
    return (fc_loss){.kind = term->what.kind, .tensor = term->tensor, .delta = (float)term->delta,
                     .least = (float)term->least, .most = (float)term->most,
                     .targets = {.labels = term->what.labels ? targets->labels : NULL,
                                 .rows = term->what.labels ? NULL : targets->rows, .weights = targets->weights},
                     .scale = (float)(term->weight * factor_of(term, N, size)), .losses = losses};
}

static double value_of(const fc_network *n, int64_t N, const fc_loss *losses) {
    double total = 0;
    for (int l = 0; l < n->terms; l++) {
        const float *each = losses[l].losses, *weights = losses[l].targets.weights;
        double sum = 0;
        for (int64_t i = 0; i < N; i++) sum += (double)(weights ? each[i] * weights[i] : each[i]);
        total += n->term[l].weight * (sum * factor_of(&n->term[l], N, n->training.program->sizes[n->term[l].tensor]));
    }
    return total;
}

static int is_kernel(const fc_network *n, int i) {
    const fc_program *p = n->training.program;
    for (int k = 0; k < p->count; k++)
        if (p->ops[k].kind <= FC_OP_DENSE && p->ops[k].weight[0] == n->parameter[i].value) return 1;
    return 0;
}

/* The penalties of all that learns, and their gradients. */
static double penalize(fc_network *n, double l2) {
    double total = 0;
    for (int i = 0; i < n->learned; i++) {
        const double all = n->l2[i] + (l2 != 0 && is_kernel(n, i) ? l2 : 0);
        if (n->l1[i] != 0 || all != 0)
            total += fc_l1_l2_penalty(n->parameter[i].n, n->parameter[i].value, n->l1[i], all,
                                      (float *)n->parameter[i].grad, 1);
    }
    return total;
}

/* Nadam's u of a step. */
static double momentum_at(const fc_rule *r, int64_t step) { return r->beta_1 * (1 - 0.5 * pow(0.96, (double)step)); }

/* What is to be stepped: with velocities where there is a momentum, and without where there is none. */
static fc_status prepare(fc_network *n, double momentum) {
    const int state = fc_rule_momentum(n->rule.kind);
    for (int i = 0; i < n->learned; i++) {
        fc_parameter *p = &n->parameter[i];
        if (state >= 0 && momentum != 0 && !p->state[state] && !(p->state[state] = fc_new_weights(p->n)))
            return FC_OUT_OF_MEMORY;
        n->stepped[i] = *p;
        if (state >= 0 && momentum == 0) n->stepped[i].state[state] = NULL;
    }
    return FC_OK;
}

static fc_status step(fc_network *n, const fc_training *t) {
    fc_rule *r = &n->rule;
    const int64_t step = fc_min(r->steps + 1, FC_MOST_STEPS), count = n->learned;
    const double rate = t->learning_rate, product = r->momentum_product * momentum_at(r, step);
    const fc_parameter *p = n->stepped;
    fc_status status = FC_OK;
    switch (r->kind) {
    case FC_SGD: status = fc_sgd_step(count, p, &r->around, rate, t->momentum, r->nesterov); break;
    case FC_ADAGRAD: status = fc_adagrad_step(count, p, &r->around, rate, r->epsilon); break;
    case FC_RMSPROP: status = fc_rmsprop_step(count, p, &r->around, rate, r->rho, t->momentum, r->epsilon); break;
    case FC_ADAM: status = fc_adam_step(count, p, &r->around, rate, r->beta_1, r->beta_2, r->epsilon, step); break;
    case FC_ADAMAX: status = fc_adamax_step(count, p, &r->around, rate, r->beta_1, r->beta_2, r->epsilon, step); break;
    case FC_NADAM:
        status = fc_nadam_step(count, p, &r->around, rate, r->beta_1, r->beta_2, r->epsilon, momentum_at(r, step),
                               momentum_at(r, step + 1), product, product * momentum_at(r, step + 1), step);
        break;
    default: status = fc_adadelta_step(count, p, &r->around, rate, r->rho, r->epsilon);
    }
    if (status == FC_OK) r->steps = step, r->momentum_product = product;
    return status;
}

static fc_status train(fc_network *n, int64_t N, const float *const *inputs, float *const *outputs,
                       const fc_targets *targets, const fc_training *t, float *losses, double *value) {
    fc_loss loss[FC_MOST_INPUTS];
    for (int l = 0; l < n->terms; l++) loss[l] = loss_of(n, N, &n->term[l], &targets[l], losses + l * N);
    const fc_run run = {.N = N, .inputs = inputs, .outputs = outputs, .losses = n->terms, .loss = loss};
    fc_held *held = NULL;
    fc_status status = prepare(n, t->momentum);
    if (status == FC_OK) status = fc_program_run(n->training.program, &run, 0, &held);
    if (status != FC_OK) return status;
    *value = value_of(n, N, loss) + penalize(n, t->l2);
    status = step(n, t);
    if (status == FC_OK) fc_program_commit(n->training.program, held), advance(&n->training);
    fc_program_let_go(n->training.program, held);
    return status;
}

/* Room for the outputs that the caller does not want. */
static float **spare_outputs(const fc_network *n, int64_t N, float **memory) {
    const fc_program *p = n->training.program;
    float **spare = calloc((size_t)p->outputs + 1, sizeof *spare);
    int64_t floats = 0;
    for (int i = 0; i < p->outputs; i++) floats = fc_plus(floats, fc_times(N, fc_size_of(p->sizes[p->output[i]])));
    *memory = fc_floats(floats);
    floats = 0;
    for (int i = 0; spare && *memory && i < p->outputs; i++) {
        spare[i] = *memory + floats;
        floats += N * fc_size_of(p->sizes[p->output[i]]);
    }
    return spare;
}

fc_status fc_network_train_step(fc_network *n, int64_t N, const float *const *inputs, const fc_targets *targets,
                                const fc_training *training, float *const *outputs, double *loss) {
    const fc_training t = training ? *training : fc_network_training(n);
    double value = 0;
    if (!n->trains) return invalid(n, "it was exported for inference: it cannot be trained");
    if (N < 1) return invalid(n, "there are no images");
    if (!isfinite(t.learning_rate) || !isfinite(t.momentum) || !isfinite(t.l2))
        return invalid(n, "learning rate, momentum and l2 must be finite");
    fc_status status = FC_OK;
    for (int l = 0; l < n->terms && status == FC_OK; l++) status = check_targets(n, N, &n->term[l], &targets[l]);
    if (status != FC_OK) return status;

    float *memory = NULL, *losses = fc_floats(fc_times(n->terms, N));
    float **spare = outputs ? NULL : spare_outputs(n, N, &memory);
    status = FC_OUT_OF_MEMORY;
    if (losses && (outputs || (spare && memory)))
        status = train(n, N, inputs, outputs ? outputs : spare, targets, &t, losses, &value);
    fc_free(losses), fc_free(memory), free(spare);
    if (status == FC_OK && loss) *loss = value;
    return status;
}
