/* dropout.h - dropout.c in pieces, for threads that are awake already. */
#ifndef FASTCONV_DROPOUT_H
#define FASTCONV_DROPOUT_H

#include "kernels.h"

int64_t fc_dropout_pieces(const fc_dropout *dropout);

/* Pieces first <= p < end of all images. */
void fc_dropout_run(const fc_kernels *kernels, const fc_dropout *dropout, int64_t first, int64_t end, const float *x,
                    float *y);

#endif
