"""Transfer learning: layers reused, frozen, given a new head, trained, and let go again."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import fastconv
from fastconv import layers, ops
from fastconv.models import Sequential, clone_model, load_model
from fastconv.optimizers import SGD, Adam

RNG = np.random.default_rng(0)
X = RNG.random((24, 8, 8, 1), np.float32)
Y = RNG.integers(0, 3, 24)


def network(classes=3, dropout=0.0, **options):
    return Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="c1"),
            layers.Conv2D(5, 3, activation="relu", name="c2"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(6, activation="relu", name="d1"),
            *([layers.Dropout(dropout, name="drop")] if dropout else []),
            layers.Dense(classes, activation="softmax", name=f"d{classes}"),
        ],
        **options,
    )


def compiled(model, optimizer=None):
    model.compile(optimizer or Adam(0.05), "sparse_categorical_crossentropy")
    return model


def fit(model, **options):
    return model.fit(X, Y, batch_size=8, verbose=0, **options)


def bits(weights):
    return [np.asarray(weight).tobytes() for weight in weights]


def changed(model, before):
    """The names of the layers whose weights are not, to the bit, what they were."""
    after = bits(model.weights)
    return {
        weight.path.split("/")[0]
        for weight, old, new in zip(model.weights, before, after, strict=True)
        if old != new
    }


# ---- freezing


@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "rmsprop", SGD(0.1, 0.9, nesterov=True)])
@pytest.mark.parametrize("frozen", [{"c1"}, {"c1", "c2"}, {"c2", "d1"}, {"d3"}])
def test_frozen_weights_stay_to_the_bit(frozen, optimizer, dropout):
    fastconv.utils.set_random_seed(1)
    model = network(dropout=dropout)
    for name in frozen:
        model.get_layer(name).trainable = False
    before = bits(model.weights)
    fit(compiled(model, copy.deepcopy(optimizer)), epochs=2)
    assert changed(model, before) == {"c1", "c2", "d1", "d3"} - frozen


def test_a_frozen_layer_lists_no_trainable_weights():
    model = network()
    model.layers[0].trainable = False
    assert [w.path for w in model.trainable_weights] == [
        "c2/kernel", "c2/bias", "d1/kernel", "d1/bias", "d3/kernel", "d3/bias"
    ]  # fmt: skip
    assert model.trainable_variables == model.trainable_weights == model.parameters
    assert [w.path for w in model.non_trainable_weights] == ["c1/kernel", "c1/bias"]
    assert model.non_trainable_variables == model.non_trainable_weights
    assert not model.layers[0].kernel.trainable
    model.layers[0].trainable = True
    assert model.layers[0].kernel.trainable
    assert model.non_trainable_weights == []


def test_freezing_and_thawing_leaves_weights_alone_that_never_learn():
    class Counting(layers.Layer):
        def create_weights(self, input_shape):
            self.scale = self.add_weight((), "ones", name="scale")
            self.count = self.add_weight((), "zeros", name="count", trainable=False)

    layer = Counting()
    layer.build((3,))
    for value in (False, True):
        layer.trainable = value
        assert (layer.scale.trainable, layer.count.trainable) == (value, False)
    assert layer.parameters == [layer.scale]


def test_a_whole_model_is_frozen_with_all_that_is_in_it():
    inner = Sequential([layers.Conv2D(2, 3, name="in1"), Sequential([layers.Conv2D(2, 3, name="in2")])])
    model = Sequential(
        [layers.Input((8, 8, 1)), inner, layers.Flatten(), layers.Dense(3, "softmax", name="d")]
    )
    inner.trainable = False
    assert not inner.layers[0].trainable
    assert not inner.layers[1].layers[0].trainable
    before = bits(model.weights)
    fit(compiled(model))
    assert changed(model, before) == {"d"}
    inner.trainable = True
    assert len(model.trainable_weights) == 6


def test_a_model_made_frozen_freezes_what_it_is_made_of():
    base = network()
    frozen = Sequential(base.layers[:-1], trainable=False, name="features")
    assert frozen.trainable_weights == []
    assert not base.layers[0].trainable
    model = Sequential([frozen, layers.Dense(3, "softmax", name="head")])
    before = bits(model.weights)
    fit(compiled(model))
    assert changed(model, before) == {"head"}


def test_a_single_parameter_can_be_frozen():
    model = network()
    model.get_layer("c2").bias.trainable = False
    before = model.get_layer("c2").bias.numpy()
    fit(compiled(model))
    np.testing.assert_array_equal(model.get_layer("c2").bias.value, before)
    assert [w.path for w in model.non_trainable_weights] == ["c2/bias"]


def test_a_model_with_nothing_to_learn_is_pointed_out():
    model = compiled(network())
    model.trainable = False
    before = bits(model.weights)
    with pytest.warns(UserWarning, match="has nothing to learn: all of its layers with weights are frozen"):
        fit(model)
    assert changed(model, before) == set()


@pytest.fixture
def count_gradients(monkeypatch):
    """Which gradients were computed: ("conv2d_backward_kernel", C_out), ..., in order."""
    calls = []

    def counting(name):
        function = getattr(ops, name)

        def counted(x, y, *arguments, **options):
            result = function(x, y, *arguments, **options)
            width = result.shape[-1] if name.endswith("data") else y.shape[-1]
            calls.append((name.replace("_backward", ""), width))
            return result

        monkeypatch.setattr(ops, name, counted)

    for name in ("conv2d", "dense"):
        counting(f"{name}_backward_kernel")
        counting(f"{name}_backward_data")
    return calls


def backward_once(model):
    y = model.forward(X, training=True)
    model.backward(np.ones_like(y))


def test_nothing_is_computed_below_the_lowest_layer_that_learns(count_gradients):
    model = network()
    model.get_layer("c1").trainable = model.get_layer("c2").trainable = False
    backward_once(model)
    assert count_gradients == [("dense_kernel", 3), ("dense_data", 6), ("dense_kernel", 6)]
    assert not model.get_layer("c2").kernel.grad.any()


def test_frozen_layers_above_pass_the_gradient_on_and_compute_none_of_their_own(count_gradients):
    model = network()
    model.get_layer("c1").trainable = model.get_layer("d1").trainable = model.get_layer("d3").trainable = (
        False
    )
    backward_once(model)
    assert count_gradients == [("dense_data", 6), ("dense_data", 20), ("conv2d_kernel", 5)]


def test_models_inside_models_are_gone_through_no_deeper_than_needed(count_gradients):
    inner = Sequential(network().layers[:-1])
    inner.get_layer("c1").trainable = False
    model = Sequential([inner, layers.Dense(3)])
    backward_once(model)
    assert count_gradients == [
        ("dense_kernel", 3), ("dense_data", 6), ("dense_kernel", 6), ("dense_data", 20), ("conv2d_kernel", 5)
    ]  # fmt: skip
    count_gradients.clear()
    inner.trainable = False
    backward_once(model)
    assert count_gradients == [("dense_kernel", 3)]


def test_fit_computes_no_gradient_of_frozen_layers(count_gradients):
    """Layer by layer, where the operations can be counted."""
    model = compiled(network(dropout=0.2))
    model.jit_compile = False
    model.trainable = False
    model.layers[-1].trainable = True  # but the model is not
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(model)
    assert count_gradients == []
    model = compiled(network(dropout=0.2))
    model.jit_compile = False
    for layer in model.layers[:-1]:
        layer.trainable = False
    fit(model)
    assert count_gradients == [("dense_kernel", 3)] * 3


# ---- optimizers, and compile


def momentum_of(model):
    return {name: array for name, array in model.optimizer.state_dict().items() if "." in name}


def test_layers_frozen_after_some_steps_stop_at_once_and_their_momentum_rests():
    model = compiled(network(), SGD(0.1, momentum=0.9))
    fit(model)
    before, momentum = bits(model.weights), momentum_of(model)
    model.get_layer("c1").trainable = False
    fit(model)
    assert changed(model, before) == {"c2", "d1", "d3"}
    after = momentum_of(model)
    moved = {name for name in momentum if (momentum[name] != after[name]).any()}
    assert moved == {f"momentum.{i}" for i in range(2, 8)}
    assert model.optimizer.iterations == 6
    model.get_layer("c1").trainable = True  # known to the optimizer, so on it goes
    before = bits(model.weights)
    fit(model)
    assert changed(model, before) == {"c1", "c2", "d1", "d3"}


def test_layers_frozen_between_compile_and_fit_are_frozen():
    model = compiled(network())
    model.get_layer("d1").trainable = False
    before = bits(model.weights)
    fit(model)
    assert changed(model, before) == {"c1", "c2", "d3"}


def test_unfreezing_what_the_optimizer_does_not_know_needs_a_new_compile():
    model = network()
    model.get_layer("c1").trainable = False
    fit(compiled(model, SGD(0.1, momentum=0.9)))
    model.get_layer("c1").trainable = True
    before = bits(model.weights)
    with pytest.raises(ValueError, match=r"'c1/bias' is new.*compile the model again"):
        fit(model)
    assert changed(model, before) == set()
    compiled(model, SGD(1e-3, momentum=0.9))
    assert model.optimizer.iterations == 0
    fit(model)
    assert changed(model, before) == {"c1", "c2", "d1", "d3"}
    assert {array.shape for array in momentum_of(model).values()} == {w.shape for w in model.weights}


def test_fine_tuning_takes_steps_of_the_lower_rate():
    model = network(dropout=0.2)
    model.get_layer("c1").trainable = False
    fit(compiled(model, SGD(0.1)))
    model.trainable = True
    compiled(model, SGD(1e-3))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    for parameter, old in zip(model.parameters, before, strict=True):
        # one rounding of the step, one of the sum
        np.testing.assert_allclose(parameter.value, old - 1e-3 * parameter.grad, rtol=2e-7, atol=1e-9)
        assert parameter.grad.any()


def test_what_is_frozen_is_kept_in_files(tmp_path):
    model = compiled(network())
    model.layers[0].trainable = False
    fit(model)
    model.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert [layer.trainable for layer in loaded.layers] == [False, *[True] * 5]
    before = bits(loaded.weights)
    fit(loaded)
    assert changed(loaded, before) == {"c2", "d1", "d3"}


def test_a_copy_is_frozen_by_itself():
    model = network()
    copied = copy.deepcopy(model)
    model.layers[0].trainable = False
    assert len(copied.parameters) == 8
    copied.layers[1].trainable = False
    assert not copied.layers[1].kernel.trainable
    assert model.layers[1].kernel.trainable


def test_the_summary_counts_what_learns(capsys):
    model = network()
    model.layers[0].trainable = False
    model.summary(show_trainable=True)
    table = capsys.readouterr().out
    assert "Trainable params: 332 (1.30 KB)" in table  # c2 4·9·5 + 5, d1 20·6 + 6, d3 6·3 + 3
    assert "Non-trainable params: 40 (160.00 B)" in table
    assert "Total params: 372" in table
    assert [line.split()[-1] for line in table.splitlines() if " (Conv2D)" in line] == ["N", "Y"]


# ---- sharing layers


def test_a_new_head_on_old_layers():
    old = compiled(network())
    fit(old)
    new = Sequential(old.layers[:-1])
    new.add(layers.Dense(2, activation="softmax", name="head"))
    assert new.input_shape == (None, 8, 8, 1)
    assert new.output_shape == (None, 2)
    assert new.layers[0] is old.layers[0]
    for layer in new.layers[:-1]:
        layer.trainable = False
    predicted, before = old.predict(X, verbose=0), bits(new.weights)
    compiled(new).fit(X, Y % 2, verbose=0)
    assert changed(new, before) == {"head"}
    np.testing.assert_array_equal(old.predict(X, verbose=0), predicted)
    new.trainable = True
    compiled(new, Adam(1e-4)).fit(X, Y % 2, verbose=0)
    assert (old.predict(X, verbose=0) != predicted).any()  # the layers are the same
    assert old.layers[0].trainable


def test_both_models_of_shared_layers_can_be_trained_in_turn():
    first = compiled(network(), SGD(0.01))
    second = compiled(Sequential([*first.layers[:-1], layers.Dense(3, "softmax", name="head")]), SGD(0.01))
    for _ in range(2):
        for model in (first, second):
            before = bits(model.weights)
            fit(model)
            assert changed(model, before) == {weight.path.split("/")[0] for weight in model.weights}
    assert second.weights[0] is first.weights[0]


@pytest.mark.parametrize("size", [6, 40])
def test_shared_layers_may_see_images_of_different_sizes(size):
    """A program made for one size must not run images of the other."""
    shared = [layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(2)]
    top = [layers.Flatten(), layers.Dense(3, "softmax")]
    first = Sequential([layers.Input((12, 12, 1)), *shared, *top])
    x, other = RNG.random((20, 12, 12, 1), np.float32), RNG.random((20, size, size, 1), np.float32)
    expected = first.predict(x, verbose=0)
    second = Sequential(
        [layers.Input((size, size, 1)), *shared, layers.Flatten(), layers.Dense(3, "softmax")]
    )
    by_hand = second.forward(other)
    np.testing.assert_allclose(second.predict(other, verbose=0), by_hand, atol=1e-6)
    np.testing.assert_array_equal(first.predict(x, verbose=0), expected)


def test_names_must_differ_in_one_model_only():
    first, second = network(), network()
    with pytest.raises(ValueError, match="has a layer named 'c1' already; names must differ"):
        Sequential([first.layers[0], second.layers[0]])
    assert Sequential([first.layers[0]]).layers[0].name == Sequential([second.layers[0]]).layers[0].name


def test_popping_a_head_and_adding_another():
    model = compiled(network())
    fit(model)
    assert model.pop().name == "d3"
    model.add(layers.Dense(5, activation="softmax", name="d5"))
    assert model.output_shape == (None, 5)
    with pytest.raises(ValueError, match=r"'d3/\w+' is missing|'d5/\w+' is new"):
        fit(model)
    fit(compiled(model))
    assert model.predict(X, verbose=0).shape == (24, 5)


# ---- clones


def test_a_clone_has_weights_of_its_own():
    model = compiled(network(dropout=0.25, name="original"))
    model.get_layer("c2").trainable = False
    clone = clone_model(model)
    assert fastconv.models.clone_model is clone_model
    assert clone.get_config() == model.get_config()
    assert clone.get_compile_config() == model.get_compile_config()
    assert clone.optimizer is not model.optimizer
    assert not any(a is b for a, b in zip(clone.layers, model.layers, strict=True))
    kernels = [w for w in clone.weights if w.name == "kernel"]
    originals = [w for w in model.weights if w.name == "kernel"]
    assert all((a.value != b.value).any() for a, b in zip(kernels, originals, strict=True))
    before = bits(model.weights)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    fit(clone)
    assert changed(model, before) == set()
    assert changed(clone, before) == {"c1", "d1", "d3"}


def test_clones_of_models_not_yet_built():
    assert clone_model(Sequential()).layers == []
    clone = clone_model(Sequential([layers.Dense(3), layers.Dense(2)]))
    assert not clone.built
    assert clone(np.ones((1, 4))).shape == (1, 2)
    built = Sequential([layers.Dense(3), layers.Dense(2)])
    built.build((None, 4))
    assert clone_model(built).input_shape == (None, 4)
    assert not clone_model(built).compiled


class Twice(layers.Dense):
    """A layer of one's own, unknown to fastconv."""


