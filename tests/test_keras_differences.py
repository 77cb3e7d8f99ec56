"""docs/keras-differences.md: what it calls an error is one, and what it calls missing is missing."""

from __future__ import annotations

import importlib
import importlib.util
import re
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import (
    callbacks,
    config,
    constraints,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    utils,
)
from fastconv.layers import Dense
from fastconv.models import Model, Sequential
from fastconv.optimizers import schedules

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "keras-differences.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is in the checkout alone")

X = np.random.default_rng(0).random((8, 3), np.float32)
Y = np.arange(8) % 2
IMAGES = np.random.default_rng(0).random((4, 6, 6, 2), np.float32)


def rows() -> dict[str, str]:
    """What Keras has -> what the page says of fastconv, of all tables but the last two."""
    text, _, _ = PAGE.read_text().partition("## From a textbook\n")
    found = {}
    for line in text.splitlines():
        if line.startswith("| "):
            subject, _, ours, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            found[subject] = ours
    return found


def names_section():
    specification = importlib.util.spec_from_file_location(
        "missing_names", ROOT / "tools" / "missing_names.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# ---- names


def test_the_table_of_names_is_that_of_the_code():
    page = PAGE.read_text()
    updated = names_section().updated(page)
    assert page == updated, "python tools/missing_names.py --update"


def test_names_in_the_table_are_missing_and_answer_as_it_says():
    _, _, section = PAGE.read_text().partition("## Names\n")
    checked = 0
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        modules, names, remedy = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        for module in re.findall(r"`([\w.]+)`", modules):
            owner = fastconv if module == "fastconv" else importlib.import_module(f"fastconv.{module}")
            for name in re.findall(r"`(\w+)`", names):
                answer = remedy.replace("*name*", name).replace("\\*", "*")
                assert not hasattr(owner, name)
                with pytest.raises(AttributeError, match=re.escape(answer)):
                    getattr(owner, name)
                checked += 1
    assert checked > 300


# ---- errors


def classifier(**options):
    model = Sequential([layers.Input((3,)), Dense(2, activation="softmax")], name="net")
    model.compile("sgd", "sparse_categorical_crossentropy", **options)
    return model


def fit(x=X, y=Y, **arguments):
    return classifier().fit(x, y, verbose=0, **arguments)


def twice_the_same_layer():
    layer = Dense(3)
    Sequential([layer, layer])


def batch_norm_of_nothing():
    layer = layers.BatchNormalization()
    layer.build((3,))
    layer.forward(np.zeros((0, 3)), training=True)


def step_with_others():
    optimizer = optimizers.SGD(0.1)
    first, second = (fastconv.Parameter([1.0], name) for name in ("a", "b"))
    optimizer.step([first])
    optimizer.step([second])


def unfreeze_what_the_optimizer_does_not_know():
    model = Sequential([layers.Input((3,)), Dense(3), Dense(2, activation="softmax")])
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    model.fit(X, Y, verbose=0)


def load_by_names_that_are_not_there(tmp_path):
    classifier().save_weights(tmp_path / "w.safetensors")
    model = Sequential([layers.Input((3,)), Dense(2, name="other")])
    model.load_weights(tmp_path / "w.safetensors", by_name=True)


def monitor_an_array():
    model = classifier(metrics=[metrics.SparseCategoricalAccuracy(name="a")])
    matrix = metrics.ConfusionMatrix(name="matrix")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[matrix])
    model.fit(X, Y, verbose=0, callbacks=[callbacks.EarlyStopping(monitor="matrix", mode="min")])


def checkpoint_named_after_a_log_that_is_not_there(tmp_path):
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "{nothing}.safetensors")
    fit(callbacks=[checkpoint])


def with_probabilities(loss, y_true, y_pred):
    return lambda: loss(np.asarray(y_true), np.asarray(y_pred, np.float32))


def exhausted_generator():
    classifier().fit(((X, Y) for _ in range(3)), epochs=2, verbose=0)


