/* engine.h - a network as a table of operations on numbered tensors, and what can run one of them.
 *
 *     program     operations in order, sizes of tensors, inputs and outputs         program.c
 *     schedule    what is done in a run, in order: actions, cut into stages         schedule.c
 *     executor    memory for a schedule, and the loops over it                      executor.c
 *     sums        what is summed over the batch, here and by other parts of it      sums.c
 *     methods     what an operation does to its tensors, in one of three ways       lanes_*.c, pixels_*.c, whole.c
 *     choose      which of them                                                     choose.c
 *     cost        how long each takes, estimated                                    cost.c
 *     norms       batch norm as part of the weights before it                       norms.c
 *
 * A tensor has N images of H x W x C numbers; a vector is 1 x 1 x C. Two layouts:
 *
 *     pixels      [N][H][W][C], channels in the lanes of a vector
 *     lanes       [bundle][H][W][C][V], an image in each of the V lanes of a vector; with a border of zeros around
 *                 H x W where a method asks for one
 *
 * A method works in one of three ways:
 *
 *     LANES       on one bundle, layout lanes, by one thread. Small networks: all lanes work whatever the channels
 *     PIXELS      on some images, layout pixels, by a team of threads which may be one: few images, dense layers
 *     WHOLE       on all images, layout pixels, as a driver of its own that wakes its own threads: wide layers
 *
 * What a method writes depends on its arguments alone, never on the size of the team, to the bit.
 */
#ifndef FASTCONV_ENGINE_H
#define FASTCONV_ENGINE_H

#include "kernels.h"
#include "tree.h"

enum {
    FC_MOST_INPUTS = 8,  /* of an operation */
    FC_MOST_WEIGHTS = 4,
    FC_SLACK = 32, /* floats past the end of a weight, a bias, or a tensor in pixels that may be read, whatever they are */
};

typedef enum {
    FC_OP_CONV,            /* weights: kernel (KH, KW, C / groups, K), bias (K) or NULL */
    FC_OP_DEPTHWISE,       /* kernel (KH, KW, C, M), K = C M */
    FC_OP_CONV_TRANSPOSED, /* kernel (KH, KW, K, C): the adjoint of the convolution from y to x; bias */
    FC_OP_DENSE,           /* kernel (C, K), bias; each of the H x W vectors by itself */
    FC_OP_MAX_POOL,
    FC_OP_AVG_POOL,
    FC_OP_GLOBAL_MAX_POOL,
    FC_OP_GLOBAL_AVG_POOL,
    FC_OP_BATCH_NORM,      /* gamma, beta, moving mean, moving variance (C); the first two may be NULL. A second input of
                              the same size is added to what is normalised */
    FC_OP_ACTIVATION,
    FC_OP_PRELU,           /* alpha (H W C) */
    FC_OP_SOFTMAX,         /* along C */
    FC_OP_DROPOUT,
    FC_OP_ELEMENTWISE,     /* two inputs; sizes equal, or 1 along axes where the second, or the first, is repeated */
    FC_OP_SCALE,           /* y = scale x + shift */
    FC_OP_CONCATENATE,     /* along C */
    FC_OP_PAD,             /* zeros around H x W: pad_top, pad_left; negative: cropped. Sizes tell bottom and right */
    FC_OP_UPSAMPLE,        /* nearest: every pixel KH x KW times */
    FC_OP_RESHAPE,         /* the same numbers in order of pixels, in other sizes */
    FC_OP_KINDS
} fc_op_kind;

static inline int64_t fc_size_of(fc_size s) { return s.H * s.W * s.C; }

