"""The formulas, in pure Python: the twin of ``fastconv.ops`` that is read, not raced.

Every function here has the name and the arguments of its compiled twin and computes the textbook formula
in double precision with plain loops. It is what the C kernels are tested against, and what
``fastconv.set_backend("reference")`` runs a model on. Read the files in this order:

    convolution.py     seven loops forward, the same seven loops backward
    connected.py       the same where filters see only some of the maps
    depthwise.py       every channel by itself
    transposed.py      every pixel lays its kernel on the output
    pooling.py         maximum and average over windows and over whole maps
    adaptive_pooling.py   a bin for each output, whatever the size of the image
    one_dimensional.py    convolution without rows
    dense.py           the fully connected layer
    rbf.py             how far from each prototype, squared
    activations.py     the nonlinearities and their derivatives, most of them written with the output
    prelu.py           the nonlinearity that learns
    normalization.py   batch normalisation: its derivative is the first that is not local
    row_normalization.py  the same within one example: layer, group, root mean square and unit normalisation
    threefry.py        random numbers that need no memory
    elementwise.py     two arrays, number by number
    dropout.py         switching numbers off at random
    penalties.py       what large weights cost
    images.py          images under affine maps: shifted, turned, stretched
    upsampling.py      images enlarged by whole factors
    arrangement.py     arrays put together, cropped, their axes reordered; products along an axis
    losses.py          softmax and cross-entropy, together
    optimizers.py      one step of gradient descent, from SGD to Nadam
    clipping.py        gradients made smaller, by value and by norm

NumPy only carries the arrays in and out. The arithmetic is Python's, on nested lists. ``ieee.py`` has the
handful of operations for which Python raises an exception where floating point has an answer.
"""

from fastconv._core.names import publish
from fastconv.reference.activations import activation, activation_backward
from fastconv.reference.adaptive_pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
)
from fastconv.reference.arrangement import (
    concatenate,
    crop2d,
    crop2d_backward,
    dot,
    dot_backward,
    permute,
    split,
)
from fastconv.reference.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from fastconv.reference.connected import (
    conv2d_connected,
    conv2d_connected_backward_data,
    conv2d_connected_backward_kernel,
)
from fastconv.reference.convolution import conv2d, conv2d_backward_data, conv2d_backward_kernel
from fastconv.reference.dense import dense, dense_backward_data, dense_backward_kernel
from fastconv.reference.depthwise import (
    depthwise_conv2d,
    depthwise_conv2d_backward_data,
    depthwise_conv2d_backward_kernel,
)
from fastconv.reference.dropout import dropout
from fastconv.reference.elementwise import elementwise, elementwise_backward
from fastconv.reference.images import affine_transform, affine_transform_backward
from fastconv.reference.losses import log_softmax, softmax_cross_entropy
from fastconv.reference.normalization import (
    batch_norm,
    batch_norm_backward_data,
    batch_norm_backward_weights,
    moments,
)
from fastconv.reference.one_dimensional import (
    conv1d,
    conv1d_backward_data,
    conv1d_backward_kernel,
)
from fastconv.reference.optimizers import (
    adadelta_update,
    adagrad_update,
    adam_update,
    adamax_update,
    nadam_update,
    rmsprop_update,
    sgd_update,
)
from fastconv.reference.penalties import l1_l2_penalty
from fastconv.reference.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from fastconv.reference.prelu import prelu, prelu_backward
from fastconv.reference.rbf import rbf, rbf_backward_data, rbf_backward_kernel
from fastconv.reference.row_normalization import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    unit_norm,
    unit_norm_backward,
)
from fastconv.reference.transposed import (
    conv2d_transpose,
    conv2d_transpose_backward_data,
    conv2d_transpose_backward_kernel,
)
from fastconv.reference.upsampling import (
    upsample2d,
    upsample2d_backward,
)

__all__ = [
    "activation",
    "activation_backward",
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "adamax_update",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
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
    "concatenate",
    "conv1d",
    "conv1d_backward_data",
    "conv1d_backward_kernel",
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
    "depthwise_conv2d",
    "depthwise_conv2d_backward_data",
    "depthwise_conv2d_backward_kernel",
    "dot",
    "dot_backward",
    "dropout",
    "elementwise",
    "elementwise_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "group_norm",
    "group_norm_backward",
    "l1_l2_penalty",
    "layer_norm",
    "layer_norm_backward",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "moments",
    "nadam_update",
    "permute",
    "prelu",
    "prelu_backward",
    "rbf",
    "rbf_backward_data",
    "rbf_backward_kernel",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop_update",
    "sgd_update",
    "softmax_cross_entropy",
    "split",
    "unit_norm",
    "unit_norm_backward",
    "upsample2d",
    "upsample2d_backward",
]

publish(__name__)
