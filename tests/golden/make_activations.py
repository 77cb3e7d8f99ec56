"""What Keras' activations return, and their derivatives: writes activations.npz beside this file.

    KERAS_BACKEND=jax python tests/golden/make_activations.py        (keras 3.15.1, jax)

"x" holds float32 numbers of all sizes. "<name>/y" and "<name>/slope" are computed from them in float64 (the
derivative by JAX); "<name>/float32" is what Keras returns in float32 for "special": infinities, NaN, the ends
of the range.
"""

from __future__ import annotations

from pathlib import Path

import jax
import keras
import numpy as np

jax.config.update("jax_enable_x64", True)

# name here: (name in Keras, its arguments)
FUNCTIONS = {
    **{
        name: (name, {})
        for name in (
            "linear", "relu", "relu6", "leaky_relu", "sigmoid", "hard_sigmoid", "log_sigmoid", "tanh",
            "hard_tanh", "elu", "celu", "selu", "softplus", "softsign", "exponential", "silu", "hard_silu",
            "gelu", "mish", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus",
            "tanh_shrink",
        )
    },
    "gelu_tanh": ("gelu", {"approximate": True}),
}  # fmt: skip
OF_ROWS = ("softmax", "log_softmax")

magnitudes = np.outer(np.ldexp(1.0, np.arange(-100, 101, 8)), [1, 1.37, 1.81]).ravel()
x = np.concatenate([magnitudes, -magnitudes, np.linspace(-20, 20, 401), np.linspace(-110, 88, 100), [0.0]])
x = np.float32(x)
x = x[~np.isin(x, [-3, -1, -0.5, 0, 0.5, 1, 3, 6])]  # where a slope jumps, none is the right one
special = np.float32(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 88, -88, 89, -89, 1e-30, -1e-30, 1e30, -1e30, 3.4e38, -3.4e38]
)


def function(name: str):
    keras_name, arguments = FUNCTIONS.get(name, (name, {}))
    if keras_name == "tanh":  # keras.activations.tanh answers in float32 whatever it is asked in
        return jax.numpy.tanh
    return lambda z: getattr(keras.activations, keras_name)(z, **arguments)


golden: dict[str, np.ndarray] = {"x": x, "special": special}
for name in FUNCTIONS:
    keras.config.set_floatx("float64")
    wide = jax.numpy.asarray(x, "float64")
    y = function(name)(wide)
    assert y.dtype == "float64", name
    golden[f"{name}/y"] = np.asarray(y)
    golden[f"{name}/slope"] = np.asarray(jax.vmap(jax.grad(function(name)))(wide))
    keras.config.set_floatx("float32")
    golden[f"{name}/float32"] = np.asarray(function(name)(jax.numpy.asarray(special)))

keras.config.set_floatx("float64")
random = np.random.default_rng(11)
rows, gradient = random.normal(0, 3, (6, 11)), random.normal(size=(6, 11))
rows, gradient = np.float32(rows), np.float32(gradient)
golden |= {"rows": rows, "gradient": gradient}
for name in OF_ROWS:
    wide = jax.numpy.asarray(rows, "float64")
    golden[f"{name}/y"] = np.asarray(function(name)(wide))
    total = jax.grad(lambda z, name=name: (function(name)(z) * gradient).sum())
    golden[f"{name}/dx"] = np.asarray(total(wide))

np.savez_compressed(Path(__file__).with_name("activations.npz"), **golden)