/* One row of the table. What does not matter to a kind is 0. */
typedef struct {
    fc_op_kind kind;
    int inputs, input[FC_MOST_INPUTS], output; /* tensors by number */
    fc_size x[FC_MOST_INPUTS], y;              /* their sizes; filled in by fc_program_new */
    int64_t KH, KW, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, groups;
    fc_activation activation;                  /* at the end of convolutions, dense, batch norm and elementwise: one of
                                                  an output, never of an input */
    float alpha;                               /* the activation's */
    int algorithm;                             /* of a convolution: -1 for any, or a place in _kernels.ALGORITHMS */
    fc_elementwise elementwise;
    float scale, shift, fill;                  /* FC_OP_SCALE, FC_OP_DROPOUT */
    uint32_t threshold;                        /* FC_OP_DROPOUT */
    int spatial;                               /* FC_OP_DROPOUT: one draw for all pixels of a channel */
    double epsilon, momentum;                  /* FC_OP_BATCH_NORM */
    int training;                              /* batch norm takes the batch's statistics; dropout draws */
    float *weight[FC_MOST_WEIGHTS];            /* moving statistics are written to, by fc_program_commit */
    float *gradient[FC_MOST_WEIGHTS];          /* NULL: not wanted */
    int adds;                                  /* gradients are added to what is there, by the executor: a layer called again */
    const fc_random *random;                   /* FC_OP_DROPOUT: its stream, read when a run begins */
} fc_op;

int64_t fc_weight_size(const fc_op *op, int weight); /* numbers in it */

/* ---- methods ------------------------------------------------------------------------------------ */

/* A tensor as a method sees it. PIXELS and WHOLE: its first image of those at work, images size_of apart, row = W C.
 * LANES: the first pixel inside the border of its bundle; row counts vectors, from one row of pixels to the next. */
typedef struct {
    float *at; /* NULL: not there, or not wanted */
    int64_t row;
} fc_view;

/* Rows and columns of zeros around a tensor in lanes. */
typedef struct {
    int64_t top, left, bottom, right;
} fc_border;

typedef struct {
    const fc_kernels *kernels;
    const fc_op *op;
    int64_t images, first;      /* how many are at work (LANES: lanes in use), and the number of the first one */
    int64_t N;                  /* images in the run */
    int64_t batch_N, number;    /* images in the whole batch, of which the run may be a part; the first one's number there */
    int64_t leaf;               /* images that are summed one after another: tree.h */
    int goes_back;              /* backward follows, or this is it */
    int member, team;           /* PIXELS: which of the threads at work on these images, and how many */
    fc_view x[FC_MOST_INPUTS], y;
    /* dx: written, not added to; .at NULL where it is not wanted. dy may be used up: with an activation at the end it is
     * the gradient before that when backward is over, in batch norm when gradient_moments is. dx[0] may be dy where
     * fc_overwrites. A sum's gradient is dy: of one input it is the same array, and dx NULL */
    fc_view dx[FC_MOST_INPUTS], dy;
    float *packed;  /* packed_size floats that `pack` filled, the same for all */
    float *saved;   /* saved_size floats for all images: what forward keeps for backward (WHOLE, PIXELS), zero at first */
    float *sums;    /* LANES: sums_size floats of this chunk of bundles, zero at first, added to by backward */
    float *scratch; /* scratch_size floats of this thread */
    const float *statistics; /* batch norm: mean and variance, C each; then, going back, dgamma and dbeta */
} fc_work;

typedef enum { FC_LANES, FC_PIXELS, FC_WHOLE, FC_WAYS } fc_way;

enum { FC_NEEDS_X = 1, FC_NEEDS_Y = 2 };

/* What an operation does in one of the ways. Functions that are NULL: nothing to do, or no room needed. Sizes are in
 * floats, those of LANES for one bundle. */
