"""One step of gradient descent, in its common refinements. All arrays are updated in place.

    SGD       v ← μ·v − η·g                     θ ← θ + v          Nesterov: θ ← θ + μ·v − η·g
    Adam      m ← β₁·m + (1−β₁)·g               θ ← θ − η·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε)
              v ← β₂·v + (1−β₂)·g²              AMSGrad: the largest v so far in place of v
    Nadam     m, v as Adam                      θ ← θ − η · m̂ / (√(v/(1−β₂ᵗ)) + ε)
                                                m̂ = u_{t+1}·m/(1 − Πu_{t+1}) + (1−u_t)·g/(1 − Πu_t)
    RMSprop   v ← ρ·v + (1−ρ)·g²                θ ← θ − η·g / √(v + ε); centered: v − ḡ² in place of v
                                                with momentum: b ← μ·b + η·g/√(v + ε), θ ← θ − b

θ value, g grad, η learning rate, t step (the first is 1). Nadam's momentum schedule is
u_t = β₁·(1 − ½·0.96ᵗ); Πu_t is the product of all up to u_t.

Sources: Nesterov momentum: Sutskever et al. 2013; Adam: Kingma & Ba 2015, its note on efficiency at the end
of section 2; AMSGrad: Reddi et al. 2018; Nadam: Dozat 2016; RMSprop: Tieleman & Hinton 2012, centered:
Graves 2013. Arithmetic as in Keras 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastconv.reference.ieee import divide, maximum, sqrt

Array = NDArray[np.floating]


def sgd_update(
    value: Array,
    grad: Array,
    velocity: Array | None,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None:
    """``velocity`` may be None without momentum."""
    for i in range(value.size):
        step = -learning_rate * float(grad.flat[i])
        if momentum and velocity is not None:
            v = momentum * float(velocity.flat[i]) + step
            velocity.flat[i] = v
            step = momentum * v + step if nesterov else v
        value.flat[i] += step


def adam_update(
    value: Array,
    grad: Array,
    m: Array,
    v: Array,
    v_hat: Array | None,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    amsgrad: bool,
) -> None:
    """``v_hat`` is AMSGrad's memory, None without it."""
    rate = learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step)
    for i in range(value.size):
        mean, square = _moments(float(grad.flat[i]), m, v, i, beta_1, beta_2)
        if amsgrad and v_hat is not None:
            square = maximum((square, float(v_hat.flat[i])))
            v_hat.flat[i] = square
        value.flat[i] -= divide(rate * mean, sqrt(square) + epsilon)


def nadam_update(
    value: Array,
    grad: Array,
    m: Array,
    v: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    u_t: float,
    u_t1: float,
    u_product: float,
    u_product_1: float,
    step: int,
) -> None:
    """``u_t`` and ``u_t1``: momentum of this step and the next; ``u_product``, ``u_product_1``: their Πu."""
    for i in range(value.size):
        g = float(grad.flat[i])
        mean, square = _moments(g, m, v, i, beta_1, beta_2)
        look_ahead = u_t1 * mean / (1 - u_product_1) + (1 - u_t) * g / (1 - u_product)
        value.flat[i] -= divide(learning_rate * look_ahead, sqrt(square / (1 - beta_2**step)) + epsilon)


def rmsprop_update(
    value: Array,
    grad: Array,
    velocity: Array,
    average_grad: Array | None,
    momentum_buffer: Array | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None:
    """``average_grad`` is for the centered form, ``momentum_buffer`` for momentum; None where unused."""
    for i in range(value.size):
        g = float(grad.flat[i])
        square = rho * float(velocity.flat[i]) + (1 - rho) * g * g
        velocity.flat[i] = square
        if average_grad is not None:
            mean = rho * float(average_grad.flat[i]) + (1 - rho) * g
            average_grad.flat[i] = mean
            square -= mean * mean
        step = divide(learning_rate * g, sqrt(square + epsilon))
        if momentum_buffer is not None:
            step += momentum * float(momentum_buffer.flat[i])
            momentum_buffer.flat[i] = step
        value.flat[i] -= step


def _moments(g: float, m: Array, v: Array, i: int, beta_1: float, beta_2: float) -> tuple[float, float]:
    """Move the running means of g and g² at index i a step towards g, and return both."""
    mean = float(m.flat[i])
    mean += (g - mean) * (1 - beta_1)
    square = float(v.flat[i])
    square += (g * g - square) * (1 - beta_2)
    m.flat[i], v.flat[i] = mean, square
    return mean, square
