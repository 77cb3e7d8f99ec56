/* cost.h - how long an operation takes in each of its ways, estimated: see cost.c. */
#ifndef FASTCONV_COST_H
#define FASTCONV_COST_H

#include "engine.h"

/* Loops that share constants. Those of convolutions have one set for each pass; others one forward, one back. */
typedef enum {
    FC_COST_LANES_CONV, FC_COST_LANES_WINOGRAD, FC_COST_PIXELS_CONV,       /* convolutions */
    FC_COST_DIRECT, FC_COST_IM2COL, FC_COST_WINOGRAD,                      /* by the drivers, WHOLE */
    FC_COST_LANES_DEPTHWISE, FC_COST_DEPTHWISE, FC_COST_PIXELS_DENSE, FC_COST_DENSE,
    FC_COST_LANES_POOL, FC_COST_POOL, FC_COST_LANES_NORM, FC_COST_NORM, FC_COST_LANES_NUMBERS, FC_COST_NUMBERS,
    FC_COST_MOVE,                                                          /* between layouts */
    FC_COST_KINDS
} fc_cost_kind;

/* What takes time in one pass of an operation, for a whole batch. */
typedef struct fc_effort {
    fc_cost_kind kind;
    fc_conv2d_pass pass; /* FC_PASS_DATA: back, where there are no three */
    double steps;        /* of register tiles, as long as a vector's multiply-add where nothing else is waited for */
    double numbers;      /* vectors of tensors that are read and written */
    double weights;      /* vectors of weights that are read, packed, transformed; of gradients that are summed */
    double rows;         /* of pixels: calls of kernels */
    double calls;        /* of drivers */
} fc_effort;

enum { FC_MOST_EFFORTS = 3 };

/* Forward, and where `backward` the ways back. Returns how many. */
int fc_efforts_of(const fc_kernels *kernels, const fc_op *op, fc_way way, int64_t N, int backward,
                  fc_effort efforts[FC_MOST_EFFORTS]);

/* One pass of a convolution by a driver. */
fc_effort fc_conv2d_effort(const fc_kernels *kernels, const fc_conv2d *conv, fc_conv2d_pass pass,
                           fc_conv2d_algorithm algorithm);

/* N images of a tensor from one layout to the other. */
fc_effort fc_effort_of_move(const fc_kernels *kernels, fc_size size, int64_t N);

/* In multiply-adds of a vector at the CPU's peak, two of which make a cycle where there are two units for them. */
double fc_cost_of(const fc_effort *effort);

#endif
