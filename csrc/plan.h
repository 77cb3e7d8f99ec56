/* plan.h - a small network as a list of steps, run in one call: see plan.c. */
#ifndef FASTCONV_PLAN_H
#define FASTCONV_PLAN_H

#include "kernels.h"

enum {
    FC_PLAN_MOST_ROWS = 32,  /* of a kernel */
    FC_PLAN_MOST_LANES = 16, /* images in a bundle */
    FC_PLAN_SLACK = 32,      /* floats past the end of a kernel or a bias that may be read, whatever they are */
};

typedef enum { FC_CONV, FC_MAX_POOL, FC_AVG_POOL, FC_DENSE } fc_step_kind;

/* Convolutions have stride 1 and at most FC_PLAN_MOST_ROWS kernel rows, padded by less than the kernel's size;
 * pooling windows do not overlap and are not padded; dense steps are C -> K, everything else 1. FC_PLAN_SLACK
 * floats after a kernel and after a bias must be there to be read. */
typedef struct {
    fc_step_kind kind;
    int64_t H, W, C, OH, OW, K;
    int64_t size_h, size_w;
    int64_t pad_top, pad_left;
    fc_activation activation; /* the last step's is linear: softmax follows */
    float alpha;
    const float *kernel, *bias; /* bias may be NULL, and dbias then is */
    float *dkernel, *dbias;
    /* What computes a convolution whose kernel is too large for a plan's own ways, or NULL. A plan with such steps
     * only goes forward. */
    fc_conv2d_forward *driver;
} fc_step;

typedef struct {
    int64_t first, end;
} fc_range;

/* The taps that fall inside for one of the outputs first to end: along an axis output o at tap t sees pixel
 * o + t - border of n. Seen from taps, outputs are what taps are to an output. */
static inline fc_range fc_taps_inside(int64_t taps, int64_t border, int64_t n, int64_t first, int64_t end) {
    const int64_t from = border - (end - 1) > 0 ? border - (end - 1) : 0;
    const int64_t until = taps < n + border - first ? taps : n + border - first;
    return (fc_range){from, until > from ? until : from};
}

/* Whether the sizes of a step fit: its arrays for N images, borders and all, and its weights, transformed or not. */
static inline int fc_step_fits(const fc_step *s, int64_t N) {
    enum { TILE = 2 * FC_MOST_LANES };
    const int64_t rows = fc_plus(fc_plus(s->H, s->OH), fc_plus(s->size_h, TILE));
    const int64_t columns = fc_plus(fc_plus(s->W, s->OW), fc_plus(s->size_w, TILE));
    const int64_t C = fc_plus(s->C, TILE), K = fc_plus(s->K, TILE);
    return fc_fits(fc_plus(N, TILE), rows, columns, fc_plus(C, K)) && fc_fits(s->size_h, s->size_w, C, K) &&
           fc_fits(rows, columns, C, K);
}

typedef struct {
    int64_t N;
    const float *x;       /* (N, H, W, C) */
    fc_targets targets;   /* training only */
    float scale;          /* of every image's gradient: 1 / N for the mean loss */
    float *probabilities; /* (N, classes) */
    float *losses;        /* (N,), not yet weighted; training only */
} fc_batch;

typedef struct fc_plan fc_plan;

fc_plan *fc_plan_new(const fc_step *steps, int count); /* NULL: no memory, or steps whose sizes do not fit */
void fc_plan_free(fc_plan *plan);

/* Forward, and if training the gradients of all weights as well. */
fc_status fc_plan_run(fc_plan *plan, const fc_batch *batch, int training);

/* The same for a few images, which would leave most lanes of a bundle empty: plan_layers.c. The steps are
 * the caller's to keep. */
typedef struct fc_layers fc_layers;
fc_layers *fc_layers_new(const fc_step *steps, int count);
void fc_layers_free(fc_layers *layers);
int fc_layers_drivers(const fc_layers *layers); /* how many steps are left to a driver */
fc_status fc_layers_run(fc_layers *layers, const fc_kernels *kernels, const fc_batch *batch, int training);

#endif
