"""A batch gives the same bits in one piece and as parts that exchange their sums (csrc/engine/sums.c).

The parts are threads of this process, each with weights and gradients of its own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernels import each_isa

import fastconv
from fastconv import _kernels
from fastconv.engine.programs import Programs
from fastconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    PReLU,
    ReLU,
    SeparableConv2D,
    SpatialDropout2D,
)
from fastconv.models import Model, Sequential
from fastconv.parameter import roomy_zeros
from fastconv.utils import set_random_seed

BATCHES = (3, 8, 20, 32, 128)
PARTS = (1, 2, 4, 8)
CLASSES = 5


# ---- networks


def lenet() -> Model:
    return Sequential(
        [
            Input((14, 14, 1)),
            Conv2D(6, 5, padding="same", activation="tanh"),
            MaxPooling2D(2),
            Conv2D(16, 3, activation="tanh"),
            Flatten(),
            Dense(24, activation="tanh"),
            Dense(CLASSES),
        ]
    )


def normed() -> Model:
    return Sequential(
        [
            Input((9, 9, 3)),
            Conv2D(7, 3, padding="same", use_bias=False),
            BatchNormalization(),
            ReLU(),
            Conv2D(10, 3, strides=2, padding="same"),
            BatchNormalization(scale=False),
            ReLU(),
            GlobalAveragePooling2D(),
            Dense(CLASSES),
        ]
    )


def residual() -> Model:
    x = Input((8, 8, 3))
    y = a = Conv2D(8, 3, padding="same", activation="relu")(x)
    for _ in range(2):
        y = BatchNormalization()(Conv2D(8, 3, padding="same")(y))
        y = a = Activation("relu")(Add()([y, a]))
    return Model(x, Dense(CLASSES)(GlobalAveragePooling2D()(y)))


def depthwise() -> Model:
    return Sequential(
        [
            Input((9, 9, 4)),
            SeparableConv2D(12, 3, padding="same", activation="relu"),
            DepthwiseConv2D(3, strides=2, depth_multiplier=2),
            BatchNormalization(),
            DepthwiseConv2D(3, padding="same"),
            GlobalAveragePooling2D(),
            Dense(CLASSES),
        ]
    )


def dropout() -> Model:
    return Sequential(
        [
            Input((8, 8, 3)),
            Conv2D(8, 3, activation="relu"),
            SpatialDropout2D(0.3),
            Flatten(),
            Dropout(0.5),
            Dense(40, activation="relu"),
            Dropout(0.2),
            Dense(CLASSES),
        ]
    )


def wide() -> Model:
    """Wide convolutions: by Winograd's tiles, direct, and with few images and many channels."""
    return Sequential(
        [
            Input((9, 9, 32)),
            Conv2D(40, 3, padding="same", use_bias=False),
            BatchNormalization(),
            ReLU(),
            Conv2D(33, 3, strides=2, activation="relu"),
            Conv2D(64, 3, padding="same", groups=1, activation="relu"),
            Conv2D(32, 2, dilation_rate=2),
            Flatten(),
            Dense(CLASSES),
        ]
    )


def large_dense() -> Model:
    return Sequential([Input((1024,)), Dense(1024, activation="relu"), Dense(CLASSES)])


def two_heads() -> Model:
    x = Input((10, 10, 2))
    y = Conv2D(6, 3, activation="relu")(x)
    return Model(x, [Dense(CLASSES)(Flatten()(y)), Dense(CLASSES)(GlobalAveragePooling2D()(y))])


def shared() -> Model:
    x = Input((8, 8, 6))
    layer, norm = Conv2D(6, 3, padding="same", activation="relu"), BatchNormalization()
    dense = Dense(CLASSES, activation="tanh")
    y = dense(GlobalAveragePooling2D()(norm(layer(layer(x)))))
    return Model(x, dense(Dense(6)(y)))


def transposed() -> Model:
    return Sequential(
        [
            Input((6, 6, 3)),
            Conv2D(30, 3, activation="relu"),
            Conv2DTranspose(26, 3, strides=2, activation="relu"),
            PReLU(),
            Conv2D(4, 3, strides=2),
            Flatten(),
            Dense(CLASSES),
        ]
    )


def frozen_norm() -> Model:
    """Moving statistics, but gamma and beta learn; of an image, and of a vector."""
    x = Input((7, 7, 3))
    y = BatchNormalization()(Conv2D(9, 3)(x), training=False)
    y = Dense(11)(Flatten()(y))
    return Model(x, Dense(CLASSES)(BatchNormalization()(y, training=False)))


NETWORKS = [
    lenet, normed, residual, depthwise, dropout, wide, large_dense, two_heads, shared, transposed, frozen_norm
]  # fmt: skip


# ---- a program, and copies of it for the parts


