"""Pairs of networks, of ``torch.nn`` and of fastconv, that compute the same from the same weights."""

import numpy as np

from fastconv import Model, Sequential
from fastconv import layers as L

NORM = {"epsilon": 1e-5}  # PyTorch's


def everything_torch(nn):
    return nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), stride=2), nn.BatchNorm2d(4), nn.PReLU(4),
        nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.ReLU(),
        nn.Conv2d(8, 6, 1, bias=False), nn.GroupNorm(2, 6), nn.PReLU(),
        nn.ConvTranspose2d(6, 3, 2, 2), nn.MaxPool2d(2),
        nn.Flatten(), nn.BatchNorm1d(3 * 4 * 5), nn.PReLU(60), nn.Dropout(0.3), nn.Linear(60, 12), nn.Tanh(),
        nn.LayerNorm(12), nn.Linear(12, 5), nn.Softmax(-1),
    )  # fmt: skip


def everything():
    return Sequential([
        L.Input((9, 11, 3)),
        L.Conv2D(4, (3, 2), 2), L.BatchNormalization(**NORM), L.PReLU(shared_axes=[1, 2]),
        L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu"),
        L.Conv2D(6, 1, use_bias=False), L.GroupNormalization(2, **NORM), L.PReLU(shared_axes=[1, 2, 3]),
        L.Conv2DTranspose(3, 2, 2), L.MaxPooling2D(2),
        L.Flatten(), L.BatchNormalization(**NORM), L.PReLU(), L.Dropout(0.3), L.Dense(12, activation="tanh"),
        L.LayerNormalization(**NORM), L.Dense(5, activation="softmax"),
    ])  # fmt: skip


def decoder_torch(nn):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 18), nn.BatchNorm1d(18, affine=False),
        nn.ReLU(), nn.Unflatten(1, (2, 3, 3)), nn.ConvTranspose2d(2, 2, 3), nn.Conv2d(2, 1, 3),
    )  # fmt: skip


def decoder():
    """An image becomes a vector, and a vector an image."""
    return Sequential([
        L.Input((3, 4, 2)),
        Sequential([L.Flatten(), L.Dense(6, activation="relu")]), L.Dense(18),
        L.BatchNormalization(scale=False, center=False, **NORM), L.Activation("relu"),
        L.Reshape((3, 3, 2)), L.Conv2DTranspose(2, 3), L.Conv2D(1, 3),
    ])  # fmt: skip


def one_dimension_torch(nn):
    return nn.Sequential(
        nn.Conv1d(3, 4, 3), nn.ReLU(), nn.ConvTranspose1d(4, 2, 2, 2), nn.BatchNorm1d(2), nn.Flatten(),
        nn.Linear(32, 3),
    )  # fmt: skip


def one_dimension():
    return Sequential([
        L.Input((10, 3)), L.Conv1D(4, 3, activation="relu"), L.Conv1DTranspose(2, 2, 2),
        L.BatchNormalization(**NORM), L.Flatten(), L.Dense(3),
    ])  # fmt: skip


def separable_torch(nn):
    return nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.Conv2d(4, 3, 1), nn.Flatten())


def separable():
    """The numbers come out in another order: PyTorch's are channels first."""
    inputs = L.Input((5, 5, 2))
    x = L.SeparableConv2D(3, 3, depth_multiplier=2)(inputs)
    return Model(inputs, L.Flatten()(L.Permute((3, 1, 2))(x)))


def row_norms_torch(nn):
    return nn.Sequential(
        nn.LayerNorm((2, 3, 4)), nn.LayerNorm((3, 4)), nn.RMSNorm((2, 3, 4), eps=1e-6), nn.Flatten(),
        nn.LayerNorm(24), nn.RMSNorm(24, eps=1e-6), nn.Linear(24, 3),
    )  # fmt: skip


def row_norms():
    return Sequential([
        L.Input((3, 4, 2)),
        L.LayerNormalization(axis=[1, 2, 3], **NORM), L.LayerNormalization(axis=[1, 2], **NORM),
        L.RMSNormalization(axis=[1, 2, 3]), L.Flatten(), L.LayerNormalization(**NORM), L.RMSNormalization(),
        L.Dense(3),
    ])  # fmt: skip


NETWORKS = {
    "everything": (everything_torch, everything),
    "decoder": (decoder_torch, decoder),
    "one_dimension": (one_dimension_torch, one_dimension),
    "separable": (separable_torch, separable),
    "row_norms": (row_norms_torch, row_norms),
}


def drawn(net):
    """The net with other numbers in every tensor, in inference."""
    import torch

    rng = np.random.default_rng(5)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            low = 0.5 if name.endswith("running_var") else -0.5
            tensor.copy_(torch.from_numpy(low + rng.random(tuple(tensor.shape), np.float32)))
    return net.eval()


def inputs_of(name):
    """A batch, channels last."""
    shape = NETWORKS[name][1]().input_shape
    return np.random.default_rng(6).random((2, *shape[1:]), np.float32)


def outputs_of(net, x):
    """What PyTorch makes of images (N, H, W, C), channels last again."""
    import torch

    y = net(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).detach().numpy()
    return np.moveaxis(y, 1, -1)
