"""What to begin with: the choices that seldom need a second thought, as one ready network.

>>> model, callbacks = default_dnn((28, 28), hidden_units=[300, 100], classes=10)
>>> model.fit(x, y, epochs=20, validation_split=0.1, callbacks=callbacks)

A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow", 2nd edition, 2019, chapter 11,
"Summary and practical guidelines".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fastconv._core.checks import unknown_name
from fastconv._core.names import publish
from fastconv.callbacks import Callback, EarlyStopping, OneCycle
from fastconv.layers import Activation, BatchNormalization, Dense, Flatten, Input, Layer
from fastconv.layers._arguments import whole
from fastconv.models import Sequential
from fastconv.optimizers import SGD, Nadam, Optimizer, RMSprop
from fastconv.regularizers import L2

__all__ = ["DEEP", "Ready", "default_dnn"]

DEEP = 5
"""Networks of this many hidden layers, and deeper ones, are normalized."""


class Ready(NamedTuple):
    """A compiled model, and the callbacks that ``fit`` should be given with it."""

    model: Sequential
    callbacks: list[Callback]


class _Choice(NamedTuple):
    make: Callable[[float], Optimizer]
    rate: float  # of the top of the cycle, where nothing else is known


# 0.95 is the momentum with which 1cycle begins.
_OPTIMIZERS: dict[str, _Choice] = {
    "nesterov": _Choice(lambda rate: SGD(rate, momentum=0.95, nesterov=True), 0.05),
    "momentum": _Choice(lambda rate: SGD(rate, momentum=0.95), 0.05),
    "rmsprop": _Choice(RMSprop, 0.002),
    "nadam": _Choice(Nadam, 0.005),
}


def default_dnn(
    input_shape: int | tuple[int, ...],
    hidden_units: Sequence[int] = (300, 100),
    classes: int = 10,
    *,
    optimizer: str = "nesterov",
    max_learning_rate: float | None = None,
    batch_norm: bool | None = None,
    l2: float = 0.0,
    patience: int = 10,
    name: str | None = "default_dnn",
) -> Ready:
    """A dense classifier with the usual defaults, compiled, and the callbacks that go with it.

    =======================  ======================================================================
    initialisation           He's, normal; the output layer, which has no ELU behind it, Glorot's
    activation               ELU; softmax at the output
    normalisation            none where shallow; batch normalisation before every activation from
                             ``DEEP`` = 5 hidden layers on
    regularisation           early stopping with the best weights restored; ``l2`` on all kernels
    optimizer                SGD with Nesterov momentum; or "momentum", "rmsprop", "nadam"
    learning rate            1cycle over all epochs of ``fit``
    loss, metric             sparse categorical cross-entropy (labels are whole numbers), accuracy
    =======================  ======================================================================

    ``fit`` needs validation data, which early stopping watches, and inputs of mean 0 and deviation 1, or not
    far from it: x / 255 of images will do. Where batch normalisation is used, see that no tiny batch is left
    over at the end of an epoch: its mean and variance are no estimates.

    Parameters
    ----------
    input_shape : of one example, without the batch: (28, 28, 1), or 20 for (20,)
    hidden_units : the sizes of the hidden layers, first to last; () for none
    classes : how many
    optimizer : "nesterov", "momentum", "rmsprop" or "nadam"
    max_learning_rate : the top of the cycle. Where None 0.05 for "nesterov" and "momentum", 0.002 for
        "rmsprop", 0.005 for "nadam"; ``callbacks.LRFinder`` finds a better one for your data
    batch_norm : True or False where not depth should decide
    l2 : λ of the penalty λ Σ w²; 0 for none
    patience : epochs without a better validation loss until training stops. 1cycle's high rates make that
        happen on the way to its best, so be patient
    name : of the model

    Raises ValueError for a size that is no positive whole number, fewer than 2 classes, or an unknown
    optimizer; TypeError where ``hidden_units`` is a single number.
    """
    shape = (int(input_shape),) if hasattr(input_shape, "__index__") else tuple(input_shape)
    if hasattr(hidden_units, "__index__"):
        raise TypeError(
            f"default_dnn: hidden_units is a sequence of sizes, such as [300, 100]; got {hidden_units!r}"
        )
    whole(classes, "default_dnn: classes", minimum=2)
    sizes = [whole(units, f"default_dnn: hidden_units[{index}]") for index, units in enumerate(hidden_units)]
    if optimizer not in _OPTIMIZERS:
        raise unknown_name("optimizer of default_dnn", optimizer, _OPTIMIZERS)
    make, usual_rate = _OPTIMIZERS[optimizer]
    rate = usual_rate if max_learning_rate is None else max_learning_rate
    normalized = len(sizes) >= DEEP if batch_norm is None else batch_norm

    layers: list[Layer] = []
    if len(shape) > 1:
        layers.append(Flatten())
    for units in sizes:
        layers += _hidden(units, normalized, l2)
    layers.append(Dense(classes, activation="softmax", kernel_regularizer=_penalty(l2)))

    model = Sequential([Input(shape), *layers], name=name)
    model.compile(make(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return Ready(model, [EarlyStopping(patience=patience, restore_best_weights=True), OneCycle(rate)])


def _hidden(units: int, normalized: bool, l2: float) -> list[Layer]:
    """One hidden layer. Normalisation takes the mean away, and with it any bias: then there is none."""
    if not normalized:
        return [
            Dense(units, activation="elu", kernel_initializer="he_normal", kernel_regularizer=_penalty(l2))
        ]
    return [
        Dense(units, use_bias=False, kernel_initializer="he_normal", kernel_regularizer=_penalty(l2)),
        BatchNormalization(),
        Activation("elu"),
    ]


def _penalty(l2: float) -> L2 | None:
    return L2(l2) if l2 else None


publish(__name__)
