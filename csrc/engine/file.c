/* file.c - a network as bytes, and back: docs/program-file.md.
 *
 * A file is a row of words of 8 bytes, the lowest byte first: whole numbers, and real numbers in double precision. Arrays
 * of weights are floats, two in a word.
 *
 * Each part is walked through by one function, whether it is read, written or only counted: `whole` takes the number
 * that is there and returns the one that is to be there, which is another one only while reading. So there is one
 * description of the format. It checks what it reads: every number has limits, no count is larger than what is left of
 * the file can hold, and no operation is taken that fc_op_check does not know to fit.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "network.h"

enum { VERSION = 1, WORD = 8, HEADER = 4 * WORD, OP_WORDS = 44, MOST_OPS = 1 << 14 };
static const char MAGIC[WORD] = {'f', 'a', 's', 't', 'c', 'o', 'n', 'v'};

typedef struct {
    const uint8_t *from; /* NULL: writing */
    uint8_t *to;         /* NULL: reading, or counting */
    int64_t at, size;    /* bytes so far, and how many there are to be read */
    char where[64];      /* the part it is in */
    char *error;         /* empty as long as all is well */
} codec;

/* ---- numbers -------------------------------------------------------------------------------------- */

static void fail(codec *c, const char *format, ...) {
    if (c->error[0]) return;
    char text[FC_ERROR_TEXT];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    snprintf(c->error, FC_ERROR_TEXT, "%s%s%.180s", c->where, c->where[0] ? ": " : "", text);
}

static int has_failed(const codec *c) { return c->error[0] != 0; }

