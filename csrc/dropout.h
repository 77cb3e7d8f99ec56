/* dropout.h - what a team that is already awake uses of dropout.c. */
#ifndef FASTCONV_DROPOUT_H
#define FASTCONV_DROPOUT_H

#include "kernels.h"
#include "matmul.h"

/* The part-th of `parts` parts of the work. */
void fc_dropout_part(const fc_kernels *kernels, const fc_dropout *dropout, int part, int parts, const float *x,
                     float *y);

#endif