class Table:
    """What a network's training is in C, to be made with arrays of its own as often as it is wanted."""

    def __init__(self, model: Model) -> None:
        x = np.zeros((1, *model.input_shape[1:]), np.float32)
        program = Programs().find(model, [x], True)
        assert program is not None
        assert program.heads is not None
        self.tensors = program.heads.tensors
        self.ops, self.sizes, self.inputs, _, self.outputs = program.heads.last._table

    def copy(self, wanted: bool = False) -> Copy:
        return Copy(self, wanted)


class Copy:
    def __init__(self, table: Table, wanted: bool) -> None:
        """``wanted``: gradients of the inputs too."""
        self.table = table
        self.arrays: dict[int, np.ndarray] = {}
        ops = []
        for op in table.ops:
            own = dict(op)
            own["weights"] = [self._own(w) for w in op.get("weights", ())]
            own["gradients"] = [self._own(g, np.nan) for g in op.get("gradients", ())]
            if op.get("random") is not None:
                own["random"] = _kernels.Stream(7, 3)
            ops.append(own)
        asked = [wanted] * len(table.inputs)
        self.program = _kernels.Program(ops, table.sizes, table.inputs, asked, table.outputs)

    def _own(self, array: np.ndarray | None, fill: float | None = None) -> np.ndarray | None:
        if array is None or id(array) in self.arrays:
            return None if array is None else self.arrays[id(array)]
        own = self.arrays[id(array)] = roomy_zeros(array.shape)
        own[...] = array if fill is None else fill
        return own

    def outputs(self, images: int) -> list[np.ndarray]:
        return [np.full((images, *self.table.sizes[n]), np.nan, np.float32) for n in self.table.outputs]

    def ways(self, images: int) -> set[str]:
        return {row["way"] for row in self.program.describe(images, True)[0]}


class Meeting:
    """Where the parts of a batch exchange their sums."""

    def __init__(self, parts: int) -> None:
        self.messages: dict[tuple[int, int], queue.Queue] = {
            (to, of): queue.Queue() for to in range(parts) for of in range(parts)
        }

    def of(self, number: int) -> Callable[[int, memoryview, memoryview], None]:
        def exchange(level: int, mine: memoryview, theirs: memoryview) -> None:
            partner = number ^ 1 << level
            self.messages[partner, number].put(bytes(mine))
            theirs[:] = self.messages[number, partner].get(timeout=60)

        return exchange


def in_parts(N: int, parts: int, work: Callable[[_kernels.Part], Any]) -> list[Any]:
    """What ``work`` makes of each part, all at work at once."""
    meeting = Meeting(parts)
    results: list[Any] = [None] * parts

    def run(number: int) -> None:
        try:
            results[number] = work(_kernels.Part(N, parts, number, meeting.of(number)))
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def everything(table: Table, N: int, parts: int | None) -> dict[str, Any]:
    """All that training makes of a batch, and then forward and backward by themselves; of parts joined.

    What all parts must have alike is compared here, to the bit.
    """
    random = np.random.default_rng(3)
    x = [random.normal(size=(N, *table.sizes[n])).astype(np.float32) for n in table.inputs]
    labels = random.integers(CLASSES, size=(N, 1, 1))
    weights = random.uniform(0.5, 2, N).astype(np.float32)
    rows = random.normal(size=(N, 1, 1, CLASSES)).astype(np.float32)
    dy = [random.normal(size=(N, *table.sizes[n])).astype(np.float32) for n in table.outputs]

    def work(part: _kernels.Part | None) -> tuple[dict[str, Any], dict[str, Any]]:
        first, images = (0, N) if part is None else (part.first, part.images)
        mine = slice(first, first + images)
        copy, here, alike = table.copy(), {}, {}
        inputs = [np.ascontiguousarray(array[mine]) for array in x]
        outputs, losses, values = copy.outputs(images), [], []
        for i, tensor in enumerate(table.tensors):
            values.append(np.full(images, np.nan, np.float32))
            given = (labels[mine], None) if i == 0 else (None, rows[mine])
            kind = "softmax_cross_entropy" if i == 0 else "squared"
            losses.append((kind, tensor, 0.0, (0.0, 0.0), *given, weights[mine], 1 / N, values[-1]))
        alike["totals"] = copy.program.train(inputs, outputs, losses, part).totals
        for array in copy.arrays.values():
            assert not np.isnan(array).any()  # gradients are filled
        alike |= {f"array {i}": array.tobytes() for i, array in enumerate(copy.arrays.values())}
        here |= {f"y {i}": array for i, array in enumerate(outputs)}
        here |= {f"loss {i}": array for i, array in enumerate(values)}

        copy = table.copy(wanted=True)
        outputs, dx = copy.outputs(images), [np.full_like(array, np.nan) for array in inputs]
        run = copy.program.run(inputs, outputs, True, part)
        run.backward([np.ascontiguousarray(array[mine]) for array in dy], dx)
        alike |= {f"array {i} of backward": array.tobytes() for i, array in enumerate(copy.arrays.values())}
        here |= {f"dx {i}": array for i, array in enumerate(dx)}
        return here, alike

    results = [work(None)] if parts is None else in_parts(N, parts, work)
    for _, alike in results[1:]:
        assert alike == results[0][1], "parts differ"
    joined = {name: np.concatenate([here[name] for here, _ in results]).tobytes() for name in results[0][0]}
    return joined | results[0][1]


