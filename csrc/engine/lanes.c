/* lanes.c - the methods on bundles: lanes_*.c. What has no entry is not done in lanes, what has no `takes` always can
 * be. */
#include "lanes.h"

#define CONVOLUTION(name, algorithm_of)                                                                            \
    {.takes = fc_lanes_##name##_takes, .needs = fc_lanes_##name##_needs, .border = fc_lanes_##name##_border,       \
     .border_back = fc_lanes_##name##_border_back, .packed_size = fc_lanes_##name##_packed_size,                   \
     .pack = fc_lanes_##name##_pack, .scratch_size = fc_lanes_##name##_scratch_size,                               \
     .forward = fc_lanes_##name##_forward, .backward = fc_lanes_##name##_backward,                                 \
     .sums_size = fc_lanes_##name##_sums_size, .finish = fc_lanes_##name##_finish,                            \
     .algorithm = algorithm_of}
#define POOL {.needs = fc_lanes_pool_needs, .forward = fc_lanes_pool_forward, .backward = fc_lanes_pool_backward}
#define PLAIN(name) {.forward = fc_lanes_##name##_forward, .backward = fc_lanes_##name##_backward}

const fc_method fc_lanes_methods[FC_OP_KINDS] = {
    [FC_OP_CONV] = CONVOLUTION(conv, fc_lanes_conv_algorithm),
    [FC_OP_DEPTHWISE] = CONVOLUTION(depthwise, NULL),
    [FC_OP_MAX_POOL] = POOL,
    [FC_OP_AVG_POOL] = POOL,
    [FC_OP_GLOBAL_MAX_POOL] = POOL,
    [FC_OP_GLOBAL_AVG_POOL] = POOL,
    [FC_OP_BATCH_NORM] = {.takes = fc_lanes_norm_takes, .needs = fc_lanes_norm_needs,
                          .scratch_size = fc_lanes_norm_scratch_size, .forward = fc_lanes_norm_forward,
                          .backward = fc_lanes_norm_backward, .partial_size = fc_lanes_norm_partial_size,
                          .moments = fc_lanes_norm_moments,
                          .gradient_moments = fc_lanes_norm_gradient_moments},
    [FC_OP_ACTIVATION] = {.needs = fc_lanes_activation_needs, .forward = fc_lanes_activation_forward,
                          .backward = fc_lanes_activation_backward},
    [FC_OP_PRELU] = {.needs = fc_lanes_prelu_needs, .packed_size = fc_lanes_prelu_packed_size,
                     .pack = fc_lanes_prelu_pack, .scratch_size = fc_lanes_prelu_scratch_size,
                     .forward = fc_lanes_prelu_forward, .backward = fc_lanes_prelu_backward,
                     .sums_size = fc_lanes_prelu_sums_size, .finish = fc_lanes_prelu_finish},
    [FC_OP_ELEMENTWISE] = {.takes = fc_lanes_elementwise_takes, .needs = fc_lanes_elementwise_needs,
                           .scratch_size = fc_lanes_elementwise_scratch_size,
                           .forward = fc_lanes_elementwise_forward, .backward = fc_lanes_elementwise_backward},
    [FC_OP_SCALE] = PLAIN(scale),
    [FC_OP_DROPOUT] = PLAIN(dropout),
    [FC_OP_CONCATENATE] = PLAIN(concatenate),
    [FC_OP_PAD] = PLAIN(pad),
    [FC_OP_UPSAMPLE] = PLAIN(upsample),
    [FC_OP_RESHAPE] = PLAIN(reshape),
};
