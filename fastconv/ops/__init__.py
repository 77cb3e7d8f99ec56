"""The operations, at the level of arrays: what the layers call, and what you call to write your own.

Images are (N, H, W, C), convolution kernels (KH, KW, C_in / groups, C_out), dense kernels (in, out).
Every function takes anything that converts to an array of numbers. The compiled backend computes in
float32 on C-contiguous memory: float32 arrays laid out so are used as they are; float64, float16, whole
numbers and booleans are rounded to float32; other layouts (transposed, sliced, Fortran order) are copied.
Complex numbers, strings and objects raise TypeError. The reference backend computes in float64.

This package is the only door to both backends: shapes, types and layouts are checked here and nowhere
else, so the kernels behind it check nothing.
"""

from fastconv._core.names import publish
from fastconv.ops.activations import ACTIVATIONS, NEEDS_INPUT, activation, activation_backward
from fastconv.ops.adaptive_pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
)
from fastconv.ops.arrangement import (
    concatenate,
    crop2d,
    crop2d_backward,
    dot,
    dot_backward,
    permute,
    split,
)
from fastconv.ops.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from fastconv.ops.connected import (
    conv2d_connected,
    conv2d_connected_backward_data,
    conv2d_connected_backward_kernel,
)
from fastconv.ops.convolution import ALGORITHMS, conv2d, conv2d_backward_data, conv2d_backward_kernel
from fastconv.ops.dense import dense, dense_backward_data, dense_backward_kernel
from fastconv.ops.depthwise import (
    depthwise_conv2d,
    depthwise_conv2d_backward_data,
    depthwise_conv2d_backward_kernel,
)
from fastconv.ops.dropout import dropout
from fastconv.ops.elementwise import ELEMENTWISE, elementwise, elementwise_backward
from fastconv.ops.images import affine_transform, affine_transform_backward
from fastconv.ops.losses import log_softmax, softmax_cross_entropy
from fastconv.ops.normalization import (
    batch_norm,
    batch_norm_backward_data,
    batch_norm_backward_weights,
    moments,
)
from fastconv.ops.one_dimensional import (
    avg_pool1d,
    avg_pool1d_backward,
    conv1d,
    conv1d_backward_data,
    conv1d_backward_kernel,
    conv1d_transpose,
    conv1d_transpose_backward_data,
    conv1d_transpose_backward_kernel,
    depthwise_conv1d,
    depthwise_conv1d_backward_data,
    depthwise_conv1d_backward_kernel,
    global_avg_pool1d,
    global_avg_pool1d_backward,
    global_max_pool1d,
    global_max_pool1d_backward,
    max_pool1d,
    max_pool1d_backward,
    upsample1d,
    upsample1d_backward,
)
from fastconv.ops.optimizers import (
    adadelta_step,
    adadelta_update,
    adagrad_step,
    adagrad_update,
    adam_step,
    adam_update,
    adamax_step,
    adamax_update,
    nadam_step,
    nadam_update,
    rmsprop_step,
    rmsprop_update,
    sgd_step,
    sgd_update,
)
from fastconv.ops.penalties import l1_l2_penalty
from fastconv.ops.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from fastconv.ops.prelu import prelu, prelu_backward
from fastconv.ops.rbf import rbf, rbf_backward_data, rbf_backward_kernel
from fastconv.ops.row_normalization import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    unit_norm,
    unit_norm_backward,
)
from fastconv.ops.transposed import (
    conv2d_transpose,
    conv2d_transpose_backward_data,
    conv2d_transpose_backward_kernel,
)
from fastconv.ops.update_arrays import Kept, UpdateArrays, UpdateOptions
from fastconv.ops.upsampling import (
    upsample2d,
    upsample2d_backward,
)

__all__ = [
    "ACTIVATIONS",
    "ALGORITHMS",
    "ELEMENTWISE",
    "NEEDS_INPUT",
    "Kept",
    "UpdateArrays",
    "UpdateOptions",
    "activation",
    "activation_backward",
    "adadelta_step",
    "adadelta_update",
    "adagrad_step",
    "adagrad_update",
    "adam_step",
    "adam_update",
    "adamax_step",
    "adamax_update",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "affine_transform",
    "affine_transform_backward",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward_data",
    "batch_norm_backward_weights",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "concatenate",
    "conv1d",
    "conv1d_backward_data",
    "conv1d_backward_kernel",
    "conv1d_transpose",
    "conv1d_transpose_backward_data",
    "conv1d_transpose_backward_kernel",
    "conv2d",
    "conv2d_backward_data",
    "conv2d_backward_kernel",
    "conv2d_connected",
    "conv2d_connected_backward_data",
    "conv2d_connected_backward_kernel",
    "conv2d_transpose",
    "conv2d_transpose_backward_data",
    "conv2d_transpose_backward_kernel",
    "crop2d",
    "crop2d_backward",
    "dense",
    "dense_backward_data",
    "dense_backward_kernel",
    "depthwise_conv1d",
    "depthwise_conv1d_backward_data",
    "depthwise_conv1d_backward_kernel",
    "depthwise_conv2d",
    "depthwise_conv2d_backward_data",
    "depthwise_conv2d_backward_kernel",
    "dot",
    "dot_backward",
    "dropout",
    "elementwise",
    "elementwise_backward",
    "global_avg_pool1d",
    "global_avg_pool1d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool1d",
    "global_max_pool1d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "group_norm",
    "group_norm_backward",
    "l1_l2_penalty",
    "layer_norm",
    "layer_norm_backward",
    "log_softmax",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "moments",
    "nadam_step",
    "nadam_update",
    "permute",
    "prelu",
    "prelu_backward",
    "rbf",
    "rbf_backward_data",
    "rbf_backward_kernel",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop_step",
    "rmsprop_update",
    "sgd_step",
    "sgd_update",
    "softmax_cross_entropy",
    "split",
    "unit_norm",
    "unit_norm_backward",
    "upsample1d",
    "upsample1d_backward",
    "upsample2d",
    "upsample2d_backward",
]

publish(__name__)
