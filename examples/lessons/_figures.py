"""What the figures of these lessons share: size, style, and where they go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOTS_PER_INCH = 100  # so that 9 inches are as wide as a notebook
COLORS = ["tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown"]
DASHES = ["-", (0, (6, 1)), (0, (4, 2)), "-.", (0, (3, 1, 1, 1, 1, 1)), ":"]  # for lines upon each other


def figure(width: float = 9.0, rows: int = 1, columns: int = 1, height: float = 3.2) -> tuple[Any, Any]:
    """A matplotlib figure and its axes, an array (rows, columns): ``width`` inches, each row ``height``.

    It needs no screen. Raises ImportError, which says what to install, where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: python -m pip install 'fastconv[plot]'") from error
    fig = Figure(figsize=(width, rows * height), dpi=DOTS_PER_INCH, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_prop_cycle(color=COLORS, linestyle=DASHES)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return fig, axes


def save(fig: Any, folder: Path, name: str) -> Path:
    """Write ``folder``/``name``.png, say so, and return its path. Epochs are ticked at whole numbers."""
    for axis in fig.get_axes():
        if axis.get_xlabel() == "epoch":
            axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    fig.savefig(path)
    print(f"figure: {path}")
    return path
