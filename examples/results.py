"""What the longer runs leave behind: the numbers of every epoch, the command behind them, and a picture."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import fastconv

History = dict[str, list[float]]


def save_results(directory: Path, name: str, title: str, history: History, seconds: float) -> None:
    """Write ``name``.json and, where matplotlib is installed, ``name``.png into ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    facts = {
        "title": title,
        "command": " ".join(["python", *sys.argv]),
        "seconds": round(seconds, 1),
        "fastconv": fastconv.__version__,
        "instruction set": fastconv.get_isa(),
        "threads": fastconv.get_num_threads(),
        "machine": platform.machine(),
        "history": history,
    }
    (directory / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    try:
        _draw(directory / f"{name}.png", title, history)
    except ImportError:
        print("no picture: it needs matplotlib (python -m pip install 'fastconv[plot]')")
    print(f"results are in {directory / name}.*")


def _draw(path: Path, title: str, history: History) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    figure.suptitle(title)
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        epochs = range(1, len(history["loss"]) + 1)
        axis.plot(epochs, history[measure], "o-", label="training")
        axis.plot(epochs, history[f"val_{measure}"], "o-", label="test")
        axis.set(xlabel="epoch", ylabel=measure)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
