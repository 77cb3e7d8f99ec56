/* run_program.c - a network that was made and trained in Python, without Python.
 *
 *     python -c "import fastconv; fastconv.models.load_model('model.safetensors').export('net.fcp', training=True)"
 *     cc -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -fopenmp -Icsrc \
 *         examples/c/run_program.c csrc/[a-z]*.c csrc/engine/[a-z]*.c -lm -o run_program
 *     ./run_program net.fcp
 *     ./run_program net.fcp data.bin 32 10
 *
 * The first call tells what the network takes and makes. The second reads a batch of 32 images from data.bin, writes the
 * class of each, takes 10 steps of training on them, and saves the network in net.fcp.trained. data.bin is, with nothing
 * in between: each input as floats (32, H, W, C), then what each loss compares its output with, class numbers as whole
 * numbers of 64 bits (32, H, W) or rows of floats (32, H, W, C). FASTCONV_NUM_THREADS and FASTCONV_ISA mean what they mean
 * in Python, but that there is one thread where nothing is said.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastconv.h"

enum { MOST = 8 };

static void give_up(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static int64_t numbers(fc_size s) { return s.H * s.W * s.C; }

static void *memory(int64_t bytes) {
    void *block = malloc((size_t)bytes + 1);
    if (!block) give_up("run_program", "there is no memory");
    return block;
}

static void *from(FILE *file, int64_t bytes) {
    void *block = memory(bytes);
    if (fread(block, 1, (size_t)bytes, file) != (size_t)bytes) give_up("the data", "there is too little of it");
    return block;
}

static void must(fc_status status, const fc_network *network) {
    if (status == FC_OUT_OF_MEMORY) give_up("the network", "there is no memory");
    if (status == FC_TOO_LARGE) give_up("the network", "the batch is too large");
    if (status != FC_OK) give_up("the network", fc_network_error(network));
}

static void heed_environment(void) {
    const char *threads = getenv("FASTCONV_NUM_THREADS"), *isa = getenv("FASTCONV_ISA");
    if (threads && atoi(threads) > 0) fc_set_num_threads(atoi(threads));
    for (int i = 0; isa && i < fc_isa_count(); i++)
        if (strcmp(fc_isa_name(i), isa) == 0) fc_isa_select(i);
}

static void describe(const fc_network *network) {
    for (int i = 0; i < fc_network_inputs(network); i++) {
        const fc_size s = fc_network_input(network, i).size;
        printf("input %d: %" PRId64 " x %" PRId64 " x %" PRId64 "\n", i, s.H, s.W, s.C);
    }
    for (int i = 0; i < fc_network_outputs(network); i++) {
        const fc_size s = fc_network_output(network, i).size;
        printf("output %d: %" PRId64 " x %" PRId64 " x %" PRId64 "\n", i, s.H, s.W, s.C);
    }
    printf("%d losses\n", fc_network_losses(network));
}

/* The place of the largest of so many numbers. */
static int64_t largest(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static fc_targets targets_from(FILE *file, const fc_network *network, int loss, int64_t N) {
    const fc_judgement how = fc_network_loss(network, loss);
    const fc_size size = fc_network_output(network, how.output).size;
    if (how.labels)
        return (fc_targets){.labels = from(file, N * size.H * size.W * (int64_t)sizeof(int64_t))};
    return (fc_targets){.rows = from(file, N * numbers(size) * (int64_t)sizeof(float))};
}

static void run(fc_network *network, FILE *data, int64_t N, int steps) {
    const int inputs = fc_network_inputs(network), outputs = fc_network_outputs(network);
    float *x[MOST], *y[MOST];
    fc_targets targets[MOST];
    if (inputs > MOST || outputs > MOST) give_up("the network", "it has more inputs or outputs than this example");
    for (int i = 0; i < inputs; i++)
        x[i] = from(data, N * numbers(fc_network_input(network, i).size) * (int64_t)sizeof(float));
    for (int i = 0; i < outputs; i++)
        y[i] = memory(N * numbers(fc_network_output(network, i).size) * (int64_t)sizeof(float));

    must(fc_network_predict(network, N, (const float *const *)x, y), network);
    const int64_t classes = numbers(fc_network_output(network, 0).size);
    for (int64_t n = 0; n < N; n++) printf("%" PRId64 " ", largest(y[0] + n * classes, classes));
    printf("\n");

    const int losses = steps > 0 ? fc_network_losses(network) : 0;
    for (int l = 0; l < losses; l++) targets[l] = targets_from(data, network, l, N);
    for (int step = 0; step < steps; step++) {
        double loss;
        must(fc_network_train_step(network, N, (const float *const *)x, targets, NULL, y, &loss), network);
        printf("step %d: loss %.17g\n", step, loss);
    }

    for (int l = 0; l < losses; l++) free((void *)targets[l].labels), free((void *)targets[l].rows);
    for (int i = 0; i < inputs; i++) free(x[i]);
    for (int i = 0; i < outputs; i++) free(y[i]);
}

int main(int count, char **argument) {
    char error[FC_ERROR_TEXT];
    heed_environment();
    if (count != 2 && count != 5) give_up("use", "run_program net.fcp [data.bin images steps]");
    fc_network *network = fc_network_load(argument[1], error);
    if (!network) give_up(argument[1], error);
    if (count == 2) {
        describe(network);
    } else {
        FILE *data = fopen(argument[2], "rb");
        const int64_t images = strtoll(argument[3], NULL, 10);
        if (!data) give_up(argument[2], "it cannot be opened");
        if (images < 1) give_up(argument[3], "this is no number of images");
        run(network, data, images, atoi(argument[4]));
        fclose(data);
        char *trained = memory((int64_t)strlen(argument[1]) + 16);
        strcpy(trained, argument[1]), strcat(trained, ".trained");
        must(fc_network_save(network, trained), network);
        free(trained);
    }
    fc_network_free(network);
    return 0;
}