static uint64_t word_at(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < WORD; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static void put_word(uint8_t *bytes, uint64_t value) {
    for (int i = 0; i < WORD; i++) bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t word(codec *c, uint64_t value) {
    if (c->from && c->size - c->at < WORD) {
        fail(c, "it ends too early");
        return 0;
    }
    if (c->from) value = word_at(c->from + c->at);
    if (c->to) put_word(c->to + c->at, value);
    c->at += WORD;
    return value;
}

static int64_t whole(codec *c, int64_t value, int64_t least, int64_t most, const char *what) {
    if (has_failed(c)) return least;
    const int64_t found = (int64_t)word(c, (uint64_t)value);
    if (least <= found && found <= most) return found;
    fail(c, "%s is %lld; it must be from %lld to %lld", what, (long long)found, (long long)least, (long long)most);
    return least;
}

static int integer(codec *c, int value, int least, int most, const char *what) {
    return (int)whole(c, value, least, most, what);
}

static int flag(codec *c, int value, const char *what) { return integer(c, value, 0, 1, what); }

static double real(codec *c, double value, const char *what) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = word(c, bits);
    memcpy(&value, &bits, sizeof bits);
    if (isfinite(value)) return value;
    fail(c, "%s is not finite", what);
    return 0;
}

static double not_negative(codec *c, double value, const char *what) {
    value = real(c, value, what);
    if (value < 0) fail(c, "%s is negative", what);
    return value;
}

static double share(codec *c, double value, const char *what) {
    value = real(c, value, what);
    if (value < 0 || value > 1) fail(c, "%s is %g; it must be from 0 to 1", what, value);
    return value;
}

static float single(codec *c, float value, const char *what) {
    const double found = real(c, (double)value, what);
    if ((double)(float)found != found) fail(c, "%s is not a number of single precision", what);
    return (float)found;
}

/* How many parts of so many words the rest of the file can hold. */
static int room(const codec *c, int64_t words, int most) {
    return c->from ? (int)fc_min(most, (c->size - c->at) / (words * WORD)) : most;
}

/* A new list of so many zeros, and one more. */
static void *list_of(codec *c, int count, size_t size) {
    void *list = calloc((size_t)count + 1, size);
    if (!list) fail(c, "there is no memory for it");
    return list;
}

/* ---- arrays --------------------------------------------------------------------------------------- */

static void floats(codec *c, float *array, int64_t n) {
    for (int64_t i = 0; i < n; i += 2) {
        uint32_t two[2] = {0, 0};
        const size_t bytes = sizeof(float) * (size_t)fc_min(2, n - i);
        if (!c->from) memcpy(two, array + i, bytes);
        const uint64_t both = word(c, two[0] | (uint64_t)two[1] << 32);
        two[0] = (uint32_t)both, two[1] = (uint32_t)(both >> 32);
        if (c->from) memcpy(array + i, two, bytes);
    }
}

float *fc_new_weights(int64_t n) {
    float *array = fc_floats(fc_plus(n, FC_SLACK));
    if (array) memset(array, 0, sizeof(float) * (size_t)(n + FC_SLACK));
    return array;
}

static float *room_for(codec *c, int64_t n) {
    float *array = has_failed(c) ? NULL : fc_new_weights(n);
    if (!array) fail(c, "there is no memory for it");
    return array;
}

static float *array(codec *c, float *given, int64_t n) {
    if (c->from && n > (c->size - c->at) / (int64_t)sizeof(float)) fail(c, "its numbers are missing");
    float *found = c->from ? room_for(c, n) : given;
    if (found) floats(c, found, n);
    return found;
}

/* ---- weights -------------------------------------------------------------------------------------- */

static const struct {
    int needs, takes, momentum; /* states; the one that momentum is in, or -1 */
} rules[FC_RULES] = {[FC_SGD] = {0, 1, 0},   [FC_ADAGRAD] = {1, 1, -1}, [FC_RMSPROP] = {1, 3, 2},
                     [FC_ADAM] = {2, 3, -1}, [FC_ADAMAX] = {2, 2, -1},  [FC_NADAM] = {2, 2, -1},
                     [FC_ADADELTA] = {2, 2, -1}};

int fc_rule_momentum(int kind) { return rules[kind].momentum; }

static void walk_parameter(codec *c, fc_network *n, int i) {
    const int learns = i < n->learned;
    fc_parameter p = n->parameter[i];
    snprintf(c->where, sizeof c->where, "weights %d", i);
    p.n = whole(c, p.n, 1, c->from ? (c->size - c->at) / (int64_t)sizeof(float) : FC_LARGEST, "their number");
    p.decays = flag(c, p.decays, "decays");
    const double l1 = not_negative(c, n->l1[i], "l1"), l2 = not_negative(c, n->l2[i], "l2");
    int kept[FC_OPTIMIZER_STATES];
    for (int s = 0; s < FC_OPTIMIZER_STATES; s++) {
        const int needed = learns && s < rules[n->rule.kind].needs, taken = learns && s < rules[n->rule.kind].takes;
        kept[s] = integer(c, p.state[s] != NULL, needed, taken, "whether a state is kept");
    }
    p.value = array(c, p.value, p.n);
    for (int s = 0; s < FC_OPTIMIZER_STATES; s++)
        if (kept[s]) p.state[s] = array(c, p.state[s], p.n);
    if (!c->from) return;
    if (learns) p.grad = room_for(c, p.n);
    if (i) p.first_block = n->parameter[i - 1].first_block + fc_pieces(n->parameter[i - 1].n, FC_OPTIMIZER_BLOCK);
    n->parameter[i] = p, n->l1[i] = l1, n->l2[i] = l2;
}

/* ---- operations ----------------------------------------------------------------------------------- */

static int number_of(const fc_network *n, const float *weight) {
    for (int i = 0; weight && i < n->count; i++)
        if (n->parameter[i].value == weight) return i;
    return -1;
}

/* Which weights a kind has to have, and may have, as bits. */
static void weights_of(fc_op_kind kind, int *needs, int *takes) {
    *needs = *takes = 0;
    if (kind <= FC_OP_DENSE) *needs = 1, *takes = 3;
    if (kind == FC_OP_BATCH_NORM) *needs = 12, *takes = 15;
    if (kind == FC_OP_PRELU) *needs = *takes = 1;
}

static void walk_weights(codec *c, const fc_network *n, fc_op *op) {
    int needs, takes;
    weights_of(op->kind, &needs, &takes);
    int number[FC_MOST_WEIGHTS];
    for (int w = 0; w < FC_MOST_WEIGHTS; w++) {
        number[w] = integer(c, number_of(n, op->weight[w]), needs >> w & 1 ? 0 : -1,
                            takes >> w & 1 ? n->count - 1 : -1, "the number of its weights");
        if (c->from && number[w] >= 0 && !has_failed(c)) op->weight[w] = n->parameter[number[w]].value;
    }
    for (int w = 0; w < FC_MOST_WEIGHTS; w++) {
        const int may_learn = w < 2 && number[w] >= 0 && number[w] < n->learned;
        const int learns = integer(c, op->gradient[w] != NULL, 0, may_learn, "whether its weights learn");
        if (c->from && learns && !has_failed(c)) op->gradient[w] = (float *)n->parameter[number[w]].grad;
    }
}

/* A row of the table: OP_WORDS words. */
static void walk_op(codec *c, const fc_network *n, int tensors, fc_op *op, fc_draws *draws) {
    const int64_t far = INT32_MAX;
    op->kind = (fc_op_kind)integer(c, (int)op->kind, 0, FC_OP_KINDS - 1, "its kind");
    op->inputs = integer(c, op->inputs, 1, FC_MOST_INPUTS, "the number of its inputs");
    for (int i = 0; i < FC_MOST_INPUTS; i++)
        op->input[i] = integer(c, op->input[i], 0, i < op->inputs ? tensors - 1 : 0, "the number of an input");
    op->output = integer(c, op->output, 0, tensors - 1, "the number of its output");
    op->KH = whole(c, op->KH, 1, far, "the height of its window");
    op->KW = whole(c, op->KW, 1, far, "the width of its window");
    op->stride_h = whole(c, op->stride_h, 1, far, "its stride along rows");
    op->stride_w = whole(c, op->stride_w, 1, far, "its stride along columns");
    op->dilation_h = whole(c, op->dilation_h, 1, far, "its dilation along rows");
    op->dilation_w = whole(c, op->dilation_w, 1, far, "its dilation along columns");
    op->pad_top = whole(c, op->pad_top, -far, far, "its padding at the top");
    op->pad_left = whole(c, op->pad_left, -far, far, "its padding at the left");
    op->groups = whole(c, op->groups, 1, far, "the number of its groups");
    op->activation = (fc_activation)integer(c, (int)op->activation, 0, FC_TANH_SHRINK, "its activation");
    op->alpha = single(c, op->alpha, "alpha of its activation");
    op->algorithm = integer(c, op->algorithm, FC_CONV2D_AUTO, FC_CONV2D_WINOGRAD, "its algorithm");
    op->elementwise = (fc_elementwise)integer(c, (int)op->elementwise, 0, FC_MINIMUM, "its arithmetic");
    op->scale = single(c, op->scale, "its scale");
    op->shift = single(c, op->shift, "its shift");
    op->fill = single(c, op->fill, "its fill");
    op->threshold = (uint32_t)whole(c, op->threshold, 0, UINT32_MAX, "its threshold");
    op->spatial = flag(c, op->spatial, "whether it is spatial");
    op->epsilon = not_negative(c, op->epsilon, "epsilon");
    op->momentum = real(c, op->momentum, "its momentum");
    op->training = flag(c, op->training, "whether it is in training");
    walk_weights(c, n, op);
    op->adds = flag(c, op->adds, "whether it adds to gradients");
    draws->random.seed = word(c, draws->random.seed);
    draws->random.call = (uint32_t)whole(c, draws->random.call, 0, UINT32_MAX, "the call of its random numbers");
    draws->step = (uint32_t)whole(c, draws->step, 0, UINT32_MAX, "the step of its random numbers");
}

/* ---- tables --------------------------------------------------------------------------------------- */

typedef struct {
    int tensors, inputs, outputs, count;
    fc_size *size;
    int *input, *output, *wanted, *made;
    fc_op *op;
} draft;

static void walk_size(codec *c, fc_size *size) {
    size->H = whole(c, size->H, 1, INT32_MAX, "the height of a tensor");
    size->W = whole(c, size->W, 1, INT32_MAX, "the width of a tensor");
    size->C = whole(c, size->C, 1, INT32_MAX, "the number of channels of a tensor");
    if (!has_failed(c) && !fc_is_size(*size)) fail(c, "a tensor is too large");
}

static void walk_port(codec *c, const draft *d, int *tensor, int *axes) {
    *tensor = integer(c, *tensor, 0, d->tensors - 1, "the number of an input or output");
    const fc_size size = d->size[*tensor];
    const int least = size.H > 1 ? 3 : size.W > 1 ? 2 : 1;
    *axes = integer(c, *axes, least, 3, "its number of axes");
}

static void check_op(codec *c, const fc_network *n, const draft *d, fc_op op) {
    char text[FC_ERROR_TEXT];
    for (int i = 0; i < op.inputs; i++) {
        op.x[i] = d->size[op.input[i]];
        if (!d->made[op.input[i]]) fail(c, "its input %d is made after it", i);
    }
    op.y = d->size[op.output];
    if (d->made[op.output]) fail(c, "its output is made before");
    if (!fc_op_check(&op, text)) fail(c, "%s", text);
    if (has_failed(c) || !fc_fits(op.KH, op.KW, op.x[0].C, op.y.C)) {
        fail(c, "its window is too large");
        return;
    }
    for (int w = 0; w < FC_MOST_WEIGHTS; w++) {
        const int number = number_of(n, op.weight[w]);
        if (number >= 0 && n->parameter[number].n != fc_weight_size(&op, w))
            fail(c, "it needs %lld weights, and weights %d are %lld", (long long)fc_weight_size(&op, w), number,
                 (long long)n->parameter[number].n);
    }
}

static void walk_draft(codec *c, const fc_network *n, fc_table *t, draft *d, const char *what) {
    for (int i = 0; i < d->tensors; i++) walk_size(c, &d->size[i]);
    for (int i = 0; i < d->inputs; i++) {
        walk_port(c, d, &d->input[i], &t->input_axes[i]);
        if (d->made[d->input[i]]) fail(c, "input %d is there twice", i);
        d->made[d->input[i]] = 1;
    }
    for (int i = 0; i < d->count && !has_failed(c); i++) {
        fc_op op = d->op[i];
        fc_draws draws = t->draws[i];
        if (!c->from && op.random) draws.random = *op.random;
        snprintf(c->where, sizeof c->where, "%s operation %d", what, i);
        walk_op(c, n, d->tensors, &op, &draws);
        snprintf(c->where, sizeof c->where, "%s operation %d, %s", what, i, fc_op_name(op.kind));
        if (has_failed(c)) break;
        check_op(c, n, d, op);
        d->made[op.output] = 1;
        if (!c->from) continue;
        t->draws[i] = draws;
        op.random = op.kind == FC_OP_DROPOUT ? &t->draws[i].random : NULL;
        d->op[i] = op;
    }
    snprintf(c->where, sizeof c->where, "%s", what);
    for (int i = 0; i < d->outputs; i++) {
        walk_port(c, d, &d->output[i], &t->output_axes[i]);
        if (!has_failed(c) && !d->made[d->output[i]]) fail(c, "output %d is never made", i);
    }
}

/* Reading, a table of these counts, still empty; writing, that of the program. */
static draft draft_of(codec *c, fc_table *t) {
    const fc_program *p = t->program;
    draft d = {0};
    if (p) d = (draft){.tensors = p->tensors, .inputs = p->inputs, .outputs = p->outputs, .count = p->count};
    d.tensors = integer(c, d.tensors, 1, room(c, 3, MOST_OPS), "the number of tensors");
    d.inputs = integer(c, d.inputs, 1, room(c, 2, MOST_OPS), "the number of inputs");
    d.outputs = integer(c, d.outputs, 1, room(c, 2, MOST_OPS), "the number of outputs");
    d.count = integer(c, d.count, 0, room(c, OP_WORDS, MOST_OPS), "the number of operations");
    d.size = list_of(c, d.tensors, sizeof *d.size), d.made = list_of(c, d.tensors, sizeof(int));
    d.input = list_of(c, d.inputs, sizeof(int)), d.wanted = list_of(c, d.inputs, sizeof(int));
    d.output = list_of(c, d.outputs, sizeof(int)), d.op = list_of(c, d.count, sizeof *d.op);
    if (c->from) {
        t->input_axes = list_of(c, d.inputs, sizeof(int)), t->output_axes = list_of(c, d.outputs, sizeof(int));
        t->draws = list_of(c, d.count, sizeof *t->draws);
    } else if (!has_failed(c)) {
        memcpy(d.size, p->sizes, sizeof *d.size * (size_t)d.tensors);
        memcpy(d.input, p->input, sizeof(int) * (size_t)d.inputs);
        memcpy(d.output, p->output, sizeof(int) * (size_t)d.outputs);
        memcpy(d.op, p->ops, sizeof *d.op * (size_t)d.count);
    }
    return d;
}

static void walk_table(codec *c, fc_network *n, fc_table *t, const char *what) {
    snprintf(c->where, sizeof c->where, "%s", what);
    draft d = draft_of(c, t);
    if (!has_failed(c)) walk_draft(c, n, t, &d, what);
    if (c->from && !has_failed(c)) {
        t->program = fc_program_new(d.op, d.count, d.size, d.tensors, d.input, d.wanted, d.inputs, d.output, d.outputs);
        if (!t->program) fail(c, "there is no memory for it, or its sizes do not fit");
    }
    free(d.size), free(d.made), free(d.input), free(d.wanted), free(d.output), free(d.op);
}

/* ---- training ------------------------------------------------------------------------------------- */

static void walk_rule(codec *c, fc_rule *r) {
    fc_update_options *a = &r->around;
    snprintf(c->where, sizeof c->where, "optimizer");
    r->kind = integer(c, r->kind, 0, FC_RULES - 1, "its rule");
    r->learning_rate = real(c, r->learning_rate, "its learning rate");
    r->momentum = share(c, r->momentum, "its momentum");
    r->nesterov = flag(c, r->nesterov, "whether it is Nesterov's");
    r->rho = share(c, r->rho, "rho");
    r->beta_1 = share(c, r->beta_1, "beta_1");
    r->beta_2 = share(c, r->beta_2, "beta_2");
    r->epsilon = real(c, r->epsilon, "epsilon");
    r->momentum_product = share(c, r->momentum_product, "the product of its momentums");
    r->steps = whole(c, r->steps, 0, FC_MOST_STEPS, "the number of its steps");
    a->clip_value = not_negative(c, a->clip_value, "its limit of values");
    a->clip_norm = not_negative(c, a->clip_norm, "its limit of norms");
    a->global_clip_norm = not_negative(c, a->global_clip_norm, "its limit of the global norm");
    a->weight_decay = not_negative(c, a->weight_decay, "its weight decay");
    a->gradient_scale = 1;
}

static void walk_term(codec *c, const fc_network *n, fc_term *t, int i) {
    const fc_program *p = n->training.program;
    snprintf(c->where, sizeof c->where, "loss %d", i);
    t->what.kind = (fc_loss_kind)integer(c, (int)t->what.kind, 0, FC_LOSS_HUBER, "its kind");
    t->what.output = integer(c, t->what.output, 0, p->outputs - 1, "the number of its output");
    t->what.labels = integer(c, t->what.labels, 0, t->what.kind == FC_LOSS_SOFTMAX_CROSS_ENTROPY,
                             "whether it takes labels");
    t->tensor = integer(c, t->tensor, 0, p->tensors - 1, "the number of its tensor");
    t->delta = not_negative(c, t->delta, "delta");
    t->least = not_negative(c, t->least, "its lower limit");
    t->most = not_negative(c, t->most, "its upper limit");
    t->sum = flag(c, t->sum, "whether it is a sum");
    t->weight = real(c, t->weight, "its weight");
    if (has_failed(c)) return;
    const fc_size at = p->sizes[t->tensor], of = p->sizes[p->output[t->what.output]];
    if (p->producer[t->tensor] < 0 || at.H != of.H || at.W != of.W || at.C != of.C)
        fail(c, "it does not begin at its output");
}

static void check_ports(codec *c, const fc_network *n) {
    const fc_program *p = n->inference.program, *q = n->training.program;
    int same = p->inputs == q->inputs && p->outputs == q->outputs;
    for (int i = 0; same && i < p->inputs; i++)
        same = !memcmp(&p->sizes[p->input[i]], &q->sizes[q->input[i]], sizeof *p->sizes);
    for (int i = 0; same && i < p->outputs; i++)
        same = !memcmp(&p->sizes[p->output[i]], &q->sizes[q->output[i]], sizeof *p->sizes);
    if (!same) fail(c, "its inputs and outputs are not those of inference");
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* All behind the header. */
static void walk(codec *c, fc_network *n) {
    n->trains = flag(c, n->trains, "whether it can be trained");
    n->count = integer(c, n->count, 0, room(c, 8, MOST_OPS * FC_MOST_WEIGHTS), "the number of its weights");
    n->learned = integer(c, n->learned, 0, n->trains ? n->count : 0, "the number of those that learn");
    if (n->trains) walk_rule(c, &n->rule);
    if (c->from) {
        n->parameter = list_of(c, n->count, sizeof *n->parameter);
        n->stepped = list_of(c, n->count, sizeof *n->stepped);
        n->l1 = list_of(c, n->count, sizeof(double)), n->l2 = list_of(c, n->count, sizeof(double));
    }
    for (int i = 0; i < n->count && !has_failed(c); i++) walk_parameter(c, n, i);
    if (!has_failed(c)) walk_table(c, n, &n->inference, "inference");
    if (!has_failed(c) && n->trains) {
        walk_table(c, n, &n->training, "training");
        if (!has_failed(c)) check_ports(c, n);
        n->terms = integer(c, n->terms, 1, FC_MOST_INPUTS, "the number of its losses");
        for (int i = 0; i < n->terms && !has_failed(c); i++) walk_term(c, n, &n->term[i], i);
    }
    c->where[0] = 0;
    if (c->from && !has_failed(c) && c->at != c->size) fail(c, "it does not end where it should");
}

/* Words one by one: each change of a single word changes it. */
static uint64_t checksum_of(const uint8_t *bytes, int64_t size) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i + WORD <= size; i += WORD) sum = (sum ^ word_at(bytes + i)) * UINT64_C(0x100000001b3);
    return sum;
}