def train_through(function):
    """A model one of whose layers calls a layer, and a function on its result."""

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Dense(3)

        def call(self, x, training=False):
            return function(self.inner(x))

    model = Sequential([layers.Input((3,)), Outer(), Dense(2, activation="softmax")])
    assert model.predict(X, verbose=0).shape == (8, 2)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)


def model_with_an_input_too_many():
    used, unused = layers.Input((3,)), layers.Input((3,), name="unused")
    Model([used, unused], Dense(2)(used))


def trainable_in_words():
    Dense(2).trainable = "no"


def loss_computed_otherwise():
    class Net(Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 1.0

    model = Net([layers.Input((3,)), Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)


def log_into_a_file_with_other_columns(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,nothing\n0,1\n")
    fit(callbacks=[callbacks.CSVLogger(tmp_path / "log.csv", append=True)])


def evaluate_in_a_second_thread():
    """While ``fit`` runs in the first."""
    model = classifier()
    errors = []

    def evaluate():
        try:
            model.evaluate(X, Y, verbose=0)
        except RuntimeError as error:
            errors.append(error)

    def in_a_second_thread(*_):
        thread = threading.Thread(target=evaluate)
        thread.start()
        thread.join()

    model.fit(X, Y, verbose=0, callbacks=[callbacks.LambdaCallback(on_train_begin=in_a_second_thread)])
    raise errors[0]


CCE = losses.CategoricalCrossentropy()
SCE = losses.SparseCategoricalCrossentropy()
HALF = [[0.5, 0.5]]

# The subject of a row -> what is an error, each with a part of its message.
ERRORS = {
    "`config.set_floatx`, `set_epsilon`, `set_image_data_format`": [
        (lambda: config.set_floatx("float16"), "float32"),
        (lambda: config.set_epsilon(1e-5), "1e-07"),
        (lambda: config.set_image_data_format("channels_first"), "channels_last"),
    ],
    "`utils.split_dataset`": [
        (lambda: utils.split_dataset(iter([X]), left_size=0.5), "splits an array, or a tuple of arrays"),
        (lambda: utils.split_dataset(X, 0.5, preferred_backend="torch"), "preferred_backend"),
    ],
    "`register_keras_serializable` without parentheses": [
        (lambda: utils.register_keras_serializable(Dense), "with parentheses"),
    ],
    "numbers": [
        (lambda: Dense(2, dtype="float16"), "dtype"),
        (lambda: metrics.Mean(dtype="float64"), "dtype"),
    ],
    "symbolic tensors": [
        (
            lambda: np.tanh(layers.Input((3,))),
            r"numpy\.tanh needs numbers, .*write it with layers or \+ - \* /",
        ),
        (lambda: layers.Input((3,)) ** 2, r"\*\* needs numbers, .*write it with layers"),
        (lambda: layers.Input((3,))[:, 0], "indexing needs numbers, .*Cropping2D, Reshape"),
        (lambda: layers.Input((3,)) * np.ones(3), r"only numbers and symbolic tensors; .*Rescaling"),
        (lambda: layers.Add()([layers.Input((3,)), X]), "symbolic tensors and ndarray together; a constant"),
    ],
    "`call` of a subclassed model, or of a layer made of layers, that does more than call layers: NumPy's "
    "functions, indexing, a branch on values": [
        (
            lambda: train_through(np.tanh),
            r"no derivative: .*numpy\.tanh needs numbers, .*write it with layers",
        ),
        (
            lambda: train_through(lambda x: x[:, ::-1]),
            "no derivative: .*indexing needs numbers, .*Cropping2D",
        ),
        (
            lambda: train_through(lambda x: x if (x < 9).all() else -x),
            "no derivative: .*a comparison needs numbers, .*write it with layers",
        ),
    ],
    "`Model(inputs, outputs)` with an input that no output depends on": [
        (model_with_an_input_too_many, "no output depends on the input 'unused'"),
    ],
    "arguments of a layer's `call` besides inputs and `training`": [
        (lambda: layers.ReLU()(X, scale=2.0), "'scale'"),
    ],
    "`Concatenate(axis=0)`": [(lambda: layers.Concatenate(axis=0), "other than 0, the batch")],
    "`activity_regularizer`": [
        (lambda: layers.BatchNormalization(activity_regularizer="l2"), "ActivityRegularization"),
        (lambda: layers.MaxPooling2D(activity_regularizer="l2"), "ActivityRegularization"),
    ],
    "`AlphaDropout`, `GaussianDropout` with `rate=1`": [
        (lambda: layers.AlphaDropout(1), "rate"),
        (lambda: layers.GaussianDropout(1), "rate"),
    ],
    '`activation="glu"` in `Dense` and convolutions': [
        (lambda: Dense(2, activation="glu"), r'put Activation\("glu"\) behind it'),
        (lambda: layers.Conv2D(2, 3, activation="glu"), r'put Activation\("glu"\) behind it'),
    ],
    '`activation="threshold"`': [
        (lambda: Dense(2, activation="threshold"), r"with_parameters\(threshold=..., default_value=...\)"),
    ],
    "`Normalization(axis=0)`, or the default for a batch of single numbers": [
        (lambda: layers.Normalization(axis=0)(X), "the batch"),
        (lambda: layers.Normalization()(X[:, 0]), "the batch"),
    ],
    "`renorm`, `synchronized`, masks": [
        (lambda: layers.BatchNormalization(renorm=True), "renorm"),
        (lambda: layers.BatchNormalization(synchronized=True), "synchronized"),
    ],
    "an empty batch in training": [(batch_norm_of_nothing, "an empty batch has no mean")],
    "a layer in two places of a `Sequential`": [
        (twice_the_same_layer, r"only once in it; Model\(inputs, outputs\)")
    ],
    "a pair of factors partly out of range": [
        (lambda: layers.RandomTranslation((-2, 0.5), 0.1), "height_factor"),
        (lambda: layers.RandomContrast((0.5, 2)), "factor"),
    ],
    "`Lambda(function)`": [
        (lambda: layers.serialize(layers.Lambda(np.sin)), "files hold no code"),
        (lambda: layers.serialize(layers.Lambda(lambda x: x)), "register_keras_serializable"),
    ],
    "`UpSampling2D(interpolation=...)`": [
        (lambda: layers.UpSampling2D(interpolation="bicubic"), "interpolation"),
        (lambda: layers.UpSampling2D(interpolation="lanczos3"), "interpolation"),
        (lambda: layers.UpSampling2D(interpolation="lanczos5"), "interpolation"),
    ],
    "`Resizing`": [
        (lambda: layers.Resizing(4, 4, interpolation="bicubic"), "interpolation"),
        (lambda: layers.Resizing(4, 4, interpolation="lanczos3"), "interpolation"),
        (lambda: layers.Resizing(4, 4, interpolation="lanczos5"), "interpolation"),
        (lambda: layers.Resizing(4, 4, antialias=True), "antialias"),
        (lambda: layers.Resizing(4, 4, pad_to_aspect_ratio=True), "pad_to_aspect_ratio"),
    ],
    "`seed=` a `SeedGenerator`": [
        (
            lambda: fastconv.initializers.HeNormal(seed=np.random.default_rng(0)),
            "seed must be a whole number",
        ),
        (lambda: layers.Dropout(0.5, seed=np.random.default_rng(0)), "seed must be a whole number"),
    ],
    "a plain function as regularizer": [
        (lambda: Dense(2, kernel_regularizer=lambda w: 0.1 * np.abs(w).sum()), "Regularizer"),
    ],
    "axes of a constraint that the weights do not have": [
        (lambda: constraints.MaxNorm(2, axis=3)(np.ones((2, 2), np.float32)), "needs the axes .3."),
    ],
    "label outside 0…C\N{MINUS SIGN}1": [(with_probabilities(SCE, [2], HALF), "label 2 .*2 classes")],
    "label that is no whole number": [(with_probabilities(SCE, [0.5], HALF), "label 0.5 at index 0")],
    "one-hot targets for the sparse loss, labels for the categorical one": [
        (with_probabilities(SCE, [[0, 1], [1, 0]], HALF * 2), "use categorical_crossentropy"),
        (
            with_probabilities(losses.CategoricalCrossentropy(), [0, 1], HALF * 2),
            "sparse_categorical_crossentropy",
        ),
    ],
    "`y_true` and `y_pred` of different shapes": [
        (lambda: losses.MeanSquaredError()(np.ones(4), np.ones((4, 4))), "must have the same shape"),
    ],
    "binary targets outside 0…1": [
        (
            lambda: losses.BinaryCrossentropy()(np.full((2, 1), 3.0), np.full((2, 1), 0.5)),
            "targets between 0 and 1, got 3",
        ),
    ],
    "cross-entropy over one class": [(with_probabilities(SCE, [0], [[1.0]]), "fewer than 2")],
    "`loss=` a function": [
        (lambda: classifier().compile("sgd", loss=lambda t, p: ((t - p) ** 2).mean()), "subclass of .*Loss"),
    ],
    "`ignore_class`, `axis`": [
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0), "ignore_class"),
        (lambda: losses.CategoricalCrossentropy(axis=1), "axis"),
    ],
    "labels out of range, one-hot for sparse metrics and the reverse, shapes that differ": [
        (lambda: metrics.SparseCategoricalAccuracy()([3], HALF), "label 3 .* outside 0"),
        (lambda: metrics.SparseCategoricalAccuracy()([[0, 1], [1, 0]], HALF * 2), "use categorical_accuracy"),
        (lambda: metrics.CategoricalAccuracy()([0, 1], HALF * 2), "sparse_categorical_accuracy"),
        (lambda: metrics.MeanSquaredError()(np.ones(4), np.ones((4, 4))), "must have the same shape"),
    ],
    "labels for `Precision`, `Recall`, `AUC`, F-scores of several classes": [
        (lambda: metrics.Precision()([0, 1], HALF * 2), "one-hot"),
        (lambda: metrics.Recall()([0, 1], HALF * 2), "one-hot"),
        (lambda: metrics.AUC()([0, 1], HALF * 2), "one-hot"),
        (lambda: metrics.F1Score()([0, 1], HALF * 2), "one-hot"),
    ],
    "`class_id`, `top_k` out of range": [
        (lambda: metrics.Precision(class_id=2)(HALF, HALF), "class_id"),
        (lambda: metrics.Precision(top_k=3)(HALF, HALF), "top_k"),
    ],
    "`from_sorted_ids`": [
        (lambda: metrics.SparseTopKCategoricalAccuracy(k=1, from_sorted_ids=True), "from_sorted_ids"),
    ],
    "`loss_scale_factor`": [(lambda: optimizers.Adam(loss_scale_factor=2.0), "loss_scale_factor")],
    "`learning_rate`": [
        (lambda: optimizers.SGD(-0.1), "learning_rate"),
        (lambda: optimizers.SGD(np.inf), "learning_rate"),
        (lambda: optimizers.SGD(np.nan), "learning_rate"),
        (lambda: optimizers.SGD(lambda step: 0.1), "learning_rate"),
        (lambda: optimizers.SGD(lambda: -1.0).step([fastconv.Parameter([1.0])]), "learning_rate"),
    ],
    "`clipnorm=0`, `clipvalue=-1`, ...": [
        (lambda: optimizers.SGD(clipnorm=0), "clipnorm must be positive"),
        (lambda: optimizers.SGD(clipvalue=-1), "clipvalue must be positive"),
        (lambda: optimizers.SGD(global_clipnorm=0), "global_clipnorm must be positive"),
    ],
    "parameters that differ from those of the first step": [(step_with_others, "'a' is missing")],
    "`CosineDecayRestarts(t_mul < 1)`": [
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul")
    ],
    "`PiecewiseConstantDecay` whose boundaries do not rise": [
        (lambda: schedules.PiecewiseConstantDecay([5, 3], [0.1, 0.2, 0.3]), "boundaries"),
    ],
    "`layer.trainable` changed after `compile`": [
        (unfreeze_what_the_optimizer_does_not_know, "is new.* compile the model again"),
    ],
    "`clone_model`": [
        (lambda: models.clone_model(classifier(), input_tensors=X), "input_tensors"),
        (lambda: models.clone_model(classifier(), call_function=print), "call_function"),
    ],
    "`load_weights(by_name=...)`": [(load_by_names_that_are_not_there, "no layer of the same name")],
    "`loss_weights`": [
        (lambda: classifier(loss_weights={"other": 1.0}), "loss_weights .*'other'.* names none of them"),
    ],
    "`compile` without a loss": [(lambda: classifier().compile("sgd"), "compile needs a loss")],
    "a generator for more than one epoch without `steps_per_epoch`": [
        (exhausted_generator, "steps_per_epoch"),
        (lambda: fit(epochs=2, validation_data=iter([(X, Y)])), "validation"),
    ],
    "threads": [(evaluate_in_a_second_thread, "evaluate|another thread")],
    "`PyDataset`": [(lambda: utils.PyDataset(use_multiprocessing=True), "use_multiprocessing")],
    "`summary(positions=..., layer_range=...)`": [
        (lambda: classifier().summary(positions=[0.5]), "positions"),
        (lambda: classifier().summary(layer_range=["a", "b"]), "layer_range"),
    ],
    "a file name that asks for a log that is not there": [
        (checkpoint_named_after_a_log_that_is_not_there, "'nothing' .* there are epoch, loss"),
    ],
    "`mode` unknown": [
        (lambda: callbacks.EarlyStopping(mode="best"), "mode"),
        (lambda: callbacks.ModelCheckpoint("m.safetensors", mode="best"), "mode"),
        (lambda: callbacks.ReduceLROnPlateau(mode="best"), "mode"),
    ],
    "`LambdaCallback(on_epoch_ends=...)`": [
        (lambda: callbacks.LambdaCallback(on_epoch_ends=print), "on_epoch_end"),
    ],
    "`monitor` that is an array": [(monitor_an_array, "'matrix' is an array")],
    "`TensorBoard`": [
        (lambda: callbacks.TensorBoard("logs", write_graph=True), "write_graph"),
        (lambda: callbacks.TensorBoard("logs", write_images=True), "write_images"),
        (lambda: callbacks.TensorBoard("logs", profile_batch=2), "profile_batch"),
        (lambda: callbacks.TensorBoard("logs", embeddings_freq=1), "embeddings_freq"),
    ],
    '`trainable=1`, `layer.trainable = "no"`': [(trainable_in_words, "trainable")],
    "only one of `input_axes` and `output_axes`": [
        (lambda: fastconv.initializers.VarianceScaling(input_axes=0)((2, 3)), "output_axes"),
    ],
    "`compute_loss` overridden": [(loss_computed_otherwise, "compute_loss_gradient")],
    "`class_weight` with keys that are no class numbers, weights that are negative or no numbers": [
        (lambda: fit(class_weight={"0": 0.5}), "class_weight"),
        (lambda: fit(class_weight={0: -1.0}), "class_weight"),
        (lambda: fit(class_weight={0: None}), "class_weight"),
    ],
    "an epoch for which there is no data": [(lambda: fit(iter([]), None), "no batch|no data|nothing")],
    "objects that are no `Callback`": [(lambda: fit(callbacks=[object()]), "callback|Callback")],
    "`CSVLogger(append=True)` on a file with other columns": [
        (log_into_a_file_with_other_columns, "nothing|columns"),
    ],
}


def test_every_row_that_speaks_of_an_error_is_checked():
    of_errors = re.compile(r"\berrors?\b|`ValueError`|not supported")
    speak = {subject for subject, ours in rows().items() if of_errors.search(ours)}
    unchecked = speak - ERRORS.keys()
    assert not unchecked, "give ERRORS something to call for these rows"
    assert not ERRORS.keys() - speak, "these rows are gone, or speak of no error any more"


@pytest.mark.parametrize("subject", ERRORS)
def test_what_the_page_calls_an_error_is_one(subject, tmp_path):
    for call, message in ERRORS[subject]:
        arguments = {"tmp_path": tmp_path} if "tmp_path" in call.__code__.co_varnames else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
                call(**arguments)
