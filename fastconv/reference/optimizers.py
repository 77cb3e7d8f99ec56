"""One step of gradient descent, in its common refinements. All arrays are updated in place.

    SGD       v ← μ·v − η·g                     θ ← θ + v          Nesterov: θ ← θ + μ·v − η·g
    Adagrad   s ← s + g²                        θ ← θ − η·g / √(s + ε)
    RMSprop   v ← ρ·v + (1−ρ)·g²                θ ← θ − η·g / √(v + ε); centered: v − ḡ² in place of v
                                                with momentum: b ← μ·b + η·g/√(v + ε), θ ← θ − b
    Adam      m ← β₁·m + (1−β₁)·g               θ ← θ − η·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε)
              v ← β₂·v + (1−β₂)·g²              AMSGrad: the largest v so far in place of v
    Adamax    m as Adam                         θ ← θ − η/(1−β₁ᵗ) · m / (u + ε)
              u ← max(β₂·u, |g|)
    Nadam     m, v as Adam                      θ ← θ − η · m̂ / (√(v/(1−β₂ᵗ)) + ε)
                                                m̂ = u_{t+1}·m/(1 − Πu_{t+1}) + (1−u_t)·g/(1 − Πu_t)
    Adadelta  s ← ρ·s + (1−ρ)·g²                Δ = √(d + ε) / √(s + ε) · g,  θ ← θ − η·Δ
              d ← ρ·d + (1−ρ)·Δ²                after Δ

θ value, g grad, η learning rate, t step (the first is 1). Nadam's momentum schedule is
u_t = β₁·(1 − ½·0.96ᵗ); Πu_t is the product of all up to u_t. What may happen before and after any of them:

    weight decay     θ ← θ − η·λ·θ
    moving average   θ̄ ← β·θ̄ + (1−β)·θ

Sources: Nesterov momentum: Sutskever et al. 2013; Adagrad: Duchi et al. 2011; RMSprop: Tieleman & Hinton
2012, centered: Graves 2013; Adam and Adamax: Kingma & Ba 2015, its note on efficiency at the end of section
2, and section 7.1; AMSGrad: Reddi et al. 2018; Nadam: Dozat 2016; Adadelta: Zeiler 2012; weight decay:
Loshchilov & Hutter 2019; moving average: Polyak & Juditsky 1992. Arithmetic as in Keras 3.
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


def adagrad_update(
    value: Array, grad: Array, accumulator: Array, learning_rate: float, epsilon: float
) -> None:
    """``accumulator`` is the sum of squared gradients, which usually starts above 0."""
    for i in range(value.size):
        g = float(grad.flat[i])
        total = float(accumulator.flat[i]) + g * g
        accumulator.flat[i] = total
        value.flat[i] -= divide(learning_rate * g, sqrt(total + epsilon))


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


def adamax_update(
    value: Array,
    grad: Array,
    m: Array,
    u: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> None:
    """``u`` is the largest gradient there was, fading away."""
    for i in range(value.size):
        g = float(grad.flat[i])
        mean = _move_mean(m, i, g, 1 - beta_1)
        norm = maximum((beta_2 * float(u.flat[i]), abs(g)))
        u.flat[i] = norm
        value.flat[i] -= divide(learning_rate / (1 - beta_1**step) * mean, norm + epsilon)


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


def adadelta_update(
    value: Array,
    grad: Array,
    squared_grads: Array,
    squared_steps: Array,
    learning_rate: float,
    rho: float,
    epsilon: float,
) -> None:
    """``squared_grads`` and ``squared_steps`` are the running means of g² and of Δ²."""
    for i in range(value.size):
        g = float(grad.flat[i])
        grads = rho * float(squared_grads.flat[i]) + (1 - rho) * g * g
        steps = float(squared_steps.flat[i])
        step = divide(sqrt(steps + epsilon) * g, sqrt(grads + epsilon))
        squared_grads.flat[i] = grads
        squared_steps.flat[i] = rho * steps + (1 - rho) * step * step
        value.flat[i] -= learning_rate * step


def decay_weights(value: Array, rate: float) -> None:
    """``rate`` is learning rate times weight decay."""
    for i in range(value.size):
        value.flat[i] -= rate * float(value.flat[i])


def average_weights(average: Array, value: Array, momentum: float) -> None:
    """Only ``average`` changes."""
    for i in range(value.size):
        _move_mean(average, i, float(value.flat[i]), 1 - momentum)


def _move_mean(mean: Array, i: int, towards: float, rate: float) -> float:
    """Move the running mean at index i a step towards what has come, and return it."""
    moved = float(mean.flat[i])
    moved += (towards - moved) * rate
    mean.flat[i] = moved
    return moved


def _moments(g: float, m: Array, v: Array, i: int, beta_1: float, beta_2: float) -> tuple[float, float]:
    """The running means of g and of g², moved."""
    return _move_mean(m, i, g, 1 - beta_1), _move_mean(v, i, g * g, 1 - beta_2)
