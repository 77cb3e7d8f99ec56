"""The frameworks that are raced, each in a module of its own, and the settings in which each is raced.

A module has the class ``RivalNetwork`` and, where the framework is raced on single layers, ``RivalLayer``: a
``Contestant`` has a step for each mode to be timed. Modules import their framework at their top, so they are
imported in the worker process alone, after its environment is set.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from benchmarks import CHECKOUT
from benchmarks.description import Weights

MOMENTUM = 0.9  # of all training steps, in Nesterov's form


class Rival(NamedTuple):
    """One setting of a framework."""

    family: str  # the framework, as tables name it
    module: str  # in this package
    needs: tuple[str, ...]  # what must be installed
    setting: Mapping[str, Any] = {}
    races_layers: bool = True  # besides whole networks

    def missing(self) -> list[str]:
        return [name for name in self.needs if find_spec(name) is None]


RIVALS = {
    "fastconv": Rival("fastconv", "ours", ()),
    "torch": Rival("PyTorch", "pytorch", ("torch",)),
    "torch-channels-last": Rival("PyTorch", "pytorch", ("torch",), {"channels_last": True}),
    "torch-compile": Rival("PyTorch", "pytorch", ("torch",), {"compiled": True}, races_layers=False),
    "torch-compile-channels-last": Rival(
        "PyTorch", "pytorch", ("torch",), {"compiled": True, "channels_last": True}, races_layers=False
    ),
    "onnxruntime": Rival("ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx")),
    "onnxruntime-bound": Rival(
        "ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx"), {"bound": True}, races_layers=False
    ),
    "keras-jax": Rival("Keras/JAX", "keras_jax", ("keras", "jax"), races_layers=False),
    "numpy": Rival("NumPy", "numpy_im2col", ()),
}


class Contestant(ABC):
    """A network or a layer in one framework, ready to run."""

    @abstractmethod
    def steps(self) -> dict[str, Callable[[int], object]]:
        """What is timed: for each mode, a function of the number of the step."""

    @abstractmethod
    def results(self) -> dict[str, np.ndarray]:
        """What is compared before anything is timed, in the common layout."""


class NetworkContestant(Contestant):
    """A network that infers, and, unless ``train`` is None, learns."""

    train: Callable[[int], float] | None  # returns the loss before the step

    @abstractmethod
    def infer(self, i: int) -> object:
        """The outputs for batch ``i``, in the framework's own kind of array."""

    @abstractmethod
    def outputs(self) -> np.ndarray:
        """``infer(0)`` as a NumPy array, channels last."""

    @abstractmethod
    def weights(self) -> Weights:
        """Copies of the weights, in the common layout."""

    def steps(self) -> dict[str, Callable[[int], object]]:
        return {"inference": self.infer} | ({"train": self.train} if self.train else {})

    def results(self) -> dict[str, np.ndarray]:
        """Outputs, two training steps' losses, and how much they change each weight.

        Two, so that momentum has its say.
        """
        found = {"outputs": self.outputs()}
        if self.train:
            before = self.weights()
            found["losses"] = np.array([self.train(i) for i in range(2)])
            changes = [after - b for after, b in zip(self.weights(), before, strict=True)]
            found |= {f"change of weight {i}": change for i, change in enumerate(changes)}
        return found


class LayerContestant(Contestant):
    """A convolution and its two gradients, on fixed operands."""

    @abstractmethod
    def steps(self) -> dict[str, Callable[[int], object]]: ...

    @abstractmethod
    def to_numpy(self, mode: str, result: Any) -> np.ndarray:
        """What a step returned, as NHWC or HWIO."""

    def results(self) -> dict[str, np.ndarray]:
        return {mode: self.to_numpy(mode, step(0)) for mode, step in self.steps().items()}


# Whom ``environment`` can hold to an instruction set; fastconv is held to any.
FORCED = {
    "avx2": "fastconv; PyTorch: ATen, oneDNN, MKL and the code of torch.compile; XLA; OpenBLAS. "
    "Not ONNX Runtime, which has no such setting, nor NumPy's own loops"
}


@cache
def _compiled() -> TemporaryDirectory[str]:
    """For what torch.compile makes, of this run alone: what another run left may crash, as has been seen."""
    return TemporaryDirectory()


def environment(threads: int, isa: str | None) -> dict[str, str]:
    """The environment of a worker: as many threads, and, where it can be told, no more than that instruction
    set: see FORCED.
    """
    found = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    found["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *filter(None, [found.get("PYTHONPATH")])])
    for library in ("FASTCONV", "OMP", "MKL", "OPENBLAS"):
        found[f"{library}_NUM_THREADS"] = str(threads)
    xla = [] if threads > 1 else ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"]
    if isa is not None:
        found["FASTCONV_ISA"] = isa
    if isa == "avx2":
        found |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"}
        found |= {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "TORCHINDUCTOR_CPP_MARCH": "haswell"}
        xla.append("--xla_cpu_max_isa=AVX2")
    found["TORCHINDUCTOR_CACHE_DIR"] = _compiled().name
    found |= {"XLA_FLAGS": " ".join(xla), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    return found
