"""What TensorBoard gets to see."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from fastconv import layers, models
from fastconv.callbacks import TensorBoard

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.fixture
def written(monkeypatch):
    """A stand-in for tensorboardX: {(folder, name, step): value}."""
    seen = {}

    class SummaryWriter:
        def __init__(self, folder):
            self.folder, self.closed = folder.rpartition("/")[2], False

        def add_scalar(self, name, value, step):
            assert not self.closed
            seen[self.folder, name, step] = value

        def add_histogram(self, name, values, step):
            seen[self.folder, name, step] = values.copy()

        def flush(self):
            pass

        def close(self):
            self.closed = True

    module = types.ModuleType("tensorboardX")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    return seen


def fit(callback):
    model = models.Sequential([layers.Input((4,)), layers.Dense(2, activation="softmax", name="d")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "confusion_matrix"])
    history = model.fit(
        X, Y, batch_size=8, epochs=3, validation_split=0.2, callbacks=callback, verbose=0
    )  # two batches
    return model, history.history


def test_every_epoch(written, tmp_path):
    _, history = fit(TensorBoard(tmp_path))
    expected = {
        (folder, f"epoch_{name}", epoch): history[prefix + name][epoch]
        for folder, prefix in (("train", ""), ("validation", "val_"))
        for name in ("loss", "accuracy")  # and not the confusion matrix
        for epoch in range(3)
    }
    expected |= {("train", "epoch_learning_rate", epoch): 0.01 for epoch in range(3)}
    assert written == expected


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", range(1, 7)), (2, [2, 4, 6])])
def test_every_so_many_batches(written, tmp_path, update_freq, steps):
    _, history = fit(TensorBoard(tmp_path, update_freq=update_freq))
    assert [step for _, name, step in written if name == "batch_loss"] == list(steps)
    if update_freq == "batch":
        assert written["train", "batch_loss", 4] == history["loss"][1]


def test_histograms_and_speed(written, tmp_path):
    model, _ = fit(TensorBoard(tmp_path, histogram_freq=2, write_steps_per_second=True, update_freq="batch"))
    histograms = [(name, step) for _, name, step in written if name.endswith("histogram")]
    assert histograms == [(f"d/{w}/histogram", epoch) for epoch in (0, 2) for w in ("kernel", "bias")]
    np.testing.assert_array_equal(written["train", "d/kernel/histogram", 2], model.get_weights()[0])
    assert written["train", "epoch_steps_per_second", 1] > 0
    assert written["train", "batch_steps_per_second", 5] > 0


def test_what_is_not_there(written, tmp_path):
    for argument in ("write_graph", "write_images", "profile_batch", "embeddings_freq"):
        with pytest.raises(ValueError, match=f"TensorBoard: Keras' argument '{argument}' is not supported"):
            TensorBoard(tmp_path, **{argument: 1})
    for update_freq in ("batches", 0, 1.5):
        with pytest.raises(ValueError, match="update_freq must be"):
            TensorBoard(tmp_path, update_freq=update_freq)


def test_without_tensorboardx(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"python -m pip install 'fastconv\[tensorboard\]'"):
        TensorBoard()


def test_files_of_the_real_one(tmp_path):
    pytest.importorskip("tensorboardX")
    _, history = fit(TensorBoard(tmp_path, histogram_freq=1))
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (tmp_path / "validation").iterdir()
    data, values = path.read_bytes(), {}
    while data:  # TFRecord: length, its checksum, the event, its checksum
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        values |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[16 + size :]
    for epoch, loss in enumerate(history["val_loss"]):
        assert values["epoch_loss", epoch] == np.float32(loss)
