/* schedule.h - what is done in a run of a program, in order, and where every array lies: see schedule.c. */
#ifndef FASTCONV_SCHEDULE_H
#define FASTCONV_SCHEDULE_H

#include "engine.h"

typedef enum { FC_INFER, FC_KEEP, FC_TRAIN } fc_mode; /* forward; forward, later backward; both and losses in one */

struct fc_program {
    int count, tensors, inputs, outputs;
    fc_op *ops;
    fc_size *sizes;
    int *input, *wanted, *output;
    int taps, *tap;  /* tensors whose gradients are given back, behind those of the inputs */
    int *producer; /* of each tensor: the operation that makes it, or -1 */
    int *forced;   /* of each operation: its way, or -1 */
    int *needed;   /* of each tensor: its gradient leads to something that learns, or is asked for */
    int *goes_on;  /* of each operation: backward has something to compute */
    double *seconds; /* see fc_program_time; NULL */
    struct fc_schedule *idle; /* schedules that no run has checked out, the latest first; under fc_lock, as arenas is */
    fc_arenas arenas;
};

typedef enum { FC_FORWARD, FC_MOMENTS, FC_LOSS, FC_SEED, FC_BACKWARD, FC_GRADIENT_MOMENTS, FC_WEIGHTS, FC_ADD_TO,
               FC_LOAD, FC_STORE, FC_COPY } fc_action_kind;

/* One thing to do. Slots by number, -1 for none. */
typedef struct {
    fc_action_kind kind;
    fc_way way;
    int op;                            /* FC_LOSS: which loss; FC_SEED: which output */
    int x[FC_MOST_INPUTS], dx[FC_MOST_INPUTS], y, dy;
    int from, to;                      /* FC_LOAD, FC_STORE, FC_COPY: to = from, in another layout; FC_ADD_TO: to += from */
} fc_action;

/* Actions between two barriers. */
typedef enum { FC_BUNDLES, FC_TEAM, FC_ALL } fc_stage_kind; /* bundle by bundle; all images, by a team; a driver */
typedef struct {
    fc_stage_kind kind;
    int first, end; /* actions */
    int backward;
} fc_stage;

/* Room for a tensor's value or gradient in one layout. */
typedef enum { FC_WORK, FC_BATCH, FC_INPUT, FC_OUTPUT, FC_GRADIENT } fc_home;
typedef struct {
    fc_size size;
    int lanes;      /* layout lanes, else pixels */
    fc_border border;
    fc_home home;   /* in each thread's workspace, for the whole batch, or the caller's */
    int number;     /* of the caller's array */
    int first, last, first_stage, last_stage; /* that touch it: actions, stages */
    int64_t at;     /* floats from the start of its home, to the start of its border */
    int64_t step;   /* floats from one bundle, or image, to the next */
} fc_slot;

typedef struct fc_schedule {
    struct fc_schedule *next;
    /* what it is for */
    const fc_kernels *kernels;
    int64_t N, batch_N; /* images of the run, and of the batch that it is a part of */
    int parts;
    int threads;
    fc_mode mode;
    int losses;
    int loss_tensor[FC_MOST_INPUTS];

    int few;        /* too few images for bundles */
    int64_t leaf;   /* images, see tree.h */
    int64_t bundles, chunks; /* a chunk is a leaf of bundles, or a bundle of leaves */
    fc_op *ops;     /* with sizes, gradients that are added later redirected, and the run's random numbers */
    fc_random *random; /* of each operation */
    fc_way *way;
    const char **why; /* that way, in words */
    int *reached;   /* of each operation: it goes back */
    int *norm, *gone; /* the batch norm that is in its weights, or -1; it is in those of another, and nothing is done */
    int actions, actions_room, stages, stages_room, slots, slots_room;
    fc_action *action;
    fc_stage *stage;
    fc_slot *slot;
    int forward_stages;
    int *seed;      /* slot for each output's gradient given by the caller; -1 */

    /* places in the memory, in floats; of each operation */
    int64_t *packed_at, *saved_at, *sums_at, *nodes_at, *statistics_at, *added_at, *folded_at;
    int64_t workspace, scratch, batch, fixed, chunk_size, message_size;
    double operations; /* arithmetic of a run */
    float *work, *arena, *constant; /* workspaces; tensors of the batch; what keeps its place */
    float *chunk_sums;
    int sums_stage; /* the first that adds to them */
    float *message; /* two of message_size: what is exchanged with other parts of the batch */
} fc_schedule;

/* Check one out: no other run has it until it is given back. NULL with a status. */
fc_schedule *fc_schedule_take(fc_program *program, const fc_run *run, fc_mode mode, fc_status *status);
void fc_schedule_give(fc_program *program, fc_schedule *schedule);
void fc_schedule_free(fc_schedule *schedule);
void fc_schedules_free(fc_schedule *first); /* and those behind it in the list */

const fc_method *fc_method_of(fc_way way, fc_op_kind kind);

/* The way of every operation: choose.c */
fc_status fc_choose_ways(const fc_program *program, fc_schedule *schedule, int losses, const fc_loss *loss);
double fc_operations_of(const fc_op *op); /* for one image: cost.c */

/* norms.c: which batch norms are part of the weights before them; and of an operation with one in it, room for the new
 * weights, that they are there, and a member's part of them from those that were `given` */
void fc_fold_norms(const fc_program *p, fc_schedule *s);
int64_t fc_folded_size(const fc_op *op), fc_folded_scratch(const fc_op *op);
void fc_place_folded(fc_op *op, float *room);
void fc_fill_folded(const fc_schedule *s, const fc_op *given, int op, float *scratch, int member, int team);

/* sums.c */
static inline int fc_takes_statistics(const fc_op *op) { return op->kind == FC_OP_BATCH_NORM && op->training; }
/* Whether gradient w is summed over the batch where it is, in op->gradient. */
int fc_is_summed_in_place(const fc_schedule *schedule, int op, int w);
fc_status fc_sum_statistics(const fc_schedule *schedule, const fc_run *run, const fc_action *action);
fc_status fc_sum_gradients(const fc_program *program, const fc_schedule *schedule, const fc_run *run);
fc_status fc_sum_losses(const fc_schedule *schedule, const fc_run *run);

#endif
