"""One step of gradient descent, in place.

Unlike the other operations these change their arguments. So arrays are not converted: ``value``, ``grad``
and the optimizer's state must be C-contiguous arrays of the same shape, float32 (on the reference backend,
float32 or float64), and those that change must be writeable. Equations and sources are in
``fastconv/reference/optimizers.py``. One thing differs there: the compiled kernels keep β and its powers as
float32, as Keras does; with β₂ = 0.999 that makes 1 − β₂ᵗ smaller by a part in 77,000.

Each rule comes as ``..._update`` for the arrays of one parameter, and as ``..._step`` for those of many,
which an optimizer checks once (``UpdateArrays``) and then steps in one call, with clipping, weight decay and
averaging where ``UpdateArrays.options`` ask for them.
"""

from __future__ import annotations

from functools import partial

from fastconv import _kernels, reference
from fastconv.ops._door import Array
from fastconv.ops.update_arrays import UpdateArrays


def sgd_update(
    value: Array,
    grad: Array,
    velocity: Array | None,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None:
    """v ← μ·v − η·g, value ← value + v; Nesterov: value ← value + μ·v − η·g

    ``velocity`` may be None where ``momentum`` is 0.
    """
    if not momentum:
        velocity = None
    elif velocity is None:
        raise ValueError(f"momentum={momentum} needs a velocity; got None")
    arrays = UpdateArrays([(value, grad, velocity)], ("velocity",))
    sgd_step(arrays, learning_rate, momentum, nesterov)


def sgd_step(arrays: UpdateArrays, learning_rate: float, momentum: float, nesterov: bool) -> None:
    """``sgd_update`` of many parameters."""
    needed = (bool(momentum),)
    _checked(arrays).step(_kernels.sgd_step, reference.sgd_update, needed, learning_rate, momentum, nesterov)


def adagrad_update(
    value: Array, grad: Array, accumulator: Array, learning_rate: float, epsilon: float
) -> None:
    """s ← s + g², value ← value − η·g/√(s + ε)"""
    arrays = UpdateArrays([(value, grad, accumulator)], ("accumulator",))
    adagrad_step(arrays, learning_rate, epsilon)


def adagrad_step(arrays: UpdateArrays, learning_rate: float, epsilon: float) -> None:
    """``adagrad_update`` of many parameters."""
    _checked(arrays).step(_kernels.adagrad_step, reference.adagrad_update, (True,), learning_rate, epsilon)


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
    """m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v),
    value ← value − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε); AMSGrad: v̂ ← max(v̂, v) in place of v

    ``step`` is t, 1 in the first step. ``v_hat`` may be None without ``amsgrad``.
    """
    if not amsgrad:
        v_hat = None
    elif v_hat is None:
        raise ValueError("amsgrad=True needs v_hat, the largest v so far; got None")
    arrays = UpdateArrays([(value, grad, m, v, v_hat)], ("m", "v", "v_hat"))
    adam_step(arrays, learning_rate, beta_1, beta_2, epsilon, step, amsgrad)


def adam_step(
    arrays: UpdateArrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    amsgrad: bool,
) -> None:
    """``adam_update`` of many parameters."""
    _check_step(step)
    scalars = (learning_rate, beta_1, beta_2, epsilon, step)
    needed = (True, True, bool(amsgrad))
    _checked(arrays).step(
        _kernels.adam_step, partial(reference.adam_update, amsgrad=amsgrad), needed, *scalars
    )


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
    """m as in Adam, u ← max(β₂·u, |g|), value ← value − η/(1 − β₁ᵗ) · m/(u + ε)

    ``step`` is t, 1 in the first step.
    """
    scalars = (learning_rate, beta_1, beta_2, epsilon, step)
    adamax_step(UpdateArrays([(value, grad, m, u)], ("m", "u")), *scalars)


def adamax_step(
    arrays: UpdateArrays, learning_rate: float, beta_1: float, beta_2: float, epsilon: float, step: int
) -> None:
    """``adamax_update`` of many parameters."""
    _check_step(step)
    scalars = (learning_rate, beta_1, beta_2, epsilon, step)
    _checked(arrays).step(_kernels.adamax_step, reference.adamax_update, (True, True), *scalars)


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
    """m and v as in Adam, value ← value − η·m̂/(√(v/(1 − β₂ᵗ)) + ε),
    m̂ = u_{t+1}·m/(1 − Πu_{t+1}) + (1 − u_t)·g/(1 − Πu_t)

    ``u_t`` and ``u_t1`` are the momentum of this step and the next, ``u_product`` and ``u_product_1`` the
    products of all of them up to there. ``step`` is t, 1 in the first step.
    """
    scalars = (learning_rate, beta_1, beta_2, epsilon, u_t, u_t1, u_product, u_product_1, step)
    nadam_step(UpdateArrays([(value, grad, m, v)], ("m", "v")), *scalars)


def nadam_step(
    arrays: UpdateArrays,
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
    """``nadam_update`` of many parameters."""
    _check_step(step)
    scalars = (learning_rate, beta_1, beta_2, epsilon, u_t, u_t1, u_product, u_product_1, step)
    _checked(arrays).step(_kernels.nadam_step, reference.nadam_update, (True, True), *scalars)


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
    """v ← ρ·v + (1 − ρ)·g², value ← value − η·g/√(v + ε)

    With ``average_grad`` (centered) a ← ρ·a + (1 − ρ)·g, and v − a² stands in place of v under the root. With
    ``momentum_buffer`` b ← μ·b + η·g/√(v + ε), value ← value − b; it may be None where ``momentum`` is 0.
    """
    if momentum and momentum_buffer is None:
        raise ValueError(f"momentum={momentum} needs a momentum_buffer; got None")
    row = (value, grad, velocity, average_grad, momentum_buffer)
    arrays = UpdateArrays([row], ("velocity", "average_grad", "momentum_buffer"))
    rmsprop_step(arrays, learning_rate, rho, momentum, epsilon)


def rmsprop_step(
    arrays: UpdateArrays, learning_rate: float, rho: float, momentum: float, epsilon: float
) -> None:
    """``rmsprop_update`` of many parameters."""
    needed = (True, False, bool(momentum))
    _checked(arrays).step(
        _kernels.rmsprop_step, reference.rmsprop_update, needed, learning_rate, rho, momentum, epsilon
    )


def adadelta_update(
    value: Array,
    grad: Array,
    squared_grads: Array,
    squared_steps: Array,
    learning_rate: float,
    rho: float,
    epsilon: float,
) -> None:
    """s ← ρ·s + (1 − ρ)·g², Δ = √(d + ε)/√(s + ε)·g, d ← ρ·d + (1 − ρ)·Δ², value ← value − η·Δ

    ``squared_grads`` is s, ``squared_steps`` d.
    """
    row = (value, grad, squared_grads, squared_steps)
    arrays = UpdateArrays([row], ("squared_grads", "squared_steps"))
    adadelta_step(arrays, learning_rate, rho, epsilon)


def adadelta_step(arrays: UpdateArrays, learning_rate: float, rho: float, epsilon: float) -> None:
    """``adadelta_update`` of many parameters."""
    _checked(arrays).step(
        _kernels.adadelta_step, reference.adadelta_update, (True, True), learning_rate, rho, epsilon
    )


def _checked(arrays: UpdateArrays) -> UpdateArrays:
    if not isinstance(arrays, UpdateArrays):
        raise TypeError(f"a step works on ops.UpdateArrays; got {type(arrays).__name__}")
    return arrays


def _check_step(step: int) -> None:
    if not 1 <= step < 2**63:
        raise ValueError(f"step counts from 1, in 64 bits; got {step}")
