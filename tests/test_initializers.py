"""Initial weights: the distributions Keras draws from, and how to name them."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import initializers, layers, utils
from fastconv.initializers import fans

SHAPE = (3, 3, 40, 60)  # a convolution kernel: n_in = 360, n_out = 540; 21,600 numbers
N_IN, N_OUT = 360, 540
VARIANCES = {
    "glorot": 2 / (N_IN + N_OUT),
    "he": 2 / N_IN,
    "lecun": 1 / N_IN,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_uniform_variance_scaling(name):
    weights = initializers.get(f"{name}_uniform")(SHAPE)
    limit = np.sqrt(3 * VARIANCES[name])
    assert weights.dtype == np.float32
    assert np.abs(weights).max() <= limit
    # 21,600 draws: 4 standard errors are 2.4% of the variance, and 4σ/√n of the mean.
    assert weights.var() == pytest.approx(VARIANCES[name], rel=0.025)
    assert abs(weights.mean()) < 4 * np.sqrt(VARIANCES[name] / weights.size)
    # Evenly spread: every tenth of the range holds a tenth of them, ± 4·√(0.1·0.9/n) = 0.8%.
    shares = np.histogram(weights, 10, (-limit, limit))[0] / weights.size
    np.testing.assert_allclose(shares, 0.1, atol=0.0085)


@pytest.mark.parametrize("name", VARIANCES)
def test_normal_variance_scaling_is_truncated_at_two_deviations_and_keeps_its_variance(name):
    weights = initializers.get(f"{name}_normal")(SHAPE)
    stddev = np.sqrt(VARIANCES[name])
    assert weights.var() == pytest.approx(VARIANCES[name], rel=0.03)
    assert np.abs(weights).max() <= 2 * stddev / 0.87962566103423978 * (1 + 1e-6)
    # Of a normal distribution cut at 2, the share within 1 is 0.6827 / 0.9545.
    within = np.mean(np.abs(weights) < stddev / 0.87962566103423978)
    assert within == pytest.approx(0.6827 / 0.9545, abs=0.0125)


def test_truncated_normal_takes_its_stddev_as_given():
    weights = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=0)((20_000,))
    assert weights.min() >= 0.0
    assert weights.max() <= 2.0
    assert weights.std() == pytest.approx(0.5 * 0.8796, rel=0.02)
    assert weights.mean() == pytest.approx(1.0, abs=0.0125)


def test_random_normal_and_uniform_have_keras_defaults():
    normal = initializers.get("random_normal")((20_000,))
    assert normal.std() == pytest.approx(0.05, rel=0.02)
    assert np.abs(normal).max() > 0.1  # not truncated
    uniform = initializers.get("random_uniform")((20_000,))
    assert -0.05 <= uniform.min() < -0.0499
    assert 0.0499 < uniform.max() <= 0.05


@pytest.mark.parametrize(
    ("mode", "n"), [("fan_in", N_IN), ("fan_out", N_OUT), ("fan_avg", (N_IN + N_OUT) / 2)]
)
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform", "normal"])
def test_variance_scaling_in_all_its_modes(mode, n, distribution):
    weights = initializers.VarianceScaling(3.0, mode, distribution, seed=1)(SHAPE)
    assert weights.var() == pytest.approx(3.0 / n, rel=0.04)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((2, 3, 4, 5), (24, 30)), ((5, 4, 6), (20, 30))],
)
def test_fans(shape, expected):
    assert fans(shape) == expected


def test_constants():
    np.testing.assert_array_equal(initializers.get("zeros")((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.get("ones")((2,)), [1, 1])
    np.testing.assert_array_equal(initializers.Constant(0.1)((2,)), np.float32([0.1, 0.1]))
    np.testing.assert_array_equal(initializers.Constant([1, 2])((2, 2)), [[1, 2], [1, 2]])


@pytest.mark.parametrize("shape", [(8, 8), (20, 6), (6, 20), (3, 3, 4, 17), (2, 2, 3, 40), (1, 1), (5, 1)])
def test_orthogonal_weights_have_unit_lengths_and_right_angles(shape):
    weights = initializers.Orthogonal(gain=3.0, seed=2)(shape)
    assert weights.shape == shape
    assert weights.dtype == np.float32
    matrix = weights.reshape(-1, shape[-1]).astype(np.float64) / 3
    products = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    # Rounded to float32 at the end: an inner product of vectors of length 1 is off by a few 6e-8.
    np.testing.assert_allclose(products, np.eye(len(products)), atol=1e-6)


def test_every_orthogonal_matrix_is_as_likely():
    """Haar measure: no column prefers a sign, and every element has variance 1/n."""
    utils.set_random_seed(4)
    matrices = np.array([initializers.get("orthogonal")((5, 5)) for _ in range(2000)])
    assert np.abs(matrices.mean(axis=0)).max() < 4.5 * np.sqrt(1 / 5 / 2000)
    np.testing.assert_allclose(matrices.var(axis=0), 1 / 5, rtol=0.15)
    with pytest.raises(ValueError, match=r"at least two axes; got shape \(3,\)"):
        initializers.Orthogonal()((3,))


def test_identity_is_for_matrices():
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    assert initializers.get("identity")((3, 3)).dtype == np.float32
    with pytest.raises(ValueError, match=r"Identity makes matrices, .* got shape \(1, 1, 2, 2\)"):
        initializers.Identity()((1, 1, 2, 2))


def test_an_array_is_an_initializer():
    start = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(initializers.get(start)((2, 3)), start)
    restored = initializers.deserialize(initializers.serialize(initializers.get(start)))
    np.testing.assert_array_equal(restored((2, 3)), start)
    with pytest.raises(ValueError, match="broadcast"):
        initializers.get(start)((3, 2))


def test_a_seeded_initializer_repeats_itself_and_draws_from_nobody_else():
    utils.set_random_seed(1)
    expected = initializers.get("he_normal")((4,))
    utils.set_random_seed(1)
    seeded = initializers.HeNormal(seed=7)
    first, second = seeded((4,)), seeded((4,))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(initializers.get("he_normal")((4,)), expected)


def test_without_a_seed_every_call_differs_and_the_global_seed_decides():
    glorot = initializers.get("glorot_uniform")
    utils.set_random_seed(3)
    first, second = glorot((5,)), glorot((5,))
    utils.set_random_seed(3)
    assert (first != second).all()
    np.testing.assert_array_equal(glorot((5,)), first)


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.HeNormal(seed=3),
        initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=3),
        initializers.RandomUniform(-1, 2, seed=3),
        initializers.RandomNormal(1.0, 2.0, seed=3),
        initializers.TruncatedNormal(0.5, 0.1, seed=3),
        initializers.LecunUniform(seed=3),
        initializers.Orthogonal(0.5, seed=3),
        initializers.Identity(2.0),
        initializers.Constant(0.3),
        initializers.Zeros(),
    ],
    ids=repr,
)
def test_configuration_round_trip(initializer):
    restored = initializers.get(initializers.serialize(initializer))
    assert type(restored) is type(initializer)
    np.testing.assert_array_equal(restored((3, 4)), initializer((3, 4)))


@pytest.mark.parametrize("name", ["he_normal", "HeNormal", initializers.HeNormal, initializers.he_normal])
def test_the_many_ways_to_name_one(name):
    assert isinstance(initializers.get(name), initializers.HeNormal)


def test_any_function_of_a_shape_will_do():
    assert initializers.get(np.ones)((2,)).tolist() == [1, 1]
    with pytest.raises(ValueError, match="save_weights"):
        initializers.serialize(np.ones)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")
    with pytest.raises(ValueError, match="did you mean 'fan_in'"):
        initializers.VarianceScaling(mode="fan_inn")
    with pytest.raises(ValueError, match="unknown distribution 'cauchy'"):
        initializers.VarianceScaling(distribution="cauchy")
    with pytest.raises(ValueError, match="scale must be positive"):
        initializers.VarianceScaling(scale=0)


def test_none_leaves_it_to_the_weights():
    assert initializers.get(None) is None
    assert initializers.serialize(None) is None
    layer = layers.Dense(200, kernel_initializer=None)
    layer.build((100,))
    assert 0.9 * np.sqrt(6 / 300) < np.abs(layer.kernel.value).max() <= np.sqrt(6 / 300)  # glorot_uniform
    assert layers.deserialize(layers.serialize(layer)).kernel_initializer is None


@pytest.mark.parametrize(
    ("shape", "input_axes", "output_axes", "expected"),
    [  # as Keras 3.15
        ((2, 3, 4, 5), None, None, (24, 30)),
        ((2, 3, 4, 5), [1], [2, 3], (3, 20)),
        ((2, 3, 4, 5), 0, -1, (2, 5)),
        ((2, 3, 4, 5), np.array([0, 1]), (-1,), (6, 5)),
    ],
)
def test_axes_of_inputs_and_outputs(shape, input_axes, output_axes, expected):
    assert initializers.fans(shape, input_axes, output_axes) == expected
    for mode, n in (("fan_in", expected[0]), ("fan_out", expected[1])):
        given = initializers.VarianceScaling(
            2.0, mode, "uniform", seed=1, input_axes=input_axes, output_axes=output_axes
        )
        limit = np.sqrt(3 * 2.0 / n)
        assert 0.9 * limit < np.abs(given(shape)).max() <= limit
        again = initializers.deserialize(initializers.serialize(given))
        np.testing.assert_array_equal(again(shape), given(shape))


def test_axes_that_cannot_be():
    for axes in ({"input_axes": [0]}, {"output_axes": [0]}):
        with pytest.raises(ValueError, match="input_axes and output_axes go together"):
            initializers.HeNormal(**axes)((2, 3))
    with pytest.raises(ValueError, match=r"weights of shape \(2, 3\) do not have the axes \[2\]"):
        initializers.HeNormal(input_axes=[2], output_axes=[0])((2, 3))
    with pytest.raises(ValueError, match="must be whole numbers, or lists of them; got 'a'"):
        initializers.HeNormal(input_axes="a", output_axes=[0])
