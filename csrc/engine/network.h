/* network.h - a program with its weights, and what trains it: what a program file holds.
 *
 *     check.c      whether an operation is one that can be run
 *     file.c       from bytes to a network and back
 *     network.c    predict, and one step of training
 */
#ifndef FASTCONV_NETWORK_H
#define FASTCONV_NETWORK_H

#include "schedule.h"

/* The random numbers of one operation: those of its next run, and how many calls further that of the run after it. */
typedef struct {
    fc_random random;
    uint32_t step;
} fc_draws;

/* The operations of inference, or of training. The arrays but for axes and draws are those of the program. */
typedef struct {
    fc_program *program;
    int *input_axes, *output_axes;
    fc_draws *draws; /* of each operation */
} fc_table;

typedef enum { FC_SGD, FC_ADAGRAD, FC_RMSPROP, FC_ADAM, FC_ADAMAX, FC_NADAM, FC_ADADELTA, FC_RULES } fc_rule_kind;

#define FC_MOST_STEPS (INT64_C(1) << 53)

/* An optimizer. What its rule does not know is 0. */
typedef struct {
    int kind;
    double learning_rate, momentum, rho, beta_1, beta_2, epsilon;
    double momentum_product; /* Nadam's */
    int nesterov;
    int64_t steps; /* taken, of FC_MOST_STEPS that are counted */
    fc_update_options around;
} fc_rule;

typedef struct {
    fc_judgement what;
    int tensor;                 /* of the training program, where it begins */
    double delta, least, most;  /* as of fc_loss */
    int sum;                    /* over the images; else their mean */
    double weight;              /* among the losses */
} fc_term;

struct fc_network {
    int count, learned;      /* arrays of weights; the first `learned` of them are stepped by the optimizer */
    fc_parameter *parameter; /* grad of those that learn alone */
    double *l1, *l2;         /* penalties, of those that learn */
    int trains;              /* what follows is there */
    fc_table inference, training;
    int terms;
    fc_term term[FC_MOST_INPUTS];
    fc_rule rule;
    fc_parameter *stepped; /* room for those that learn */
    char error[FC_ERROR_TEXT];
};

/* Whether a method can run the operation, whose sizes are filled in. If not, `text` says what is wrong with it. */
int fc_op_check(const fc_op *op, char text[FC_ERROR_TEXT]);
int fc_is_size(fc_size size);

/* The network as a file; bytes are only counted where `to` is NULL. -1 where it cannot be written: `error` says why. */
int64_t fc_network_pack(const fc_network *network, uint8_t *to, char error[FC_ERROR_TEXT]);

const char *fc_op_name(fc_op_kind kind);

/* Whether weight w is a kernel, of which `fc_training.l2` is. */
static inline int fc_is_kernel(const fc_op *op, int w) { return op->kind <= FC_OP_DENSE && w == 0; }

/* Zeros with room behind them, as weights need it: FC_SLACK. */
float *fc_new_weights(int64_t n);

/* The state that momentum is kept in, or -1. */
int fc_rule_momentum(int kind);

#endif