def test_clones_of_models_inside_models():
    inner = Sequential([Twice(4, name="own")], name="inner")
    model = Sequential([layers.Input((3,)), inner, layers.Dense(2, name="top")])
    inner.layers[0].trainable = False
    clone = clone_model(model)
    assert isinstance(clone.layers[0].layers[0], Twice)
    assert not clone.layers[0].layers[0].trainable
    asked = []

    def note(layer):
        asked.append(layer.name)
        return layer

    assert clone_model(model, clone_function=note).layers[0] is inner
    assert asked == ["inner", "top"]
    asked.clear()
    assert clone_model(model, clone_function=note, recursive=True).layers[0] is not inner
    assert asked == ["own", "top"]


def test_a_clone_function_may_replace_layers():
    def wider(layer):
        config = layer.get_config()
        if isinstance(layer, layers.Dense) and layer.name == "d1":
            config["units"] = 9
        return type(layer).from_config(config)

    assert clone_model(network(), clone_function=wider).get_layer("d1").kernel.shape == (20, 9)
    with pytest.raises(
        TypeError, match="clone_function must return a layer; for Conv2D 'c1' it returned None"
    ):
        clone_model(network(), clone_function=lambda layer: None)
    with pytest.raises(TypeError, match=r"clones Sequential models and Model\(inputs, outputs\), got 3"):
        clone_model(3)
    with pytest.raises(ValueError, match="'call_function' is not supported"):
        clone_model(network(), call_function=print)
    with pytest.raises(ValueError, match="'input_tensors' is not supported"):
        clone_model(network(), input_tensors=X)