static void check_header(codec *c) {
    if (c->size < HEADER || memcmp(c->from, MAGIC, WORD)) {
        fail(c, "it is no program file");
        return;
    }
    const uint64_t version = word_at(c->from + WORD), size = word_at(c->from + 2 * WORD);
    if (version != VERSION)
        fail(c, "it is of version %llu of the format; this fastconv reads version %d", (unsigned long long)version,
             VERSION);
    else if (size != (uint64_t)c->size || size % WORD)
        fail(c, "it was %llu bytes when it was written, and is %lld", (unsigned long long)size, (long long)c->size);
    else if (word_at(c->from + 3 * WORD) != checksum_of(c->from + HEADER, c->size - HEADER))
        fail(c, "it is damaged: its checksum does not agree with what is in it");
    c->at = HEADER;
}

fc_network *fc_network_read(const void *bytes, int64_t size, char error[FC_ERROR_TEXT]) {
    codec c = {.from = bytes, .size = size, .error = error};
    fc_network *n = calloc(1, sizeof *n);
    error[0] = 0;
    if (!n) fail(&c, "there is no memory for it");
    else check_header(&c);
    if (!has_failed(&c)) walk(&c, n);
    if (!has_failed(&c)) return n;
    fc_network_free(n);
    return NULL;
}