typedef struct {
    /* Whether it takes the operation. Going back too where `backward`. */
    int (*takes)(const fc_kernels *kernels, const fc_op *op, int backward);
    /* FC_NEEDS_X | FC_NEEDS_Y: values that backward reads. Of x only where a gradient of weights or dx needs it. */
    int (*needs)(const fc_op *op);
    /* LANES: the border of zeros that it reads around input i, or going back around dy. */
    fc_border (*border)(const fc_kernels *kernels, const fc_op *op);
    fc_border (*border_back)(const fc_kernels *kernels, const fc_op *op);
    /* Weights in another order, done once in each run before anything else: by a team. */
    int64_t (*packed_size)(const fc_kernels *kernels, const fc_op *op, int backward);
    void (*pack)(const fc_work *work, int backward);
    int64_t (*saved_size)(const fc_kernels *kernels, const fc_op *op, int64_t N);
    int64_t (*scratch_size)(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward);

    fc_status (*forward)(const fc_work *work);
    fc_status (*backward)(const fc_work *work); /* dx, and the gradients of weights: LANES into sums, else to op->gradient */

    /* LANES: floats of a chunk's sums; and from the sum of the whole batch to op->gradient. */
    int64_t (*sums_size)(const fc_kernels *kernels, const fc_op *op);
    void (*finish)(const fc_kernels *kernels, const fc_op *op, const float *sums);

    /* PIXELS: gradients of weights alone, from x and dy of all N images, by a team: `backward` then leaves them out.
     * So that a large kernel needs no sums for each chunk. */
    fc_status (*weights)(const fc_work *work);

    /* Batch norm in training: what is summed over the batch before forward, mean and sum of squares of distances from
     * it, and before backward, the sums of dy and of dy (x - mean); C of each, one after the other. A node for each leaf
     * of the images at work, or for the bundle where leaves are larger; fc_node_images. */
    fc_status (*moments)(const fc_work *work, double *nodes);
    fc_status (*gradient_moments)(const fc_work *work, double *nodes);

    /* For fc_program_describe: the algorithm of a pass, where there are several. */
    fc_conv2d_algorithm (*algorithm)(const fc_op *op, int64_t N, fc_conv2d_pass pass);
} fc_method;

/* Images in a node of `moments`. */
static inline int64_t fc_node_images(fc_way way, int64_t leaf, int64_t lanes) {
    return way == FC_LANES && lanes < leaf ? lanes : leaf;
}

/* One for each kind, FC_OP_KINDS long, entries without forward: this way does not have it. */
extern const fc_method fc_lanes_methods[FC_OP_KINDS], fc_pixels_methods[FC_OP_KINDS], fc_whole_methods[FC_OP_KINDS];

/* ---- programs ----------------------------------------------------------------------------------- */

typedef struct fc_program fc_program;

/* The loss of one output, as the gradient at a tensor: the output, or what its last activation was applied to. */
typedef struct {
    fc_loss_kind kind;
    int tensor;
    float delta;          /* Huber's */
    float least, most;    /* of every -log p in the losses, where p is clipped; both 0: no limits */
    fc_targets targets;   /* labels (N, H, W), or rows like the tensor; weights (N,) */
    float scale;          /* of every image's gradient: loss weight / N for the mean */
    float *losses;        /* (N,): each image's, not weighted, not scaled */
} fc_loss;

/* The losses of images [first, first + images) of the run and their gradients, from the first one's tensor on. By one
 * thread; what it writes of an image depends on that image alone. See loss.c. */
void fc_loss_gradient(const fc_kernels *kernels, const fc_loss *loss, int64_t first, int64_t images, fc_size size,
                      const float *tensor, float *gradient);

/* A batch that several processes work on, each on a part: a subtree of the tree that sums the batch (tree.h), all with
 * the same weights. Sums of batch norm, of gradients and of losses are those of the whole batch, in all parts, to the
 * bit; what belongs to an image is in the part that has it. Gradients at inputs too: so the scale of a loss, or
 * gradients given at outputs, are for the whole batch.
 *
 * What the parts of a node have is joined level by level, the smallest nodes first: at `level` the parts `number` and
 * number ^ (1 << level) have a half each, and exchange it: send `mine`, wait for `theirs`, `bytes` of both. Every part
 * calls as often, in the same order and with as many bytes, from the thread that runs the program; also a part that has
 * no images. Other than 0: it failed, and so does the run. With MPI it is MPI_Sendrecv. */
typedef struct {
    int64_t N;         /* images of the whole batch */
    int parts, number; /* 1, 2, 4, ..., FC_MOST_LEAVES parts; which of them, from 0 */
    int (*exchange)(void *context, int level, int64_t bytes, const void *mine, void *theirs);
    void *context;
} fc_part_of_batch;

/* How many images a part has, and the number of the first one. */
int64_t fc_images_of_part(int64_t N, int parts, int number, int64_t *first);

typedef struct {
    int64_t N;                  /* images of the run; of a part fc_images_of_part */
    const float *const *inputs; /* (N, H, W, C) each, in pixels */
    float *const *outputs;      /* to be filled */
    int losses;                 /* how many, in `loss`; > 0: forward, losses and backward in one */
    const fc_loss *loss;
    double *totals;             /* of each loss: the sum over the batch of weight times loss; NULL: not wanted */
    const fc_part_of_batch *part; /* NULL: alone */
    float *const *gradients;      /* with losses: to be filled, as in fc_program_backward; NULL where none are asked for */
    const fc_random *random;    /* of each operation, in the place of fc_op.random; NULL: those */
} fc_run;

