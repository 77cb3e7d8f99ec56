/* isa.h - every vector kernel, compiled for the instruction set ISA, and its table.
 *
 * An isa_*.c file defines ISA (a name), VLEN (floats in a vector) and TILE_PIXELS (rows of the register
 * tile), switches its target on and includes this file: nothing else differs between instruction sets.
 */
#include "kernels.h"
#include "vector.h"

#define PASTE(op, isa) op##__##isa
#define PASTE_EXPANDED(op, isa) PASTE(op, isa)
#define NAME(op) PASTE_EXPANDED(op, ISA) /* product_tile -> product_tile__avx2 */
#define STRING(s) #s
#define STRING_EXPANDED(s) STRING(s)

#include "tile_kernel.h"
#include "row_kernel.h"
#include "transpose_kernel.h"
#include "winograd_kernel.h"
#include "sum_kernel.h"
#include "pool_kernel.h"
#include "activation_kernel.h"
#include "dropout_kernel.h"
#include "penalty_kernel.h"
#include "prelu_kernel.h"
#include "batch_norm_kernel.h"
#include "softmax_kernel.h"
#include "loss_kernel.h"
#include "affine_kernel.h"
#include "optimizer_kernel.h"
#include "bundle_kernel.h"
#include "connected_kernel.h"
#include "depthwise_kernel.h"
#include "elementwise_kernel.h"
#include "row_norm_kernel.h"
#include "resample_kernel.h"
#include "rbf_kernel.h"
#include "bundle_winograd_kernel.h"
#include "peak_kernel.h"

const fc_kernels NAME(fc_kernels) = {
    .name = STRING_EXPANDED(ISA),
    .lanes = VLEN,
    .tile_pixels = TILE_PIXELS,
    .tile_lanes = 2 * VLEN,
    .tile_turns = PIXELS_A_POINTER == 1,
    .product_tile = NAME(product_tile),
    .outer_tile = NAME(outer_tile),
    .dot_rows = NAME(dot_rows),
    .row_tile = NAME(row_tile),
    .sum_lanes = NAME(sum_lanes),
    .transpose = NAME(transpose),
    .untranspose = NAME(untranspose),
    .winograd_input = NAME(winograd_input),
    .winograd_gradient = NAME(winograd_gradient),
    .winograd_weights = NAME(winograd_weights),
    .winograd_output = NAME(winograd_output),
    .winograd_weights_gradient = NAME(winograd_weights_gradient),
    .bundle_pixels = BUNDLE_PIXELS,
    .bundle_channels = BUNDLE_CHANNELS,
    .bundle_wide_pixels = BUNDLE_WIDE_PIXELS,
    .bundle_wide_channels = BUNDLE_WIDE_CHANNELS,
    .bundle_tiles = NAME(bundle_tiles),
    .bundle_outer_tile = NAME(bundle_outer_tile),
    .bundle_winograd_input = NAME(bundle_winograd_input),
    .bundle_winograd_gradient = NAME(bundle_winograd_gradient),
    .bundle_winograd_input_gradient = NAME(bundle_winograd_input_gradient),
    .bundle_winograd_output = NAME(bundle_winograd_output),
    .bundle_winograd_weights = NAME(bundle_winograd_weights),
    .bundle_winograd_weights_gradient = NAME(bundle_winograd_weights_gradient),
    .bundle_max_pool = NAME(bundle_max_pool),
    .bundle_max_pool_backward = NAME(bundle_max_pool_backward),
    .bundle_avg_pool = NAME(bundle_avg_pool),
    .bundle_avg_pool_backward = NAME(bundle_avg_pool_backward),
    .connected_tile = NAME(connected_tile),
    .connected_outer_tile = NAME(connected_outer_tile),
    .depthwise_rows = NAME(depthwise_rows),
    .depthwise_gradient = NAME(depthwise_gradient),
    .combine = NAME(combine),
    .combine_gradient = NAME(combine_gradient),
    .scale_shift = NAME(scale_shift),
    .row_squares = NAME(row_squares),
    .normalise_row = NAME(normalise_row),
    .row_gradient_sums = NAME(row_gradient_sums),
    .normalise_short_rows = NAME(normalise_short_rows),
    .normalise_short_rows_backward = NAME(normalise_short_rows_backward),
    .normalise_row_backward = NAME(normalise_row_backward),
    .normalise_group_backward = NAME(normalise_group_backward),
    .blend = NAME(blend),
    .add_scaled = NAME(add_scaled),
    .resample_row = NAME(resample_row),
    .resample_row_backward = NAME(resample_row_backward),
    .squared_distances = NAME(squared_distances),
    .weighted_differences = NAME(weighted_differences),
    .add_rows = NAME(add_rows),
    .max_pool = NAME(max_pool),
    .max_pool_backward = NAME(max_pool_backward),
    .avg_pool = NAME(avg_pool),
    .avg_pool_backward = NAME(avg_pool_backward),
    .activate = NAME(activate),
    .activate_backward = NAME(activate_backward),
    .random_words = NAME(random_words),
    .bundle_random_words = NAME(bundle_random_words),
    .drop = NAME(drop),
    .penalize = NAME(penalize),
    .prelu = NAME(prelu),
    .prelu_backward = NAME(prelu_backward),
    .moments = NAME(moments),
    .distance_sums = NAME(distance_sums),
    .normalise = NAME(normalise),
    .gradient_sums = NAME(gradient_sums),
    .sloped_gradient_sums = NAME(sloped_gradient_sums),
    .normalise_backward = NAME(normalise_backward),
    .softmax = NAME(softmax),
    .softmax_backward = NAME(softmax_backward),
    .log_softmax = NAME(log_softmax),
    .log_softmax_backward = NAME(log_softmax_backward),
    .cross_entropy = NAME(cross_entropy),
    .loss = NAME(loss),
    .affine = NAME(affine),
    .affine_backward = NAME(affine_backward),
    .sgd = NAME(sgd),
    .adagrad = NAME(adagrad),
    .rmsprop = NAME(rmsprop),
    .adam = NAME(adam),
    .adamax = NAME(adamax),
    .nadam = NAME(nadam),
    .adadelta = NAME(adadelta),
    .prepare_step = NAME(prepare_step),
    .average_step = NAME(average_step),
    .gather_gradients = NAME(gather_gradients),
    .sum_of_squares = NAME(sum_of_squares),
    .fma_burst = NAME(fma_burst),
};
