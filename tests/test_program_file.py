"""Program files: what is written is what runs; damage is an error, never a crash."""

from __future__ import annotations

import copy
import re
import struct

import numpy as np
import pytest
import test_engine_program as engine

import fastconv
from fastconv import Input, Model, Sequential, layers, losses, optimizers
from fastconv.models import export_model, load_program

HEADER = 32


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same(found, expected):
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def leaves(nested):
    return nested if isinstance(nested, list) else [nested]


def exported(model, path, **options):
    model.export(path / "net.fcp", **options)
    return load_program(path / "net.fcp")


# ---- networks


def convolutional():
    return Sequential(
        [
            Input((10, 9, 3)),
            layers.Conv2D(6, 3, padding="same", use_bias=False, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Dropout(0.3),
            layers.Conv2D(40, 3, activation="relu", bias_regularizer="l1"),
            layers.Flatten(),
            layers.Dropout(0.5, seed=7),
            layers.Dense(5, activation="softmax"),
        ]
    )


def residual():
    """A layer that is called twice, its dropout too, and a branch."""
    x = Input((8, 8, 4))
    conv, dropout = layers.Conv2D(4, 3, padding="same", activation="tanh"), layers.SpatialDropout2D(0.25)
    y = layers.Add()([x, dropout(conv(x))])
    y = layers.Concatenate()([y, dropout(conv(y)), layers.AveragePooling2D(3, 1, padding="same")(y)])
    return Model(x, layers.Dense(5)(layers.GlobalAveragePooling2D()(y)))


def two_heads():
    """Two inputs, one of them a vector; two outputs, one of them a sum of losses over a map."""
    image, vector = Input((8, 8, 2), name="image"), Input((3,), name="vector")
    y = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="silu")(image)
    y = layers.PReLU()(y)
    seen = layers.Concatenate()([layers.Flatten()(layers.MaxPooling2D(4)(y)), vector])
    mask = layers.Conv2DTranspose(1, 2, strides=2, activation="sigmoid")(y)
    return Model([image, vector], [layers.Dense(4, activation="softmax")(seen), mask])


def batch_for(model, images):
    xs = [numbers(images, *shape[1:], seed=i) for i, shape in enumerate(shapes_of(model.input_shape))]
    ys = []
    for shape in shapes_of(model.output_shape):
        rng = np.random.default_rng(9)
        if len(shape) == 2:
            ys.append(rng.integers(0, shape[-1], images))
        else:
            ys.append((rng.random((images, *shape[1:])) < 0.5).astype(np.float32))
    return (xs if len(xs) > 1 else xs[0]), (ys if len(ys) > 1 else ys[0])


def shapes_of(shapes):
    return shapes if isinstance(shapes, list) else [shapes]


NETWORKS = {
    "convolutional": (convolutional, "sparse_categorical_crossentropy", {}),
    "residual": (residual, losses.SparseCategoricalCrossentropy(from_logits=True), {}),
    "two heads": (
        two_heads,
        ["sparse_categorical_crossentropy", losses.BinaryCrossentropy(reduction="sum")],
        {"loss_weights": [1.0, 0.3]},
    ),
}
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.05),
    "momentum": lambda: optimizers.SGD(0.01, momentum=0.9),
    "Nesterov": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True, global_clipnorm=1.0),
    "Adagrad": lambda: optimizers.Adagrad(0.01, clipvalue=0.1),
    "RMSprop": lambda: optimizers.RMSprop(0.001),
    "centered": lambda: optimizers.RMSprop(0.001, momentum=0.8, centered=True),
    "Adam": lambda: optimizers.Adam(0.01),
    "AMSGrad": lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "AdamW": lambda: optimizers.AdamW(0.01),
    "Adamax": lambda: optimizers.Adamax(0.01),
    "Nadam": lambda: optimizers.Nadam(0.01),
    "Adadelta": lambda: optimizers.Adadelta(0.5),
}


def made(name, optimizer="Adam"):
    fastconv.utils.set_random_seed(3)
    network, loss, options = NETWORKS[name]
    model = network()
    model.compile(OPTIMIZERS[optimizer](), loss, **options)
    return model


# ---- the same steps, to the bit