# ---- weights of a model that is not quite the same


@pytest.fixture
def saved(tmp_path):
    model = network()
    path = tmp_path / "weights.safetensors"
    model.save_weights(path)
    return model, path


def loaded_layers(model, source):
    """The names of the layers that have the weights of the source now."""
    theirs = {weight.path: weight.value.tobytes() for weight in source.weights}
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    return {w.path.split("/")[0] for w in kernels if w.value.tobytes() == theirs.get(w.path)}


def test_by_name_loads_the_layers_that_both_have(saved):
    source, path = saved
    model = network(classes=7)
    before = model.get_layer("d7").kernel.numpy()
    with pytest.raises(ValueError, match=r"weight array 6 is d3/kernel \(6, 3\) in the file and d7/kernel"):
        model.load_weights(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_weights(path, by_name=True)
    assert loaded_layers(model, source) == {"c1", "c2", "d1"}
    np.testing.assert_array_equal(model.get_layer("d7").kernel.value, before)


def test_by_name_the_order_does_not_matter(saved):
    source, path = saved
    model = Sequential([layers.Input((6,)), layers.Dense(3, name="d3"), layers.Dense(6, name="other")])
    model.load_weights(path, by_name=True)
    assert loaded_layers(model, source) == {"d3"}


def test_by_name_layers_of_one_name_have_to_fit(saved):
    _, path = saved
    model = Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(4, 3, name="c1"), layers.Conv2D(7, 3, name="c2")]
    )
    before = bits(model.weights)
    wrong = (
        r"c2 \(kernel \(3, 3, 4, 5\), bias \(5,\)\) in the file, c2 \(kernel \(3, 3, 4, 7\), bias \(7,\)\)"
    )
    with pytest.raises(ValueError, match=rf"does not fit.*{wrong} in the model; skip_mismatch=True loads"):
        model.load_weights(path, by_name=True)
    assert changed(model, before) == set()
    with pytest.warns(UserWarning, match=rf"1 of 2 layers skipped: {wrong} in the model"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    assert changed(model, before) == {"c1"}


def test_by_name_without_a_name_in_common(saved):
    _, path = saved
    model = Sequential([layers.Input((4,)), layers.Dense(2, name="mine")])
    with pytest.raises(
        ValueError, match=r"no layer of the same name. .* in the file: c1, c2, d1, d3; in the model: mine"
    ):
        model.load_weights(path, by_name=True)


def test_by_name_in_models_inside_models(tmp_path):
    """The names of an inner model's layers may be used once more outside."""

    def nested():
        inner = Sequential([layers.Dense(3, name="a"), layers.Dense(3, name="b")], name="inner")
        return Sequential([layers.Input((3,)), inner, layers.Dense(3, name="b"), layers.Dense(3, name="c")])

    source, model, path = nested(), nested(), tmp_path / "w.safetensors"
    source.save_weights(path)
    model.load_weights(path, by_name=True)
    assert bits(model.weights) == bits(source.weights)
    other = Sequential([layers.Input((3,)), layers.Dense(3, name="c"), layers.Dense(3, name="b")])
    other.load_weights(path, by_name=True)
    assert bits(other.weights) == bits([*source.weights[6:], *source.weights[2:4]])


def test_skip_mismatch_matches_by_order_and_names_what_it_skips(saved):
    source, path = saved
    model = network(classes=7)
    for layer, name in zip(model.layers, "abcdef", strict=True):
        layer.name = name
    with pytest.warns(
        UserWarning, match=r"1 of 4 layers skipped: d3 \(kernel \(6, 3\), bias \(3,\)\) in the file, d7 \("
    ):
        model.load_weights(path, skip_mismatch=True)
    assert loaded_layers(model, source) == {"c1", "c2", "d1"}


def test_skip_mismatch_with_layers_that_one_side_lacks(saved):
    source, path = saved
    longer, shorter = network(), network()
    longer.add(layers.Dense(4, name="more"))
    shorter.pop()
    with pytest.warns(UserWarning, match=r"1 of 5 layers skipped: only the model has more \(kernel \(3, 4\)"):
        longer.load_weights(path, skip_mismatch=True)
    with pytest.warns(UserWarning, match=r"1 of 4 layers skipped: only the file has d3 \(kernel"):
        shorter.load_weights(path, skip_mismatch=True)
    assert loaded_layers(longer, source) == {"c1", "c2", "d1", "d3"}
    assert loaded_layers(shorter, source) == {"c1", "c2", "d1"}


def test_nan_is_refused_however_weights_are_matched(tmp_path):
    source, path = network(), tmp_path / "w.safetensors"
    source.weights[0].value[...] = np.nan
    with pytest.warns(UserWarning, match="holds NaN"):
        source.save_weights(path)
    model = network(classes=7)
    for options in ({"by_name": True}, {"skip_mismatch": True}):
        with pytest.raises(ValueError, match="c1/kernel holds NaN or infinity"):
            model.load_weights(path, **options)
    model.load_weights(path, by_name=True, allow_nan=True)
    assert np.isnan(model.weights[0].value).all()
