"""Run the notebooks in examples/notebooks anew and keep what they print, or check that they still print it.

    python -m pip install nbclient ipykernel matplotlib
    python tools/run_notebooks.py [--check] [NOTEBOOK ...]

``--check`` writes nothing. It fails where a cell raises an error, or where its output is not of the kind that
is kept: other lines of text, a picture gone. Numbers in the text may differ, for they are those of a machine:
how fast it was, how it rounds.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
LONGEST_CELL = 120  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with what is kept, and write nothing")
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    arguments = parser.parse_args()
    try:
        import nbformat
    except ImportError:
        parser.error("nbformat is not installed: python -m pip install nbclient ipykernel matplotlib")
    if missing := [str(path) for path in arguments.notebooks if not path.is_file()]:
        parser.error(f"there is no notebook {', '.join(missing)}")
    wrong = []
    for path in arguments.notebooks:
        kept = nbformat.read(path, as_version=4)
        fresh = executed(kept)
        if arguments.check:
            wrong += [f"{path.name}: {difference}" for difference in differences(kept, fresh)]
        else:
            nbformat.write(fresh, path)
        print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in fresh.cells)} cells ran")
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


def executed(notebook: Any) -> Any:
    """The notebook with the outputs of a run from top to bottom, in a process of its own.

    Raises ``nbclient.exceptions.CellExecutionError`` where a cell does.
    """
    import nbformat
    from nbclient import NotebookClient

    fresh = nbformat.from_dict(notebook)
    NotebookClient(
        fresh, timeout=LONGEST_CELL, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    for cell in fresh.cells:
        cell.metadata.pop("execution", None)  # when it ran
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return fresh


def differences(kept: Any, fresh: Any) -> Iterator[str]:
    """What a run printed otherwise than what is kept, in words."""
    cells = [cell for cell in kept.cells if cell.cell_type == "code"]
    again = [cell for cell in fresh.cells if cell.cell_type == "code"]
    for number, (old, new) in enumerate(zip(cells, again, strict=True), 1):
        before, after = shape_of_outputs(old.outputs), shape_of_outputs(new.outputs)
        if before != after:
            yield f"cell {number} printed\n{after}\n  and what is kept is\n{before}"


def shape_of_outputs(outputs: Any) -> str:
    """What is left of outputs when all that may differ between two runs is taken out."""
    lines = []
    for output in outputs:
        if output.output_type == "stream":
            lines.append(_without_numbers(output.text))
        else:
            lines += [f"<{kind}>" for kind in sorted(output.data) if kind != "text/plain"]
            lines.append(_without_numbers(output.data.get("text/plain", "")))
    return "\n".join(lines)


def _without_numbers(text: str) -> str:
    text = re.sub(r"\[[\d:]+<[^\]]*\]", "[]", text)  # how fast, at the end of a progress bar
    text = re.sub(r" +", " ", text)  # columns are as wide as their numbers
    return re.sub(r"-?\d+(\.\d*)?(e[+-]?\d+)?", "#", text)


if __name__ == "__main__":
    sys.exit(main())
