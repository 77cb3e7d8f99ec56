/* missing.c - empty tables in place of those that are not written yet. */
#include <stddef.h>

#include "engine.h"

#define WEAK __attribute__((weak))
const fc_method fc_lanes_methods[FC_OP_KINDS] WEAK = {{0}};
const fc_method fc_pixels_methods[FC_OP_KINDS] WEAK = {{0}};
const fc_method fc_whole_methods[FC_OP_KINDS] WEAK = {{0}};

WEAK void fc_loss_gradient(const fc_loss *loss, int64_t first, int64_t images, fc_size size, const fc_kernels *kernels,
                           const float *tensor, float *gradient) {
    const fc_targets t = {loss->targets.labels ? loss->targets.labels + first : NULL,
                          loss->targets.rows ? loss->targets.rows + first * size.C : NULL,
                          loss->targets.weights ? loss->targets.weights + first : NULL};
    kernels->cross_entropy(images, size.C, tensor, t, loss->scale, loss->losses + first, gradient);
}
