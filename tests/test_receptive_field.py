"""What a unit sees: the two equations against the pixels that a gradient reaches."""

from __future__ import annotations

import copy

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from fastconv import layers
from fastconv.models import ReceptiveField, Sequential, receptive_field


def support(model, layer, i=0, j=0):
    """The box of the pixels that the gradient of unit (i, j) reaches, all weights positive.

    The whole of the model up to ``layer`` runs forward and backward; nothing here knows of windows.
    """
    for weight in model.weights:
        weight.value = np.full(weight.shape, 0.5)
    x = np.random.default_rng(0).uniform(0.5, 1, (1, *model.input_shape[1:]))
    stack = Sequential(model.layers[: model.layers.index(layer) + 1])
    y = stack.forward(x.astype(np.float32))
    dy = np.zeros_like(y)
    dy[(0, i, j) if y.ndim == 4 else 0] = 1
    dx = stack.backward(dy, input_gradient=True)
    pixels = dx[0] if dx.ndim == 3 else dx[0].any(-1)
    rows, columns = np.nonzero(pixels)
    if not len(rows):
        return 0, 0, 0, 0
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDINGS = st.one_of(
    st.sampled_from(["same", "valid"]),
    st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
)
LAYERS = st.one_of(
    st.builds(layers.Conv2D, st.just(2), PAIRS, PAIRS, PADDINGS),
    st.builds(lambda size, rate: layers.Conv2D(2, size, dilation_rate=rate), PAIRS, PAIRS),
    st.builds(layers.AveragePooling2D, PAIRS, PAIRS, st.sampled_from(["same", "valid"])),
    st.builds(layers.ZeroPadding2D, st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)),
    st.builds(lambda name: layers.Activation(name), st.sampled_from(["relu", "softplus"])),
    st.builds(layers.CenterCrop, st.integers(3, 5), st.integers(3, 5)),
    st.builds(layers.Dropout, st.just(0.5)),
)