@pytest.mark.parametrize("images", [1, 3, 19])
@pytest.mark.parametrize("name", NETWORKS)
def test_predictions(name, images, tmp_path):
    model = engine.filled(made(name))
    x, _ = batch_for(model, images)
    program = exported(model, tmp_path)
    assert not program.can_learn
    assert program.input_shapes == [shape[1:] for shape in shapes_of(model.input_shape)]
    assert program.output_shapes == [shape[1:] for shape in shapes_of(model.output_shape)]
    assert_same(program.predict(x), model.predict_on_batch(x))


def assert_same_steps(model, program, x, y, steps, sample_weight=None):
    for _ in range(steps):
        model.reset_metrics()
        expected = model.train_on_batch(x, y, sample_weight)
        found = program.train_step(x, y, sample_weight)
        # Of probabilities that have been clipped the loss is not the same to the last bits: see heads.Judged.
        np.testing.assert_allclose(found, leaves(expected)[0], rtol=1e-5)
        assert_same(program.predict(x), model.predict_on_batch(x))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_steps(name, optimizer, tmp_path):
    model = made(name, optimizer)
    x, y = batch_for(model, 11)
    model.train_on_batch(x, y)  # so that optimizer and draws are under way
    program = exported(model, tmp_path, training=True)
    assert_same_steps(model, program, x, y, 4)
    # Two files of the same state are the same, whoever wrote them: weights, states, draws, steps.
    program.save(tmp_path / "saved.fcp")
    model.export(tmp_path / "exported.fcp", training=True)
    assert (tmp_path / "saved.fcp").read_bytes() == (tmp_path / "exported.fcp").read_bytes()
    assert_same_steps(model, load_program(tmp_path / "saved.fcp"), x, y, 1)


@pytest.mark.parametrize("place", engine.PLACES)
@pytest.mark.parametrize(("shape", "cls", "given"), engine.cases())
def test_every_layer(shape, cls, given, place, tmp_path):
    model = engine.compiled(engine.filled(place(cls, given, shape)))
    x, y = engine.batch(model, 5)
    program = exported(model, tmp_path, training=True)
    with np.errstate(all="ignore"):
        assert_same(program.predict(x), model.predict_on_batch(x))
        program.train_step(x, y)
        model.train_on_batch(x, y)
        assert_same(program.predict(x), model.predict_on_batch(x))


@pytest.mark.parametrize("loss", ["mse", "mae", losses.Huber(0.7), "categorical_crossentropy"])
def test_losses_of_rows(loss, tmp_path):
    model = residual()
    model.compile("sgd", loss)
    if loss == "categorical_crossentropy":
        model.compile("sgd", losses.CategoricalCrossentropy(from_logits=True))
    program = exported(model, tmp_path, training=True)
    weights = np.linspace(0.5, 2, 6, dtype=np.float32)
    assert_same_steps(model, program, numbers(6, 8, 8, 4), np.abs(numbers(6, 5, seed=1)), 3, weights)


def test_frozen_layers_and_what_is_excluded_from_decay(tmp_path):
    model = made("convolutional", "AdamW")
    model.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    model.layers[0].trainable = False
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    x, y = batch_for(model, 9)
    frozen = model.layers[0].kernel.numpy()
    assert_same_steps(model, exported(model, tmp_path, training=True), x, y, 3)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), frozen)


