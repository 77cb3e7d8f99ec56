/* rows.h - operations whose rows are computed each by itself, so that any split of the work gives the same bits.
 *
 * What a row is depends on the operation and the direction: a row of pixels, one pixel's channels, a thousand floats.
 * Neither reads what another writes.
 */
#ifndef FASTCONV_ENGINE_ROWS_H
#define FASTCONV_ENGINE_ROWS_H

#include "engine.h"

typedef struct {
    int64_t (*count)(const fc_work *work); /* rows of the images at work */
    void (*run)(const fc_work *work, int64_t first, int64_t end);
} fc_rows;

typedef struct {
    fc_rows forward, backward;
} fc_row_operation;

/* By kind; those without rows have no forward.run. */
extern const fc_row_operation fc_row_operations[FC_OP_KINDS];

/* Of their methods; `takes` and `saved_size` are the pools'. */
int fc_rows_needs(const fc_op *op);
int fc_rows_take_pool(const fc_kernels *kernels, const fc_op *op, int backward);
int64_t fc_rows_saved_size(const fc_kernels *kernels, const fc_op *op, int64_t N);

#endif