int64_t fc_network_pack(const fc_network *network, uint8_t *to, char error[FC_ERROR_TEXT]) {
    fc_network copy = *network; /* its numbers, which stay what they are; arrays are the same */
    codec c = {.to = to, .at = HEADER, .error = error};
    error[0] = 0;
    walk(&c, &copy);
    if (has_failed(&c)) return -1;
    if (to) {
        memcpy(to, MAGIC, WORD);
        put_word(to + WORD, VERSION);
        put_word(to + 2 * WORD, (uint64_t)c.at);
        put_word(to + 3 * WORD, checksum_of(to + HEADER, c.at - HEADER));
    }
    return c.at;
}

int64_t fc_network_size(const fc_network *network) {
    char error[FC_ERROR_TEXT];
    return fc_network_pack(network, NULL, error);
}

void fc_network_write(const fc_network *network, void *bytes) {
    char error[FC_ERROR_TEXT];
    fc_network_pack(network, bytes, error);
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* All of the file, with its size; NULL with a text. */
static uint8_t *contents(const char *path, int64_t *size, char *error) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(error, FC_ERROR_TEXT, "cannot open %.180s: %s", path, strerror(errno));
        return NULL;
    }
    uint8_t *bytes = NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (*size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0)
        bytes = malloc((size_t)*size + 1);
    if (bytes && fread(bytes, 1, (size_t)*size, file) != (size_t)*size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    if (!bytes) snprintf(error, FC_ERROR_TEXT, "cannot read %.200s", path);
    return bytes;
}