# ---- tests


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_parts_of_a_batch_have_the_same_bits_as_the_batch(network: Callable[[], Model]) -> None:
    set_random_seed(5)
    table = Table(network())
    for isa in each_isa():
        for N in BATCHES:
            expected = everything(table, N, None)
            assert not any(np.isnan(total) for total in expected["totals"])
            for threads in (1, 2) if N in (20, 32) else (1,):
                with fastconv.set_num_threads(threads):
                    for parts in PARTS:
                        found = everything(table, N, parts)
                        wrong = [name for name in expected if found[name] != expected[name]]
                        assert not wrong, f"{isa}, {N} images, {parts} parts, {threads} threads: {wrong}"


def test_all_ways_are_among_the_networks() -> None:
    set_random_seed(5)
    found = {network.__name__: Table(network()).copy().ways(32) for network in NETWORKS}
    assert found["lenet"] == {"lanes", "pixels"}
    assert found["wide"] >= {"whole"}
    assert Table(normed()).copy().ways(1) == {"pixels"}


def test_sums_are_those_of_the_tree() -> None:
    """The bias of a dense layer's gradient is the plainest sum: leaves in order, then pairs."""
    N = 40  # leaves of 4
    table = Table(Sequential([Input((3,)), Dense(CLASSES)]))
    dy = np.random.default_rng(1).normal(size=(N, 1, 1, CLASSES)).astype(np.float32)
    leaves = []
    for first in range(0, N, 4):
        leaf = np.zeros(CLASSES, np.float32)
        for image in range(first, min(N, first + 4)):
            leaf = leaf + dy[image, 0, 0]
        leaves.append(leaf)
    while len(leaves) > 1:
        leaves = [sum(leaves[i + 1 : i + 2], leaves[i]) for i in range(0, len(leaves), 2)]
    for _ in each_isa():
        copy = table.copy()
        copy.program.run([np.zeros((N, 1, 1, 3), np.float32)], copy.outputs(N), True).backward([dy], [None])
        bias = next(
            a for op in table.ops for a in op.get("gradients", ()) if a is not None and a.size == CLASSES
        )
        np.testing.assert_array_equal(copy.arrays[id(bias)], leaves[0])


@pytest.mark.parametrize("N", [1, 4, 5, 8, 20, 33, 64, 65, 1000])
def test_parts_are_aligned_and_cover_the_batch(N: int) -> None:
    leaf = 4
    while leaf * 16 < N:
        leaf *= 2
    for parts in (1, 2, 4, 8, 16):
        end = 0
        room = _kernels.Part(16 * leaf * parts, parts, 0, print).images
        assert room & (room - 1) == 0
        for number in range(parts):
            part = _kernels.Part(N, parts, number, print)
            assert part.first == end
            assert part.first % leaf == 0 or part.images == 0
            end += part.images
        assert end == N


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0), "at least one image; got N=0"),
        ((8, 3, 0), "1, 2, 4, ... or 16 parts; got parts=3"),
        ((8, 32, 0), "got parts=32"),
        ((8, 2, 2), "numbered from 0; got number=2"),
        ((8, 2, -1), "got number=-1"),
    ],
)
def test_parts_that_there_are_not(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        _kernels.Part(*arguments, print)


def test_images_of_another_part_are_refused() -> None:
    copy = Table(large_dense()).copy()
    part = _kernels.Part(20, 2, 1, print)
    with pytest.raises(
        ValueError, match="part 1 of 2 of a batch of 20 images has 4, from number 16 on; got 16"
    ):
        copy.program.run([np.zeros((16, 1, 1, 1024), np.float32)], copy.outputs(16), False, part)


def test_a_failed_exchange_fails_the_run_and_leaves_statistics_alone() -> None:
    def exchange(level: int, mine: memoryview, theirs: memoryview) -> None:
        raise ConnectionError("no other part")

    for threads in (1, 2):
        with fastconv.set_num_threads(threads):
            table = Table(normed())
            copy = table.copy()
            weights = [a for op in table.ops for a in op.get("weights", ()) if a is not None]
            part = _kernels.Part(64, 2, 0, exchange)
            with pytest.raises(ConnectionError, match="no other part"):
                copy.program.run([np.ones((32, 9, 9, 3), np.float32)], copy.outputs(32), True, part)
            for array in weights:
                np.testing.assert_array_equal(copy.arrays[id(array)], array)
