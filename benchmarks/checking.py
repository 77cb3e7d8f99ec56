"""What everyone must get right before being timed: outputs, losses, and what training changes.

A network of rectifiers and maxima decides: is this score positive, which pixel of this window is largest?
Among a hundred thousand decisions on random images some are so close that float32's rounding makes them, in
each framework otherwise, and gradients that are all correct differ by per cents: too much for a check that
shall find a wrong one. So the images of the check are chosen. Of some hundred candidates those are taken
whose closest decision is the least close (``margins``), a few times what rounding can move; copies of them,
in random order and with random labels, fill a batch of the size that is timed. The second step has images of
its own, chosen with the weights as the first step leaves them. Then there is one right answer, NumPy's in
float64, and float32 comes to within some 1e-4 of it in every framework and at every batch size.

Batch norm makes the decisions of an image depend on the others of its batch. There images are looked at in
groups, and the batch consists of equally many copies of each of one group, whose mean and variance are those
of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.description import KERNELS, STATISTICS, Batch, BatchNorm, Network, Weights
from benchmarks.layers import LAYER_NAMES, layer_operands
from benchmarks.networks import find
from benchmarks.rivals import MOMENTUM, numpy_im2col

CANDIDATES, CHOSEN = 256, 4  # images: looked at, and taken
ATTEMPTS = 5
MIXED = 2  # taken where batch norm mixes them: the more, the closer is the closest decision of them all
CHUNK = 8  # images at a time, or their patches fill the memory
# How much the first step changes the kernel that it changes most, of that kernel's norm; it sets the learning
# rate. The smaller it is, the more of a change is lost in rounding the weight. The first is taken with which
# no image's loss is near -log(1e-7), where Keras and fastconv clip and others do not.
CHANGES = (0.02, 0.005, 0.001)
LARGEST_LOSS = 10.0

# Of the norm. Seen in float32: some 1e-4 at most in what training changes, and 1e-6 in the rest; a gradient
# that is wrong by 1 % is off by 1e-2.
TOLERANCE = 1e-4
CHANGE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Check:
    """The batches to be seen, one a step (none by a single layer, which has operands), the results, and the
    learning rate.

    Errors are norms of differences, of every kernel, every bias, by itself, less ``rounding``, over the norm
    of what is expected, or over that in ``units``.
    """

    batches: list[Batch]
    expected: dict[str, np.ndarray]
    rate: float = 0.0
    units: dict[str, float] = field(default_factory=dict)
    rounding: dict[str, float] = field(default_factory=dict)

    def fault(self, found: dict[str, np.ndarray]) -> str | None:
        """What is wrong with the results, or None."""
        errors = {name: self.error(name, value) for name, value in found.items()}
        wrong = {
            name: error for name, error in errors.items() if not error <= _tolerance(name)
        }  # NaN is wrong
        if not wrong:
            return None
        excess = {name: error / _tolerance(name) for name, error in wrong.items()}
        worst = max(excess, key=lambda name: excess[name] if np.isfinite(excess[name]) else np.inf)
        return f"{worst} is off by {wrong[worst]:.1e} of its norm, where {_tolerance(worst):.0e} is allowed"

    def error(self, name: str, value: np.ndarray) -> float:
        expected = self.expected[name]
        off = float(np.linalg.norm(value - expected)) - self.rounding.get(name, 0.0)
        unit = self.units.get(name, float(np.linalg.norm(expected)))
        return 0.0 if off <= 0 else off / unit if unit else np.inf


def check(subject: str, batch: int) -> Check:
    """The check of a network or of a convolution layer, by name, at this batch size."""
    if subject not in LAYER_NAMES:
        return network_check(find(subject), batch)
    operands = (array.astype(np.float64) for array in layer_operands(subject, batch))
    return Check([], numpy_im2col.RivalLayer(*operands).results())


def network_check(network: Network, batch: int) -> Check:
    """Nothing random: dropout is left out, by the contestants as well.

    Of a deep network with many decisions, even the clearest images found may not be clear enough. So others
    are tried until NumPy's float32 comes to the same results as its float64.
    """
    network = network.without_dropout()
    weights = starting_weights(network)
    for attempt in range(ATTEMPTS):
        right = _attempt(network, weights, batch, seed=10 + 2 * attempt)
        single = numpy_im2col.RivalNetwork(network, weights, right.batches, right.rate)
        if right.fault(single.results()) is None:
            break
    return right


def _attempt(network: Network, weights: Weights, batch: int, seed: int) -> Check:
    dtype = np.float64 if network.mixes_images else np.float32  # which will do to choose single images
    guide = numpy_im2col.RivalNetwork(network, weights, [], 0.0, dtype)
    first = clear_batch(guide, network, batch, seed)
    for change in CHANGES:
        guide = numpy_im2col.RivalNetwork(network, weights, [], 0.0, dtype)
        guide.learning_rate = rate = change / _relative_step(guide, network, first)
        guide.learn(*first)
        second = clear_batch(guide, network, batch, seed + 1)
        if max(guide.losses(*second).max(), guide.losses(*first).max()) < LARGEST_LOSS:
            break
    else:
        raise ValueError(f"{network.name}: its loss is too steep for results to be compared")
    seen = [first, second]
    solver = numpy_im2col.RivalNetwork(network, weights, seen, rate, dtype=np.float64)
    expected = solver.results()
    names = [f"change of weight {i}" for i in range(len(weights))]
    units = {
        names[i]: float(max(np.linalg.norm(expected[names[i]]), np.linalg.norm(expected[names[other]])))
        for i, other in _compared_with(network)
    }
    # Each step rounds the new weight to float32, by up to half the distance to the next number.
    rounding = {
        name: len(seen) * 2**-24 * float(np.linalg.norm(weight))
        for name, weight in zip(names, weights, strict=True)
    }
    return Check(seen, expected, rate, units, rounding)


def _relative_step(guide: numpy_im2col.RivalNetwork, network: Network, batch: Batch) -> float:
    """How much a first step at a learning rate of 1 changes the kernel that it changes most, of its norm."""
    _, gradients = guide.gradients(*batch)
    kinds = [weight.kind for weight in network.weights() if weight.kind not in STATISTICS]
    steps = [
        (1 + MOMENTUM) * float(np.linalg.norm(gradient) / np.linalg.norm(value))
        for kind, gradient, value in zip(kinds, gradients, guide.learned, strict=True)
        if kind in KERNELS
    ]
    return max(steps)


def starting_weights(network: Network) -> Weights:
    """``network.initial_weights()``, with moving statistics near those of random images, as training leaves
    them: with others a deep network's values would vanish, and so would its errors.

    Not equal to them, for then training would hardly change them.
    """
    weights = network.initial_weights()
    if not network.mixes_images:
        return weights
    rng = np.random.default_rng(2)
    guide = numpy_im2col.RivalNetwork(network, weights, [], 0.0, dtype=np.float64)
    for stage in guide.chain.leaves():
        if isinstance(stage, numpy_im2col.BatchNormStage):
            stage.momentum = 0.0
    guide.chain.forward(rng.uniform(-1, 1, (CHUNK, *network.input_shape)), training=True)
    settled = guide.weights()
    for i, (kind, shape, _) in enumerate(network.weights()):
        if kind == "mean":
            settled[i] += np.sqrt(settled[i + 1]) * rng.uniform(-0.2, 0.2, shape)
        elif kind == "variance":
            settled[i] *= rng.uniform(0.7, 1.4, shape)
    return [weight.astype(np.float32) for weight in settled]


def _compared_with(network: Network) -> Iterator[tuple[int, int]]:
    """The numbers of weights whose gradients may cancel, each with that of a batch norm's bias, whose
    gradient is a sum of as many terms of the same size.

    A batch norm subtracts the bias of the layer below it. And it divides by the deviation of its input, which
    the scale of another batch norm below has multiplied.
    """
    number, before = 0, -1
    for layer, below in network.leaves():
        kinds = [weight.kind for weight in layer.weights(below)]
        if isinstance(layer, BatchNorm):
            yield from [(number, number + 1)] + ([(before, number + 1)] if before >= 0 else [])
        number += len(kinds)
        linear = getattr(layer, "activation", None) == "linear"
        before = number - 1 if linear and kinds[-1:] == ["bias"] else -1


def clear_batch(guide: numpy_im2col.RivalNetwork, network: Network, batch: int, seed: int) -> Batch:
    """Images that ``guide``, which is the network, decides clearly, each about equally often."""
    rng = np.random.default_rng(seed)
    # Around zero, so that few channels are always on or always off.
    candidates = rng.uniform(-1, 1, (CANDIDATES, *network.input_shape)).astype(np.float32)
    if network.mixes_images:
        size = MIXED if batch % MIXED == 0 else 1
        clearest = 0.0
        for group in np.arange(CANDIDATES).reshape(-1, size):
            margin = margins(guide, candidates[group], clearest).min()
            if margin >= clearest:
                chosen, clearest = group, margin
    else:
        parts = np.split(candidates, range(CHUNK, CANDIDATES, CHUNK))
        found = np.concatenate([margins(guide, part) for part in parts])
        chosen = np.argsort(-found)[:CHOSEN]
    places = rng.permutation(np.resize(chosen, batch))
    return candidates[places], network.labels(rng, batch)


def margins(guide: numpy_im2col.RivalNetwork, images: np.ndarray, enough: float = 0.0) -> np.ndarray:
    """For each image, how far its closest decision is from falling otherwise, or something below ``enough``.

    A decision's distance is |score| at a rectifier, and the largest pixel of a window over the second; its
    unit is the root of the mean square of that layer's scores, to which rounding errors are in proportion.
    """
    closest = np.full(len(images), np.inf)
    x = images.astype(guide.dtype, copy=False)
    for stage in guide.chain.stages:
        x = stage.forward(x, training=True)
        for leaf in stage.leaves():
            distances = leaf.decisions()
            if distances is not None:
                closest = np.minimum(closest, distances.reshape(len(images), -1).min(1))
        if closest.min() < enough:
            break
    return closest


def _tolerance(name: str) -> float:
    return CHANGE_TOLERANCE if name.startswith("change") else TOLERANCE


def save_batches(path: Path, seen: list[Batch]) -> None:
    np.savez(path, *(array for batch in seen for array in batch))


def load_batches(path: str) -> list[Batch]:
    with np.load(path) as file:
        arrays = [file[name] for name in file]  # in the order they were given
    return list(zip(arrays[::2], arrays[1::2], strict=True))