fc_network *fc_network_load(const char *path, char error[FC_ERROR_TEXT]) {
    int64_t size;
    uint8_t *bytes = contents(path, &size, error);
    if (!bytes) return NULL;
    fc_network *n = fc_network_read(bytes, size, error);
    free(bytes);
    return n;
}

static int write_bytes(const char *path, const uint8_t *bytes, int64_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) return 0;
    const int written = fwrite(bytes, 1, (size_t)size, file) == (size_t)size;
    return fclose(file) == 0 && written;
}

/* Beside its place, then renamed: the old file or the new one is there, whole. */
fc_status fc_network_save(fc_network *n, const char *path) {
    const int64_t size = fc_network_size(n);
    uint8_t *bytes = malloc((size_t)size);
    char *beside = malloc(strlen(path) + sizeof ".part");
    fc_status status = FC_OUT_OF_MEMORY;
    if (bytes && beside) {
        fc_network_write(n, bytes);
        strcpy(beside, path), strcat(beside, ".part");
        int done = write_bytes(beside, bytes, size);
#if defined(_WIN32)
        if (done) remove(path);
#endif
        done = done && rename(beside, path) == 0;
        status = done ? FC_OK : FC_INVALID;
        if (!done) {
            snprintf(n->error, FC_ERROR_TEXT, "cannot write %.180s: %s", path, strerror(errno));
            remove(beside);
        }
    }
    free(bytes), free(beside);
    return status;
}