def stack_of(drawn, image):
    """The layers that fit on top of each other; those that do not are left out."""
    model = Sequential([layers.Input((*image, 2))])
    for layer in drawn:
        try:
            model.add(layer)
            layer.windows()
        except ValueError:
            if model.layers and model.layers[-1] is layer:
                model.pop()
    return model


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_box_is_the_support_of_the_gradient(data):
    image = data.draw(st.tuples(st.integers(4, 12), st.integers(4, 12)))
    model = stack_of(data.draw(st.lists(LAYERS, min_size=1, max_size=5)), image)
    if not model.layers:
        return
    top = data.draw(st.sampled_from([None, layers.Flatten, layers.GlobalAveragePooling2D]))
    if top is not None:
        model.add(top())
        model.add(layers.Dense(2))
    layer = data.draw(st.sampled_from(model.layers))
    field = receptive_field(model, layer)
    i = data.draw(st.integers(0, field.map_size[0] - 1))
    j = data.draw(st.integers(0, field.map_size[1] - 1))
    box = field.box(i, j)
    seen = support(model, layer, i, j)
    if seen == (0, 0, 0, 0):  # along one axis or both there is only padding
        assert box[0] == box[2] or box[1] == box[3]
    else:
        assert box == seen


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_far_from_the_edges_the_box_is_as_large_as_the_equations_say(data):
    """In the middle of a large image nothing is cut off: size, stride and offset give the box."""
    drawn = data.draw(
        st.lists(
            st.one_of(
                st.builds(
                    lambda size, stride, padding: layers.Conv2D(1, size, stride, padding),
                    PAIRS,
                    st.integers(1, 2),
                    st.sampled_from(["same", "valid"]),
                ),
                st.builds(lambda size: layers.MaxPooling2D(size), st.integers(1, 2)),
                st.builds(lambda rate: layers.Conv2D(1, 3, dilation_rate=rate), PAIRS),
            ),
            min_size=1,
            max_size=4,
        )
    )
    model = stack_of(drawn, (150, 150))
    field = receptive_field(model, model.layers[-1])
    i, j = (count // 2 for count in field.map_size)
    top, left = (field.offset[axis] + (i, j)[axis] * field.stride[axis] for axis in (0, 1))
    if all(layer.strides <= layer.kernel_size for layer in drawn if isinstance(layer, layers.Conv2D)):
        assert field.box(i, j) == (top, left, top + field.size[0], left + field.size[1])
    below = field.box(i + 1, j)
    assert (below[0] - field.box(i, j)[0], below[1]) == (field.stride[0], field.box(i, j)[1])


def lenet():
    return Sequential(
        [
            layers.Conv2D(6, 5, padding="same", input_shape=(28, 28, 1), name="c1"),
            layers.AveragePooling2D(2, name="s2"),
            layers.Conv2D(16, 5, name="c3"),
            layers.AveragePooling2D(2, name="s4"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="top"),
        ]
    )


def test_numbers_worked_out_by_hand():
    model = lenet()
    fields = {layer.name: receptive_field(model, layer) for layer in model.layers}
    assert {name: field.size[0] for name, field in fields.items()} == {
        "c1": 5, "s2": 6, "c3": 14, "s4": 16, "flat": 28, "top": 28,
    }  # fmt: skip
    assert [fields[name].stride for name in ("c1", "s2", "c3", "s4")] == [(1, 1), (2, 2), (2, 2), (4, 4)]
    assert [fields[name].offset for name in ("c1", "s4", "top")] == [(-2, -2), (-2, -2), (0, 0)]
    assert fields["c1"].box(0, 27) == (0, 25, 3, 28)
    assert fields["c3"].box(1, 0) == (0, 0, 14, 12)
    assert fields["top"].box() == (0, 0, 28, 28)
    assert fields["s4"].map_size == (5, 5)


def test_rectangles_and_dilation():
    model = Sequential([layers.Conv2D(2, (3, 5), (2, 1), dilation_rate=(1, 3), input_shape=(20, 30, 1))])
    field = receptive_field(model, model.layers[0])
    assert (field.size, field.stride, field.offset) == ((3, 13), (2, 1), (0, 0))


def test_layers_by_name_and_in_models_inside():
    inner = Sequential([layers.Conv2D(2, 3, name="deep"), layers.MaxPooling2D(2)], name="inner")
    model = Sequential([layers.Conv2D(2, 3, input_shape=(12, 12, 1)), inner, layers.Flatten(name="flat")])
    assert receptive_field(model, "deep").size == (5, 5)
    assert receptive_field(model, "inner") == receptive_field(model, inner)
    assert receptive_field(model, inner).size == (6, 6)
    assert receptive_field(model, inner.layers[0]) == receptive_field(model, "deep")
    assert receptive_field(model, "flat").box() == (0, 0, 12, 12)
    assert receptive_field(copy.deepcopy(model), "deep") == receptive_field(model, "deep")
    with pytest.raises(ValueError, match="did you mean 'deep'"):
        receptive_field(model, "deeep")
    with pytest.raises(ValueError, match="'stranger' is not in Sequential"):
        receptive_field(model, layers.Dense(2, name="stranger"))


def test_pixels_that_no_unit_reaches_are_outside():
    """A window of 2 that moves 2 at a time leaves the last of 5 rows out."""
    model = Sequential([layers.MaxPooling2D(2, input_shape=(5, 5, 1)), layers.Flatten()])
    assert receptive_field(model, model.layers[-1]).box() == (0, 0, 4, 4)


def test_random_layers_are_taken_at_rest():
    model = Sequential(
        [
            layers.RandomFlip(input_shape=(10, 10, 3)),
            layers.RandomRotation(0.1),
            layers.RandomCrop(8, 6),
            layers.Conv2D(2, 3),
        ]
    )
    field = receptive_field(model, model.layers[-1])
    assert (field.size, field.offset, field.box(0, 0)) == ((3, 3), (1, 2), (1, 2, 4, 5))
    assert support(model, model.layers[-1]) == (1, 2, 4, 5)


def test_what_cannot_be_told_says_so():
    model = Sequential([layers.Resizing(8, 8, input_shape=(20, 20, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"Resizing .*20x20 pixels to 8x8 leaves no whole steps"):
        receptive_field(model, model.layers[1])
    same = Sequential([layers.Resizing(8, 8, input_shape=(8, 8, 1)), layers.Conv2D(2, 3)])
    assert receptive_field(same, same.layers[1]).size == (3, 3)
    with pytest.raises(ValueError, match="only images"):
        receptive_field(Sequential([layers.Dense(2, input_dim=3, name="a")]), "a")
    with pytest.raises(ValueError, match="build it first"):
        receptive_field(Sequential([layers.Conv2D(2, 3, name="a")]), "a")

    class Half(layers.Layer):
        def compute_output_shape(self, input_shape):
            return (input_shape[0] // 2, *input_shape[1:])

    mine = Sequential([Half(input_shape=(8, 8, 1), name="mine")])
    with pytest.raises(ValueError, match="Half 'mine' does not tell which pixels"):
        receptive_field(mine, "mine")
    rows = Sequential([layers.Reshape((7, 4, 1), input_shape=(4, 7, 1), name="rows")])
    with pytest.raises(ValueError, match="Reshape 'rows' does not tell"):
        receptive_field(rows, "rows")


def test_units_outside_the_map():
    field = receptive_field(lenet(), "s4")
    with pytest.raises(IndexError, match="5 rows of units, from 0; got 5"):
        field.box(5, 0)
    with pytest.raises(IndexError, match="5 columns of units, from 0; got -1"):
        field.box(0, -1)


def test_its_repr():
    shown = repr(receptive_field(lenet(), "c3"))
    assert (
        shown
        == "ReceptiveField(size=(14, 14), stride=(2, 2), offset=(-2, -2), image=(28, 28), map_size=(10, 10))"
    )
    assert isinstance(receptive_field(lenet(), "c3"), ReceptiveField)


def test_images_without_a_channel_axis():
    model = Sequential(
        [
            layers.Rescaling(2, input_shape=(8, 9)),
            layers.Reshape((8, 9, 1)),
            layers.Conv2D(2, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="top"),
        ]
    )
    assert receptive_field(model, "conv").box(1, 2) == (1, 2, 4, 5)
    assert support(model, model.get_layer("conv"), 1, 2) == (1, 2, 4, 5)
    assert receptive_field(model, "top").box() == (0, 0, 8, 9)
    plain = Sequential([layers.Flatten(input_shape=(8, 9)), layers.Dense(2, name="top")])
    assert receptive_field(plain, "top").box() == (0, 0, 8, 9)


@pytest.mark.parametrize(
    ("layer", "image"),
    [(layers.Dense(9), (8, 9)), (layers.Softmax(), (8, 9)), (layers.Softmax(axis=1), (8, 9, 3))],
    ids=lambda value: type(value).__name__,
)
def test_layers_that_mix_pixels_without_a_window(layer, image):
    model = Sequential([layers.Rescaling(2, input_shape=image), layer])
    with pytest.raises(ValueError, match="mixes"):
        receptive_field(model, layer)


def test_sequences_are_no_images():
    model = Sequential([layers.Input((16, 3)), layers.Conv1D(4, 3, name="along"), layers.MaxPooling1D(2)])
    with pytest.raises(ValueError, match="'along' looks along a sequence"):
        receptive_field(model, model.layers[1])