/* What a run leaves for what comes after it: the arena that it checked out, with the tensors for the way back and the
 * statistics of the batch. */
typedef struct fc_schedule fc_held;

/* NULL: no memory, or sizes that do not fit. The table is copied; weights stay where they are. `wanted` says of each
 * input whether backward is asked for its gradient. */
fc_program *fc_program_new(const fc_op *ops, int count, const fc_size *tensors, int tensor_count, const int *inputs,
                           const int *wanted, int input_count, const int *outputs, int output_count);
void fc_program_free(fc_program *program);

/* Forward, and where there are losses the gradients of all weights. `keep`: fc_program_backward will follow. Nothing is
 * written unless all memory is there.
 *
 * Several threads may run one program at the same time: each run checks out an arena. Where `held` is NULL, moving
 * statistics move and the arena is given back; with `keep` it must not be. Else, after FC_OK, *held is the caller's until
 * fc_program_let_go. Weights must not be written to meanwhile, nor two runs write the same gradients. */
fc_status fc_program_run(fc_program *program, const fc_run *run, int keep, fc_held **held);
/* From the gradients at the outputs (NULL: zero) of `run`, one with `keep`, whose inputs are still there, to those of
 * weights, and `gradients`: of each input where it is wanted, then of the tensors of fc_program_tap. What the outputs do
 * not depend on is left as it is. */
fc_status fc_program_backward(fc_program *program, fc_held *held, const fc_run *run,
                              const float *const *output_gradients, float *const *gradients);
/* The gradients of these tensors, each the output of an operation, are asked for too: (N, H, W, C) each, in pixels.
 * Before the first run. 0: no memory. */
int fc_program_tap(fc_program *program, const int *tensors, int count);
/* Move the moving statistics by those of the run's batch. */
void fc_program_commit(const fc_program *program, const fc_held *held);
void fc_program_let_go(fc_program *program, fc_held *held);

/* Arenas: how many were made so far, are checked out now, are idle, and were checked out at once at most. */
typedef struct {
    int64_t made;
    int out, idle, most;
} fc_arenas;
fc_arenas fc_program_arenas(fc_program *program);

/* ---- what runs how ------------------------------------------------------------------------------ */

typedef struct {
    fc_way way;
    const char *why;       /* that way */
    fc_conv2d_algorithm algorithm[3]; /* of each fc_conv2d_pass; FC_CONV2D_AUTO: there is only one */
    int stage, back_stage; /* the last that works on it; -1 */
    double operations, back_operations; /* multiplications and additions, for all images */
    double estimate, back_estimate; /* of time, for all images: fc_cost_of in cost.h */
    double bytes, back_bytes; /* of tensors outside the workspaces, and of weights and their gradients: read or written */
    int64_t kept;          /* bytes of its output outside the workspaces */
} fc_described;
typedef struct {
    int stages, few;
    int64_t workspace, batch, fixed, sums; /* bytes: of each thread; tensors of the batch; weights and statistics; chunks */
} fc_footprint;
/* For N images: forward alone, with the way back, or where there are losses, of which only `tensor` matters, all in one.
 * `rows` has room for all operations. */
fc_status fc_program_describe(fc_program *program, int64_t N, int backward, int losses, const fc_loss *loss,
                              fc_described *rows, fc_footprint *all);

/* From now on runs add up their seconds here, until it is NULL: of each operation forward and back, then of changes of
 * layout and sums of gradients, then of losses: 2 operations + 2 numbers. The clock goes on in all threads at once: where
 * a team is at work, a thread's seconds count as its share. */
void fc_program_time(fc_program *program, double *seconds);

/* What an operation would take in some way, for N images: see cost.h. Returns how many. */
struct fc_effort;
int fc_program_efforts(const fc_program *program, int op, fc_way way, int64_t N, int backward, struct fc_effort *efforts);

/* For tests: the way of each operation, where it takes it; -1 for any. */
void fc_program_force(fc_program *program, const int *ways);

#endif