def test_rates_are_arguments_of_a_step(tmp_path):
    model = residual()
    model.compile(optimizers.SGD(0.5), "mse")
    x, y = numbers(6, 8, 8, 4), numbers(6, 5, seed=1)
    program = exported(model, tmp_path, training=True)
    assert (program.learning_rate, program.momentum) == (0.5, 0.0)
    program.learning_rate, program.momentum = 0.01, 0.9

    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    for layer in kernels:
        layer.kernel.regularizer = fastconv.regularizers.L2(0.03)
    model.compile(optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(3):
        np.testing.assert_allclose(program.train_step(x, y, l2=0.03), model.train_on_batch(x, y), rtol=1)
        assert_same(program.predict(x), model.predict_on_batch(x))


def test_a_program_is_a_copy(tmp_path):
    model = made("residual")
    x, y = batch_for(model, 4)
    program = exported(model, tmp_path, training=True)
    before = model.predict_on_batch(x)
    program.train_step(x, y)
    assert_same(model.predict_on_batch(x), before)
    assert not np.array_equal(program.predict(x), before)


def test_an_output_that_is_an_input_one_that_is_there_twice_and_sizes_left_open(tmp_path):
    x, passed = Input((None, None, 2)), Input((4,))
    y = layers.GlobalMaxPooling2D()(layers.Conv2D(3, 3)(x))
    model = Model([x, passed], [y, passed, y])
    given = [numbers(3, 6, 5, 2), numbers(3, 4)]
    with pytest.raises(ValueError, match="left open: give input_shape="):
        model.export(tmp_path / "net.fcp")
    program = exported(model, tmp_path, input_shape=[(6, 5, 2), (4,)])
    assert_same(program.predict(given), model.predict_on_batch(given))


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_a_file_is_of_no_instruction_set(isa, tmp_path):
    model = made("convolutional")
    x, y = batch_for(model, 9)
    program = exported(model, tmp_path, training=True)
    active = fastconv.get_isa()
    fastconv.set_isa(isa)
    try:
        assert_same_steps(copy.deepcopy(model), program, x, y, 2)
    finally:
        fastconv.set_isa(active)


# ---- what is refused


class Mine(layers.Layer):
    def call(self, x, training=False):
        return 2 * x

    def backward(self, dy, input_gradient=True):
        return 2 * dy


def refused(model, training=False, path="net.fcp"):
    """What the error says."""
    try:
        export_model(model, path, training=training)
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{model} was exported")


def test_refusals_name_what_it_is():
    head = layers.Dense(3, activation="softmax")
    mine = Sequential([Input((4,)), Mine(name="doubled"), head])
    assert re.search("doubled.* runs in Python: Mine has no lower", refused(mine))
    assert "none of its layers" in refused(Sequential([Input((4,)), Mine()]))
    assert "it is not built" in refused(Sequential([layers.Dense(3)]))
    assert "the format is not known by its end, '.pt': it can be '.fcp'" in refused(mine, path="net.pt")

    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax", name="out")])
    assert "compile(optimizer, loss)" in refused(model, training=True)
    model.compile("adam", losses.Poisson())
    assert re.search("the loss Poisson.* of the output 'out'", refused(model, training=True))
    model.compile("adam", losses.CategoricalCrossentropy(label_smoothing=0.1))
    assert "label_smoothing=0.1" in refused(model, training=True)
    model.compile(optimizers.Adam(use_ema=True), "categorical_crossentropy")
    assert "use_ema" in refused(model, training=True)
    model.compile(type("Own", (optimizers.SGD,), {})(), "categorical_crossentropy")
    assert "its optimizer Own" in refused(model, training=True)
    model.layers[0].kernel.constraint = fastconv.constraints.NonNeg()
    model.compile("sgd", "categorical_crossentropy")
    assert "out/kernel has a constraint" in refused(model, training=True)
    model.layers[0].kernel.constraint = None
    model.layers[0].kernel.regularizer = fastconv.regularizers.OrthogonalRegularizer()
    assert "of out/kernel is in Python" in refused(model, training=True)


def test_wrong_arguments_of_a_program(tmp_path):
    model = made("convolutional")
    program = exported(model, tmp_path, training=True)
    x, y = batch_for(model, 4)
    with pytest.raises(ValueError, match=r"x must have the shape \(N, 10, 9, 3\), got \(4, 10, 9, 2\)"):
        program.predict(x[..., :2])
    with pytest.raises(ValueError, match="label 2 of the batch is 5; there are 5 classes"):
        program.train_step(x, np.array([0, 1, 5, 0]))
    program.learning_rate = np.nan
    with pytest.raises(ValueError, match="learning rate, momentum and l2 must be finite"):
        program.train_step(x, y)
    with pytest.raises(ValueError, match="exported for inference"):
        exported(model, tmp_path).train_step(x, y)
    with pytest.raises(FileNotFoundError):
        load_program(tmp_path / "none.fcp")


# ---- damage


def checked(data):
    """The bytes with the checksum that belongs to them, and their size, as somebody means it."""
    sum_ = 0xCBF29CE484222325
    for (word,) in struct.iter_unpack("<Q", bytes(data[HEADER : len(data) // 8 * 8])):
        sum_ = (sum_ ^ word) * 0x100000001B3 % 2**64
    return bytes(data[:16]) + struct.pack("<QQ", len(data), sum_) + bytes(data[HEADER:])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of a few thousand bytes with convolution, pool, batch norm, dropout and a dense layer in it."""
    path = tmp_path_factory.mktemp("small") / "net.fcp"
    x = Input((4, 4, 1))
    y = layers.MaxPooling2D(2)(layers.Conv2D(2, 2, padding="same")(x))
    y = layers.Dropout(0.5, seed=1)(layers.BatchNormalization()(y))
    model = Model(x, layers.Dense(2, activation="softmax")(layers.Flatten()(layers.Add()([y, y]))))
    model.compile(optimizers.SGD(0.01, momentum=0.5), "sparse_categorical_crossentropy")
    model.train_on_batch(numbers(2, 4, 4, 1), [0, 1])
    model.export(path, training=True)
    return path.read_bytes()


def run_or_error(data):
    """Whether it was an error. Whatever it is, nothing crashes."""
    try:
        network = fastconv._kernels.Network(data)
    except ValueError as error:
        return bool(str(error))
    pixels = sum(int(np.prod(shape)) for shape in network.inputs + network.outputs)
    if pixels > 1 << 16 or len(network.inputs) != 1:
        return False
    x = [numbers(3, *shape) for shape in network.inputs]
    y = [np.empty((3, *shape), np.float32) for shape in network.outputs]
    targets = []
    for _, output, labels in network.losses:
        shape = (3, *network.outputs[output])
        rows = np.zeros(shape, np.float32)
        targets.append((np.zeros(shape[:-1], np.int64), None, None) if labels else (None, rows, None))
    try:
        with np.errstate(all="ignore"):
            network.predict(x, y)
            if targets:
                network.train_step(x, y, targets, 0.1, 0.5, 0.0)
    except (MemoryError, ValueError):
        return True
    return False


def test_truncated_at_every_length(small):
    for size in range(len(small)):
        assert run_or_error(small[:size])
    for size in range(HEADER, len(small), 8):
        assert run_or_error(checked(small[:size]))
    assert run_or_error(checked(small + bytes(8)))


def test_a_changed_byte_is_noticed(small):
    for place in range(len(small)):
        damaged = bytearray(small)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"no program file|of version|it was|its checksum"):
            fastconv._kernels.Network(bytes(damaged))


HOSTILE = [0, 1, 2, 3, 7, 255, 2**16, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]


def test_words_that_were_changed_on_purpose_are_errors_or_run(small):
    errors = 0
    for place in range(HEADER, len(small), 8):
        for word in (*HOSTILE, int.from_bytes(small[place : place + 8], "little") + 1):
            changed = bytearray(small)
            changed[place : place + 8] = struct.pack("<Q", word % 2**64)
            errors += run_or_error(checked(changed))
    assert errors > len(small)  # most words of the table allow few values


@pytest.mark.parametrize("seed", range(4))
def test_several_words_at_once(small, seed):
    rng = np.random.default_rng(seed)
    words = len(small) // 8
    for _ in range(500):
        changed = np.frombuffer(small, np.uint64).copy()
        for place in rng.integers(HEADER // 8, words, rng.integers(2, 6)):
            another, few = changed[rng.integers(HEADER // 8, words)], np.uint64(rng.integers(0, 8))
            changed[place] = rng.choice([another, few])
        run_or_error(checked(changed.tobytes()))


def test_messages(small):
    def message(data):
        with pytest.raises(ValueError, match=r"^it ") as error:
            fastconv._kernels.Network(data)
        return str(error.value)

    assert message(b"") == message(b"PK" + bytes(100)) == "it is no program file"
    newer = small[:8] + struct.pack("<Q", 2) + small[16:]
    assert message(newer) == "it is of version 2 of the format; this fastconv reads version 1"
    assert message(small[:-8]) == f"it was {len(small)} bytes when it was written, and is {len(small) - 8}"
    assert "its checksum does not agree" in message(small[:-1] + b"\x07")
