/* programs_test.c - programs on several threads: the same bits as on one; several programs, and several runs of one
 * program beside training, at the same time.
 *
 *     input - conv - batch norm - relu - add - max pool - dropout - conv + tanh - reshape - dense - softmax, loss
 *               \______________________/
 *
 * In each way and in the one that cost.c chooses; forward, losses and backward in one run, and in two halves. Made for
 * tools/thread_sanitizer.sh, which looks for reads and writes that nothing puts in order; the numbers themselves are
 * tested in kernels_test.c and in Python.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "arrays.h"
#include "engine/engine.h"
#include "fastconv.h"
#include "memory.h"

enum { OPS = 10, WEIGHTS = 9000, CLASSES = 5, MOST_IMAGES = 40, LOGITS = 9 };

static const fc_size tensors[OPS + 1] = {{12, 12, 6}, {12, 12, 6}, {12, 12, 6}, {12, 12, 6}, {12, 12, 6}, {6, 6, 6},
                                         {6, 6, 6},   {4, 4, 20},  {1, 1, 320}, {1, 1, CLASSES}, {1, 1, CLASSES}};

/* A network of its own weights, with room for all that it writes. */
typedef struct {
    fc_op ops[OPS];
    float weights[WEIGHTS], gradients[WEIGHTS];
    float x[MOST_IMAGES * 12 * 12 * 6], y[MOST_IMAGES * CLASSES], dy[MOST_IMAGES * CLASSES], losses[MOST_IMAGES];
    int64_t labels[MOST_IMAGES];
    fc_random stream;
    fc_program *program;
    int64_t used;
} network;

static void give_weights(network *net, fc_op *op, int w, int64_t count, int learns) {
    op->weight[w] = net->weights + net->used;
    if (learns) op->gradient[w] = net->gradients + net->used;
    net->used += count + FC_SLACK;
    if (net->used > WEIGHTS) puts("no room for the weights"), exit(2);
}

static network *new_network(void) {
    network *net = calloc(1, sizeof *net);
    if (!net) exit(2);
    const fc_op kinds[OPS] = {
        {.kind = FC_OP_CONV, .KH = 3, .KW = 3, .pad_top = 1, .pad_left = 1},
        {.kind = FC_OP_BATCH_NORM, .training = 1, .epsilon = 1e-3, .momentum = 0.9},
        {.kind = FC_OP_ACTIVATION, .activation = FC_RELU},
        {.kind = FC_OP_ELEMENTWISE, .elementwise = FC_ADD, .inputs = 2, .input = {3, 1}},
        {.kind = FC_OP_MAX_POOL, .KH = 2, .KW = 2},
        {.kind = FC_OP_DROPOUT, .scale = 2, .threshold = UINT32_C(1) << 31, .training = 1},
        {.kind = FC_OP_CONV, .KH = 3, .KW = 3, .activation = FC_TANH},
        {.kind = FC_OP_RESHAPE},
        {.kind = FC_OP_DENSE},
        {.kind = FC_OP_SOFTMAX},
    };
    memcpy(net->ops, kinds, sizeof kinds);
    net->stream = (fc_random){.seed = 7, .call = 1};
    for (int i = 0; i < OPS; i++) {
        fc_op *op = &net->ops[i];
        if (!op->inputs) op->inputs = 1, op->input[0] = i;
        op->output = i + 1, op->KH = fc_max(op->KH, 1), op->KW = fc_max(op->KW, 1);
        op->stride_h = op->stride_w = op->kind == FC_OP_MAX_POOL ? 2 : 1;
        op->dilation_h = op->dilation_w = op->groups = 1, op->algorithm = -1;
        const int64_t C = tensors[i].C, K = tensors[i + 1].C;
        if (op->kind == FC_OP_CONV || op->kind == FC_OP_DENSE)
            give_weights(net, op, 0, op->KH * op->KW * C * K, 1), give_weights(net, op, 1, K, 1);
        if (op->kind == FC_OP_BATCH_NORM)
            for (int w = 0; w < 4; w++) give_weights(net, op, w, K, w < 2);
        if (op->kind == FC_OP_DROPOUT) op->random = &net->stream;
    }
    const int input = 0, wanted = 0, output = OPS;
    net->program = fc_program_new(net->ops, OPS, tensors, OPS + 1, &input, &wanted, 1, &output, 1);
    if (!net->program) exit(2);
    return net;
}

