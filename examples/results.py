"""The files that the longer runs write: the numbers of every epoch with the command, and a picture."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastconv


def add_results_option(parser: argparse.ArgumentParser) -> None:
    """``--results FOLDER``, for ``save_results``."""
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        type=Path,
        default=Path("results"),
        help="write numbers and picture there (default: results, in this folder)",
    )


def save_results(
    directory: Path,
    name: str,
    title: str,
    history: dict[str, Any],
    seconds: float,
    draw: Callable[[Any], None] | None = None,
    seed: int | None = None,
) -> None:
    """Write ``name``.json and, where matplotlib is installed, ``name``.png into ``directory``.

    ``history`` is that of ``fit``, with validation, or something else that ``draw(figure)`` draws.
    """
    directory.mkdir(parents=True, exist_ok=True)
    facts = {
        "title": title,
        "seconds": round(seconds, 1),
        "CPU seconds": round(time.process_time(), 1),  # of the whole process, all threads together
        "seed": seed,
        **_circumstances(),
        "history": history,
    }
    (directory / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    try:
        _picture(directory / f"{name}.png", title, draw or (lambda figure: curves(figure, history)))
    except ImportError:
        print("no picture: it needs matplotlib (python -m pip install 'fastconv[plot]')")
    print(f"results are in {directory / name}.*")


def save_pretrained(
    path: Path, model: fastconv.Sequential, data: str, test_accuracy: float, seed: int
) -> None:
    """Write the weights to ``path`` with notes on how they were made; ``weights=path`` loads them.

    ``data`` is the data set the network was trained on, ``test_accuracy`` what ``model.evaluate`` gives for
    its test images. Written to fastconv/applications/weights/<network>/<name>.safetensors, they come with the
    package.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {
        "data": data,
        "test accuracy": round(test_accuracy, 4),
        "input_shape": list((model.input_shape or ())[1:]),
        "classes": (model.output_shape or (None,))[-1],
        "seed": seed,
        **_circumstances(),
        "date": datetime.date.today().isoformat(),
    }
    model.save_weights(path, notes=notes)
    print(f"the weights are in {path}")


def _circumstances() -> dict[str, Any]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "fastconv": fastconv.__version__,
        "instruction set": fastconv.get_isa(),
        "threads": fastconv.get_num_threads(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
    }


def _processor() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _picture(path: Path, title: str, draw: Callable[[Any], None]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    figure.suptitle(title)
    draw(figure)
    figure.savefig(path, dpi=120)


def curves(figure: Any, history: dict[str, Any]) -> None:
    """Loss and accuracy in every epoch; and the accuracy of averaged predictions, where there is one."""
    axes = figure.subplots(1, 2)
    epochs = range(1, len(history["loss"]) + 1)
    style = "o-" if len(epochs) < 30 else "-"
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, history[measure], style, label="training")
        axis.plot(epochs, history[f"val_{measure}"], style, label="test")
        axis.set(xlabel="epoch", ylabel=measure)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.grid(alpha=0.3)
    if "averaged_accuracy" in history:
        averaged = history["averaged_accuracy"]
        axes[1].axhline(averaged, color="C2", linestyle="--", label=f"test, averaged: {averaged:.2%}")
    for axis in axes:
        axis.legend()
