"""The operations, at the level of arrays: what the layers call, and what you call to write your own.

Images are (N, H, W, C), convolution kernels (KH, KW, C_in / groups, C_out), dense kernels (in, out).
Every function takes anything that converts to an array of numbers. The compiled backend computes in
float32 on C-contiguous memory: float32 arrays laid out so are used as they are; float64, float16, whole
numbers and booleans are rounded to float32; other layouts (transposed, sliced, Fortran order) are copied.
Complex numbers, strings and objects raise TypeError. The reference backend computes in float64.

This package is the only door to both backends: shapes, types and layouts are checked here and nowhere
else, so the kernels behind it check nothing.
"""

from fastconv._public import publish
from fastconv.ops.activations import ACTIVATIONS, NEEDS_INPUT, activation, activation_backward
from fastconv.ops.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from fastconv.ops.connected import (
    conv2d_connected,
    conv2d_connected_backward_data,
    conv2d_connected_backward_kernel,
)
from fastconv.ops.convolution import ALGORITHMS, conv2d, conv2d_backward_data, conv2d_backward_kernel
from fastconv.ops.dense import dense, dense_backward_data, dense_backward_kernel
from fastconv.ops.dropout import dropout
from fastconv.ops.images import affine_transform, affine_transform_backward
from fastconv.ops.losses import log_softmax, softmax_cross_entropy
from fastconv.ops.normalization import (
    batch_norm,
    batch_norm_backward_data,
    batch_norm_backward_weights,
    moments,
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
from fastconv.ops.update_arrays import Kept, UpdateArrays, UpdateOptions

__all__ = [
    "ACTIVATIONS",
    "ALGORITHMS",
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
    "affine_transform",
    "affine_transform_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward_data",
    "batch_norm_backward_weights",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "conv2d",
    "conv2d_backward_data",
    "conv2d_backward_kernel",
    "conv2d_connected",
    "conv2d_connected_backward_data",
    "conv2d_connected_backward_kernel",
    "dense",
    "dense_backward_data",
    "dense_backward_kernel",
    "dropout",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "l1_l2_penalty",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "moments",
    "nadam_step",
    "nadam_update",
    "prelu",
    "prelu_backward",
    "rbf",
    "rbf_backward_data",
    "rbf_backward_kernel",
    "rmsprop_step",
    "rmsprop_update",
    "sgd_step",
    "sgd_update",
    "softmax_cross_entropy",
]

publish(__name__)
