/* plan_layers.c - a plan for a few images: its steps one after another, on the kernels of lessons 3 and 4.
 *
 * One image in a bundle of sixteen would do sixteen times the work. With channels in the lanes instead, what
 * is left to save is everything around the kernels: a layer of LeNet-5 takes a few microseconds for one
 * image, and so does a call from Python. Here all layers are one call, on memory taken once.
 */
#include <string.h>

#include "memory.h"
#include "plan.h"

/* What flows between the steps, N images NHWC: value[i] goes into step i, value[count] is the logits. */
typedef struct {
    float **value, **gradient;
    uint16_t **switches;
    void *memory;
} flow;

static int64_t size_out_of(const fc_step *s) { return s->OH * s->OW * s->K; }

static fc_conv2d convolution(const fc_step *s, int64_t N) {
    return (fc_conv2d){.N = N, .H = s->H, .W = s->W, .C_in = s->C, .KH = s->size_h, .KW = s->size_w, .C_out = s->K,
                       .OH = s->OH, .OW = s->OW, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1,
                       .pad_top = s->pad_top, .pad_left = s->pad_left, .groups = 1};
}

static fc_pool2d pooling(const fc_step *s, int64_t N) {
    return (fc_pool2d){.N = N, .H = s->H, .W = s->W, .C = s->C, .KH = s->size_h, .KW = s->size_w, .OH = s->OH,
                       .OW = s->OW, .stride_h = s->size_h, .stride_w = s->size_w};
}

static int take_memory(flow *f, const fc_step *steps, int count, int64_t N, int training) {
    int64_t floats = 0, switches = 0;
    for (int i = 0; i < count; i++) {
        floats += fc_round_up(N * size_out_of(&steps[i]), 16) * (training ? 2 : 1);
        if (steps[i].kind == FC_MAX_POOL) switches += fc_round_up(N * size_out_of(&steps[i]), 32);
    }
    const int64_t pointers = fc_round_up(3 * (count + 1) * (int64_t)sizeof(void *), FC_CACHE_LINE);
    char *at = (char *)fc_floats((pointers + (int64_t)sizeof(uint16_t) * switches) / (int64_t)sizeof(float) + floats);
    if (!at) return 0;
    f->memory = at;
    f->value = (float **)at;
    f->gradient = f->value + count + 1;
    f->switches = (uint16_t **)(f->gradient + count + 1);
    float *next = (float *)(at + pointers);
    uint16_t *next_switches = (uint16_t *)(next + floats);
    f->value[0] = f->gradient[0] = NULL; /* the first is the caller's, the second nobody's */
    for (int i = 0; i < count; i++) {
        const int64_t size = fc_round_up(N * size_out_of(&steps[i]), 16);
        f->value[i + 1] = next;
        next += size;
        f->gradient[i + 1] = next;
        if (training) next += size;
        f->switches[i] = next_switches;
        if (steps[i].kind == FC_MAX_POOL) next_switches += fc_round_up(size, 32);
    }
    return 1;
}

static fc_status forward(const fc_step *s, int64_t N, const float *x, float *y, uint16_t *switches) {
    fc_status status = FC_OK;
    if (s->kind == FC_CONV) {
        const fc_conv2d conv = convolution(s, N);
        status = fc_conv2d_forward_direct(&conv, x, s->kernel, s->bias, y);
    } else if (s->kind == FC_DENSE) {
        status = fc_dense_forward(N, s->C, s->K, x, s->kernel, s->bias, y);
    } else {
        const fc_pool2d pool = pooling(s, N);
        if (s->kind == FC_MAX_POOL) fc_max_pool2d_forward(&pool, x, y, switches);
        else fc_avg_pool2d_forward(&pool, x, y);
    }
    if (s->activation != FC_LINEAR) fc_activation_forward(s->activation, s->alpha, N * size_out_of(s), y, y);
    return status;
}

/* dx may be NULL: not wanted. dy is used up. */
static fc_status backward(const fc_step *s, int64_t N, const float *x, const float *y, float *dy,
                          const uint16_t *switches, float *dx, float *unwanted_bias) {
    float *dbias = s->dbias ? s->dbias : unwanted_bias;
    fc_status status = FC_OK;
    if (s->activation != FC_LINEAR) fc_activation_backward(s->activation, s->alpha, N * size_out_of(s), dy, y, dy);
    if (s->kind == FC_CONV) {
        const fc_conv2d conv = convolution(s, N);
        status = fc_conv2d_backward_kernel_direct(&conv, x, dy, s->dkernel, dbias);
        if (dx && status == FC_OK) status = fc_conv2d_backward_data_direct(&conv, dy, s->kernel, dx);
    } else if (s->kind == FC_DENSE) {
        status = fc_dense_backward_kernel(N, s->C, s->K, x, dy, s->dkernel, dbias);
        if (dx && status == FC_OK) status = fc_dense_backward_data(N, s->C, s->K, dy, s->kernel, dx);
    } else if (dx) {
        const fc_pool2d pool = pooling(s, N);
        if (s->kind == FC_MAX_POOL) fc_max_pool2d_backward(&pool, dy, switches, dx);
        else fc_avg_pool2d_backward(&pool, dy, dx);
    }
    return status;
}

fc_status fc_run_layers(const fc_step *steps, int count, const fc_batch *batch, int training) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t N = batch->N, classes = steps[count - 1].K;
    int64_t most_channels = 1;
    for (int i = 0; i < count; i++) most_channels = fc_max(most_channels, steps[i].K);
    flow f;
    float *unwanted_bias = fc_floats(most_channels + N);
    if (!unwanted_bias) return FC_OUT_OF_MEMORY;
    if (!take_memory(&f, steps, count, N, training)) {
        fc_free(unwanted_bias);
        return FC_OUT_OF_MEMORY;
    }
    float *losses = unwanted_bias + most_channels; /* the caller has its own way of adding them up */

    fc_status status = FC_OK;
    for (int i = 0; i < count && status == FC_OK; i++)
        status = forward(&steps[i], N, i ? f.value[i] : batch->x, f.value[i + 1], f.switches[i]);
    if (status == FC_OK) kernels->softmax(N, classes, f.value[count], batch->probabilities);
    if (status == FC_OK && training) {
        kernels->cross_entropy(N, classes, f.value[count], batch->targets, batch->scale, losses, f.gradient[count]);
        for (int i = count - 1; i >= 0 && status == FC_OK; i--)
            status = backward(&steps[i], N, i ? f.value[i] : batch->x, f.value[i + 1], f.gradient[i + 1],
                              f.switches[i], i ? f.gradient[i] : NULL, unwanted_bias);
    }
    fc_free(f.memory);
    fc_free(unwanted_bias);
    return status;
}
