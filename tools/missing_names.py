"""Write the section "Names" of docs/keras-differences.md from the table in fastconv/_core/missing.py.

python tools/missing_names.py            prints it
python tools/missing_names.py --update   puts it into the page
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastconv._core.missing import GROUPS

PAGE = Path(__file__).parents[1] / "docs" / "keras-differences.md"
HEADING = "## Names\n"
INTRODUCTION = """
What Keras has and fastconv has not is an `AttributeError`, or an `ImportError` where it is imported, that
says what to use instead. `python tools/missing_names.py --update` writes this table of the answers. Functions
on arrays, in `ops` and in the old `backend`, are NumPy's, under the same names: `np.sum`, `np.reshape`.

| in | names | instead |
|---|---|---|
"""


def section() -> str:
    """The section, from its heading to its end."""
    rows = []
    for group in GROUPS:
        modules = ", ".join(
            f"`{module}`" if module != "." else "`fastconv`" for module in group.modules.split()
        )
        names = ", ".join(f"`{name}`" for name in group.names.split())
        remedy = group.remedy.replace("*", "\\*").replace("{name}", "*name*")
        rows.append(f"| {modules} | {names} | {remedy} |\n")
    return HEADING + INTRODUCTION + "".join(rows)


def updated(page: str) -> str:
    """The page with this section at its end."""
    before, _, _ = page.partition(HEADING)
    return before.rstrip("\n") + "\n\n" + section()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write it into the page")
    if parser.parse_args().update:
        PAGE.write_text(updated(PAGE.read_text()))
    else:
        print(section(), end="")