static void begin(network *net) {
    random_state = 2463534242u;
    for (int i = 0; i < WEIGHTS; i++) net->weights[i] = 0.5f * random_float(), net->gradients[i] = NAN;
    for (size_t i = 0; i < sizeof net->x / sizeof *net->x; i++) net->x[i] = random_float();
    for (int64_t n = 0; n < MOST_IMAGES; n++) net->labels[n] = (3 * n + 1) % CLASSES;
    for (int i = 0; i < MOST_IMAGES * CLASSES; i++) net->dy[i] = random_float();
    memset(net->y, 0, sizeof net->y), memset(net->losses, 0, sizeof net->losses);
}

static fc_status run(network *net, int64_t N, int halves) {
    const float *inputs = net->x, *given = net->dy;
    float *outputs = net->y;
    const fc_loss loss = {.kind = FC_LOSS_SOFTMAX_CROSS_ENTROPY, .tensor = LOGITS, .targets = {.labels = net->labels},
                          .scale = 1.0f / (float)N, .losses = net->losses};
    const fc_run one = {.N = N, .inputs = &inputs, .outputs = &outputs, .losses = !halves, .loss = &loss};
    fc_held *held;
    if (!halves) return fc_program_run(net->program, &one, 0, NULL);
    fc_status status = fc_program_run(net->program, &one, 1, &held);
    if (status != FC_OK) return status;
    float *no_gradient = NULL;
    status = fc_program_backward(net->program, held, &one, &given, &no_gradient);
    fc_program_commit(net->program, held), fc_program_let_go(net->program, held);
    return status;
}

static void compare_bits(const char *what, const network *one, const network *other) {
    report(!memcmp(one->weights, other->weights, sizeof one->weights), what, "other moving statistics");
    report(!memcmp(one->gradients, other->gradients, sizeof one->gradients), what, "other gradients");
    report(!memcmp(one->y, other->y, sizeof one->y), what, "other outputs");
    report(!memcmp(one->losses, other->losses, sizeof one->losses), what, "other losses");
}

static void test_threads(network *alone, network *team, int way, int64_t N, int halves) {
    int ways[OPS];
    for (int i = 0; i < OPS; i++) ways[i] = way;
    fc_program_force(alone->program, ways), fc_program_force(team->program, ways);
    begin(alone), begin(team);
    fc_set_num_threads(1);
    report(run(alone, N, halves) == FC_OK, "one thread", "no memory");
    for (int threads = 2; threads <= 4; threads++) {
        char what[100];
        snprintf(what, sizeof what, "%s, way %d, %lld images, %s, %d threads", fc_isa_name(fc_isa_active()), way,
                 (long long)N, halves ? "two halves" : "one run", threads);
        begin(team);
        fc_set_num_threads(threads);
        report(run(team, N, halves) == FC_OK, what, "no memory");
        compare_bits(what, alone, team);
    }
}

static void *run_often(void *net) {
    for (int i = 0; i < 20; i++)
        if (run(net, 1 + 13 * (i % 4), 0) != FC_OK) return net;
    return NULL;
}

/* Programs of their own, each in a thread of the caller's. */
static void test_callers(void) {
    enum { CALLERS = 3 };
    network *nets[CALLERS];
    pthread_t callers[CALLERS];
    fc_set_num_threads(2);
    for (int i = 0; i < CALLERS; i++) nets[i] = new_network(), begin(nets[i]);
    for (int i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, run_often, nets[i]);
    for (int i = 0; i < CALLERS; i++) {
        void *failed;
        pthread_join(callers[i], &failed);
        report(!failed, "callers at the same time", "no memory");
        if (i) compare_bits("callers at the same time", nets[0], nets[i]);
    }
    for (int i = 0; i < CALLERS; i++) fc_program_free(nets[i]->program), free(nets[i]);
}

/* ---- inference beside training ---------------------------------------------------------------- */

/* Weights that one thread trains, and others read for inference by one program. */
typedef struct {
    network *net;
    fc_program *inference;
    pthread_rwlock_t weights;
    pthread_mutex_t door; /* to it, so that a writer gets in between readers */
    float *expected; /* what is predicted after each step, from none on */
    atomic_int steps; /* that are taken */
} shared;

enum { READERS = 4, STEPS = 12, IMAGES = 13 };

static fc_status predict(shared *with, float *y) {
    const float *inputs = with->net->x;
    const fc_run one = {.N = IMAGES, .inputs = &inputs, .outputs = &y};
    return fc_program_run(with->inference, &one, 0, NULL);
}

