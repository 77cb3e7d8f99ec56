"""The gradient checker: it finds every wrong gradient and does not doubt a right one."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv._core.randomness import generator
from fastconv.gradcheck import gradcheck
from fastconv.layers.layer import Layer
from fastconv.models import Sequential

BACKENDS = ["reference", "native"]
X = np.random.default_rng(1).normal(size=(3, 5))


class Curve(Layer):
    """y = tanh(x · w) + b, with a gradient that a test can spoil."""

    def __init__(self, spoil=lambda dx, dw, db: (dx, dw, db), **options):
        super().__init__(**options)
        self.spoil = spoil

    def create_weights(self, input_shape):
        self.w = self.add_weight(input_shape, "ones", name="w")
        self.b = self.add_weight(input_shape, "zeros", name="b")
        self.w.value = np.linspace(0.5, 1.5, self.w.size).reshape(input_shape)

    def call(self, x, training):
        t = np.tanh(x * self.w.value)
        self.remember(x, t)
        return t + self.b.value

    def backward(self, dy, input_gradient=True):
        x, t = self.recall()
        slope = dy * (1 - t * t)
        dx, dw, db = self.spoil(slope * self.w.value, (slope * x).sum(0), dy.sum(0))
        self.w.grad, self.b.grad = dw, db
        return dx


def one_wrong(array, factor):
    array = array.copy()
    array.flat[array.size // 2] *= factor
    return array


WRONG = {
    # the fault: (how it spoils the gradients, where it shows)
    "dx too large by 0.05 %": (lambda dx, dw, db: (dx * 1.0005, dw, db), "x"),
    "dw too small by 0.05 %": (lambda dx, dw, db: (dx, dw * 0.9995, db), "curve/w"),
    "db too large by 0.05 %": (lambda dx, dw, db: (dx, dw, db * 1.0005), "curve/b"),
    "wrong sign": (lambda dx, dw, db: (dx, -dw, db), "curve/w"),
    "one wrong element": (lambda dx, dw, db: (dx, one_wrong(dw, 1.01), db), "curve/w"),
    "one wrong element of x": (lambda dx, dw, db: (one_wrong(dx, 0.98), dw, db), "x"),
    "a constant missing": (lambda dx, dw, db: (dx, dw, db - 0.01), "curve/b"),
    "all zero": (lambda dx, dw, db: (0 * dx, dw, db), "x"),
    "a NaN": (lambda dx, dw, db: (dx, one_wrong(dw, np.nan), db), "curve/w"),
    "an infinity": (lambda dx, dw, db: (dx, dw, one_wrong(db, np.inf)), "curve/b"),
    "elements exchanged": (lambda dx, dw, db: (dx, dw[::-1], db), "curve/w"),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_right_gradient_passes(backend):
    check = gradcheck(Curve(name="curve"), X, backend=backend)
    assert check
    assert check.passed
    assert check.worst.relative_error < (1e-7 if backend == "reference" else 1e-6)
    assert check.checked == 15 + 5 + 5
    assert check.kinks == 0
    assert set(check.worst_of) == {"x", "curve/w", "curve/b"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("spoil", "where"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_gradient_is_caught_and_named(spoil, where, backend):
    check = gradcheck(Curve(spoil, name="curve"), X, backend=backend)
    assert not check
    assert check.worst.array == where
    right = {name for name in check.worst_of if name != where}
    assert all(check.worst_of[name].relative_error <= check.tolerance for name in right)


def test_the_verdict_names_the_worst_element():
    spoil, _ = WRONG["one wrong element"]
    check = gradcheck(Curve(spoil, name="curve"), X)
    assert check.worst.index == (2,)
    assert check.worst.analytic == pytest.approx(check.worst.numeric * 1.01)
    assert check.worst.relative_error == pytest.approx(0.01 / 1.01, rel=1e-4)
    assert "FAILED on reference: 25 derivatives" in repr(check)
    assert "worst curve/w[2]: analytic" in repr(check)
    assert "passed" in repr(gradcheck(Curve(), X))


def test_a_missing_term_is_caught():
    class WithoutActivation(layers.Dense):
        """Forgets φ′."""

        def backward(self, dy, input_gradient=True):
            return self.backward_from_logits(dy, input_gradient)

    assert not gradcheck(WithoutActivation(4, activation="tanh"), X)
    assert gradcheck(WithoutActivation(4, activation="linear"), X)


def test_a_gradient_that_is_never_written_is_caught():
    class Forgetful(Curve):
        def backward(self, dy, input_gradient=True):
            x, t = self.recall()
            self.w.grad = (dy * (1 - t * t) * x).sum(0)
            return dy * (1 - t * t) * self.w.value

    check = gradcheck(Forgetful(name="curve"), X)
    assert not check
    assert check.worst.array == "curve/b"


def test_one_wrong_element_among_ten_thousand_is_caught_without_looking_at_it():
    x = np.random.default_rng(2).normal(size=(1, 10_000))
    assert gradcheck(Curve(), x, samples=3)
    check = gradcheck(Curve(lambda dx, dw, db: (one_wrong(dx, 1.5), dw, db)), x, samples=3)
    assert not check
    assert check.worst.array == "x"
    assert check.worst.index is None
    assert "x in a random direction" in repr(check)
    assert check.checked == 3 * (3 + 1)


def test_every_element_is_checked_on_demand():
    x = np.random.default_rng(3).normal(size=(1, 150))
    assert gradcheck(Curve(), x, samples=None).checked == 450


# ---- kinks


class Bend(Layer):
    """y = max(x, 0): its slope jumps from 0 to 1."""

    slope_at_0 = 0.0

    def call(self, x, training):
        self.remember(x)
        return np.maximum(x, 0)

    def backward(self, dy, input_gradient=True):
        (x,) = self.recall()
        return dy * np.where(x == 0, self.slope_at_0, x > 0)


def test_a_kink_near_x_is_no_false_alarm():
    # The steps are 1e-5 long: these kinks lie within the first of them, but not within the last.
    x = np.array([[1e-6, -1e-6, 3e-6, -8e-6, 1.0, -1.0]])
    check = gradcheck(Bend(), x)
    assert check
    assert check.kinks == 0


def test_at_a_kink_any_slope_between_the_sides_is_right_and_counted():
    x = np.array([[0.0, 1.0, -1.0]])
    for slope, right in [(0.0, True), (1.0, True), (0.3, True), (1.01, False), (-0.01, False)]:
        layer = Bend()
        layer.slope_at_0 = slope
        check = gradcheck(layer, x)
        assert check.passed == right
        assert check.kinks == right
    assert "1 of them at kinks" in repr(gradcheck(Bend(), x))


def test_a_wrong_gradient_beside_a_kink_is_still_caught():
    class WrongBend(Bend):
        def backward(self, dy, input_gradient=True):
            return 1.0005 * super().backward(dy)

    assert not gradcheck(WrongBend(), np.array([[1e-6, -1e-6, 3e-6]]))


# ---- what it must leave alone


def test_nothing_of_the_callers_changes():
    fastconv.set_backend("native")
    model = Sequential([layers.Dense(3, activation="tanh"), layers.Dropout(0.5), layers.Dense(2)])
    model.build((None, 5))
    weights, x = model.get_weights(), X.copy()
    state = generator().bit_generator.state
    for backend in BACKENDS:
        assert gradcheck(model, x, backend=backend, training=True)
    assert generator().bit_generator.state == state
    assert fastconv.get_backend() == "native"
    np.testing.assert_array_equal(x, X)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
        assert after.dtype == np.float32


def test_a_layer_that_is_not_built_stays_so():
    layer = layers.Dense(3)
    assert gradcheck(layer, X)
    assert not layer.built


def test_a_frozen_layer_has_only_its_input_checked():
    check = gradcheck(layers.Dense(3, trainable=False), X)
    assert check
    assert set(check.worst_of) == {"x"}


@pytest.mark.parametrize("seed", [None, 4])
def test_dropout_keeps_its_mask(seed):
    layer = layers.Dropout(0.4, seed=seed)
    for backend in BACKENDS:
        check = gradcheck(layer, X, backend=backend, training=True)
        assert check
        assert check.worst_of["x"].relative_error < 1e-6


# ---- errors


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="unknown backend 'refrence'; did you mean 'reference'"):
        gradcheck(Curve(), X, backend="refrence")
    with pytest.raises(ValueError, match="output has NaN or infinite elements"):
        gradcheck(Curve(), np.full((1, 5), np.nan))
    with pytest.raises(ValueError, match=r"dx of the shape of x, \(3, 5\); it returned shape \(5,\)"):
        gradcheck(Curve(lambda dx, dw, db: (dx[0], dw, db)), X)
    with pytest.raises(ValueError, match=r"\(3, 5\); it returned None"):
        gradcheck(Curve(lambda dx, dw, db: (None, dw, db)), X)
    with pytest.raises(ValueError, match="nothing to check"):
        gradcheck(Bend(), np.empty((0, 5)))


# ---- the layers


IMAGES = np.random.default_rng(5).normal(size=(2, 6, 7, 4))
LAYERS = {
    "conv": layers.Conv2D(3, 3, activation="tanh"),
    "conv same": layers.Conv2D(3, (3, 2), padding="same"),
    "conv strides": layers.Conv2D(3, 3, strides=(2, 3), padding="same", activation="elu"),
    "conv dilation": layers.Conv2D(3, 2, dilation_rate=(3, 2)),
    "conv strides and dilation": layers.Conv2D(2, 2, strides=2, dilation_rate=2, padding=((1, 0), (2, 3))),
    "conv groups": layers.Conv2D(4, 3, groups=2, padding=1, activation="sigmoid"),
    "conv stride larger than the kernel": layers.Conv2D(2, 1, strides=3, use_bias=False),
    "conv relu": layers.Conv2D(5, 3, activation="relu"),
    "max pool": layers.MaxPooling2D(2),
    "max pool overlapping": layers.MaxPooling2D(3, strides=2, padding="same"),
    "average pool": layers.AveragePooling2D(2),
    "average pool overlapping": layers.AveragePooling2D((3, 2), strides=1, padding="same"),
    "global average pool": layers.GlobalAveragePooling2D(),
    "global max pool": layers.GlobalMaxPooling2D(),
    "dense": layers.Dense(3, activation="selu"),
    "softmax": layers.Softmax(),
    "zero padding": layers.ZeroPadding2D(((1, 0), (2, 1))),
    "rescaling": layers.Rescaling(0.5, offset=1.0),
    "flatten": layers.Flatten(),
    "leaky": layers.ReLU(negative_slope=0.1, threshold=0.2),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_the_gradients_of_every_layer(layer, backend):
    check = gradcheck(layer, IMAGES, backend=backend)
    assert check
    assert check.kinks == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name", ["linear", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "softmax"]
)
def test_the_gradients_of_every_activation(name, backend):
    assert gradcheck(layers.Activation(name), X, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradients_of_a_small_network(backend):
    model = Sequential(
        [
            layers.Input((6, 7, 4)),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 2, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(7, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    check = gradcheck(model, IMAGES, backend=backend, training=True, samples=40)
    assert check
    assert len(check.worst_of) == 1 + 8
