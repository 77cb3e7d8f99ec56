"""What everyone must get right before being timed: probabilities, losses, and what training changes.

A network of rectifiers and maxima decides: is this score positive, which pixel of this window is largest?
Among a hundred thousand decisions on random images some are so close that float32's rounding makes them, in
each framework otherwise, and gradients that are all correct differ by per cents: too much for a check that
shall find a wrong one. So the images of the check are chosen. Of some hundred candidates those are taken
whose closest decision is the least close (``margins``), a few times what rounding can move; copies of them,
in random order and with random labels, fill a batch of the size that is timed. The second step has images of
its own, chosen with the weights as the first step leaves them. Then there is one right answer, NumPy's in
float64, and float32 comes to within some 1e-4 of it in every framework and at every batch size.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.layers import layer_operands
from benchmarks.networks import NETWORKS, Batch, Network
from benchmarks.rivals import numpy_im2col

CANDIDATES, CHOSEN = 256, 4  # images: looked at, and taken
CHUNK = 8  # images at a time, or their patches fill the memory
# Of the steps compared. The smaller it is the more of a change is lost in rounding the weight; with a larger
# one the second step's loss passes -log(1e-7), where Keras and fastconv clip and others do not.
LEARNING_RATE = 0.02

# Of the norm. Seen in float32: some 1e-4 at most in what training changes, and 1e-6 in the rest; a gradient
# that is wrong by 1 % is off by 1e-2.
TOLERANCE = 1e-4
CHANGE_TOLERANCE = 1e-3


class Check(NamedTuple):
    """The batches to be seen, one a step (none by a single layer, which has operands), and the results."""

    batches: list[Batch]
    expected: dict[str, np.ndarray]


def check(subject: str, batch: int) -> Check:
    """The check of a network or of a convolution layer, by name, at this batch size."""
    if subject in NETWORKS:
        return network_check(NETWORKS[subject], batch)
    operands = (array.astype(np.float64) for array in layer_operands(subject, batch))
    return Check([], numpy_im2col.RivalLayer(*operands).results())


def network_check(network: Network, batch: int) -> Check:
    """Nothing random: dropout is left out, by the contestants as well."""
    network = network.without_dropout()
    weights = network.initial_weights()
    guide = numpy_im2col.RivalNetwork(network, weights, [], LEARNING_RATE)  # float32 will do to choose
    seen: list[Batch] = []
    for step in range(2):
        seen.append(clear_batch(guide, network, batch, seed=10 + step))
        guide.learn(*seen[step])
    solver = numpy_im2col.RivalNetwork(network, weights, seen, LEARNING_RATE, dtype=np.float64)
    return Check(seen, solver.results())


def clear_batch(guide: numpy_im2col.RivalNetwork, network: Network, batch: int, seed: int) -> Batch:
    """Images that ``guide``, which is the network, decides clearly, each about equally often."""
    rng = np.random.default_rng(seed)
    # Around zero, so that few maps are always on or always off.
    candidates = rng.uniform(-1, 1, (CANDIDATES, *network.input_shape)).astype(np.float32)
    parts = np.split(candidates, range(CHUNK, CANDIDATES, CHUNK))
    found = np.concatenate([margins(guide, part) for part in parts])
    chosen = np.argsort(-found)[:CHOSEN]
    places = rng.permutation(np.resize(chosen, batch))
    return candidates[places], rng.integers(0, network.classes, batch)


def margins(guide: numpy_im2col.RivalNetwork, images: np.ndarray) -> np.ndarray:
    """For each image, how far its closest decision is from falling otherwise.

    A decision's distance is |score| at a rectifier, and the largest pixel of a window over the second; its
    unit is the root of the mean square of that layer's scores, to which rounding errors are in proportion.
    """
    closest = np.full(len(images), np.inf)
    x = images
    for stage in guide.stages:
        x = stage.forward(x, training=True)
        distances = stage.decisions()
        if distances is not None:
            closest = np.minimum(closest, distances.reshape(len(images), -1).min(1))
    return closest


def fault(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the results, or None.

    Errors are norms of differences over norms: of every kernel, every bias, by itself.
    """
    errors = {
        name: float(np.linalg.norm(found[name] - expected[name]) / np.linalg.norm(expected[name]))
        for name in found
    }
    wrong = {name: error for name, error in errors.items() if not error <= _tolerance(name)}  # NaN is wrong
    if not wrong:
        return None
    excess = {name: error / _tolerance(name) for name, error in wrong.items()}
    worst = max(excess, key=lambda name: excess[name] if np.isfinite(excess[name]) else np.inf)
    return f"{worst} is off by {wrong[worst]:.1e} of its norm, where {_tolerance(worst):.0e} is allowed"


def _tolerance(name: str) -> float:
    return CHANGE_TOLERANCE if name.startswith("change") else TOLERANCE


def save_batches(path: Path, seen: list[Batch]) -> None:
    np.savez(path, *(array for batch in seen for array in batch))


def load_batches(path: str) -> list[Batch]:
    with np.load(path) as file:
        arrays = [file[name] for name in file]  # in the order they were given
    return list(zip(arrays[::2], arrays[1::2], strict=True))