/* The gradients are computed beside readers; weights and moving statistics change while there are none. */
static fc_status train_step(shared *with) {
    network *net = with->net;
    const float *inputs = net->x;
    float *outputs = net->y;
    const fc_loss loss = {.kind = FC_LOSS_SOFTMAX_CROSS_ENTROPY, .tensor = LOGITS, .targets = {.labels = net->labels},
                          .scale = 1.0f / IMAGES, .losses = net->losses};
    const fc_run one = {.N = IMAGES, .inputs = &inputs, .outputs = &outputs, .losses = 1, .loss = &loss};
    fc_held *held;
    const fc_status status = fc_program_run(net->program, &one, 0, &held);
    if (status != FC_OK) return status;
    pthread_mutex_lock(&with->door);
    pthread_rwlock_wrlock(&with->weights);
    pthread_mutex_unlock(&with->door);
    for (int i = 0; i < WEIGHTS; i++)
        if (!isnan(net->gradients[i])) net->weights[i] -= 0.1f * net->gradients[i]; /* else it does not learn */
    fc_program_commit(net->program, held);
    pthread_rwlock_unlock(&with->weights);
    fc_program_let_go(net->program, held);
    net->stream.call++;
    return FC_OK;
}

static shared *new_shared(void) {
    shared *with = calloc(1, sizeof *with);
    if (!with) exit(2);
    with->net = new_network(), begin(with->net);
    fc_op ops[OPS];
    memcpy(ops, with->net->ops, sizeof ops);
    for (int i = 0; i < OPS; i++) {
        memset(ops[i].gradient, 0, sizeof ops[i].gradient);
        ops[i].training = 0;
        /* Variances are not negative. */
        for (int64_t k = 0; ops[i].kind == FC_OP_BATCH_NORM && k < tensors[i].C; k++) ops[i].weight[3][k] = 1;
    }
    const int input = 0, wanted = 0, output = OPS;
    with->inference = fc_program_new(ops, OPS, tensors, OPS + 1, &input, &wanted, 1, &output, 1);
    if (!with->inference || pthread_rwlock_init(&with->weights, NULL)) exit(2);
    if (pthread_mutex_init(&with->door, NULL)) exit(2);
    return with;
}

static void free_shared(shared *with) {
    pthread_rwlock_destroy(&with->weights), pthread_mutex_destroy(&with->door);
    fc_program_free(with->inference), fc_program_free(with->net->program);
    free(with->net), free(with);
}

static void *predict_often(void *given) {
    shared *with = given;
    float y[IMAGES * CLASSES];
    for (int last = 0; !last;) {
        last = atomic_load(&with->steps) == STEPS;
        pthread_mutex_lock(&with->door);
        pthread_rwlock_rdlock(&with->weights);
        pthread_mutex_unlock(&with->door);
        const fc_status status = predict(with, y);
        pthread_rwlock_unlock(&with->weights);
        int known = 0;
        for (int s = 0; s <= STEPS; s++) known |= !memcmp(y, with->expected + s * IMAGES * CLASSES, sizeof y);
        if (status != FC_OK || !known) return with;
    }
    return NULL;
}

/* What is predicted is, to the bit, what is predicted after some step when nothing runs beside it. */
static void test_inference_beside_training(int threads) {
    const char *what = "inference beside training";
    shared *alone = new_shared(), *with = new_shared();
    static float expected[(STEPS + 1) * IMAGES * CLASSES];
    pthread_t readers[READERS];
    fc_set_num_threads(threads);
    for (int s = 0; s <= STEPS; s++) {
        report(predict(alone, expected + s * IMAGES * CLASSES) == FC_OK, what, "no memory");
        report(train_step(alone) == FC_OK, what, "no memory");
    }
    with->expected = expected;
    for (int i = 0; i < READERS; i++) pthread_create(&readers[i], NULL, predict_often, with);
    for (int s = 0; s < STEPS; s++) {
        report(train_step(with) == FC_OK, what, "no memory");
        atomic_fetch_add(&with->steps, 1);
    }
    for (int i = 0; i < READERS; i++) {
        void *failed;
        pthread_join(readers[i], &failed);
        report(!failed, what, "a prediction of no step");
    }
    report(train_step(with) == FC_OK, what, "no memory");
    report(!memcmp(with->net->weights, alone->net->weights, sizeof with->net->weights), what, "other weights");
    const fc_arenas arenas = fc_program_arenas(with->inference);
    report(arenas.made <= READERS && arenas.out == 0 && arenas.idle == arenas.made, what, "other arenas");
    free_shared(alone), free_shared(with);
}

int main(void) {
    network *alone = new_network(), *team = new_network();
    for (int isa = 0; isa < fc_isa_count(); isa++) {
        fc_isa_select(isa);
        for (int way = -1; way < FC_WAYS; way++)
            for (int64_t N = 1; N <= MOST_IMAGES; N += 13)
                for (int halves = 0; halves < 2; halves++) test_threads(alone, team, way, N, halves);
        test_callers();
        for (int threads = 1; threads <= 2; threads++) test_inference_beside_training(threads);
    }
    fc_program_free(alone->program), free(alone), fc_program_free(team->program), free(team);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
