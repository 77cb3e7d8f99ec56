"""What these lessons do alike: their options, and how they say what is claimed and what they found."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import fastconv as fc


def options(description: str, image: bool = False) -> argparse.Namespace:
    """The command line: ``quick``, ``out`` and ``seed``, with ``image`` that too. The seed is set as well."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small version, for a first look")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    if image:
        parser.add_argument("--image", type=Path, help="a photograph of your own to look at")
    chosen = parser.parse_args()
    fc.utils.set_random_seed(chosen.seed)
    return chosen


def claim(text: str) -> None:
    """What the textbooks say."""
    _say("claim", text)


def found(text: str) -> None:
    """What this run found."""
    _say("found", text)


def verdict(claimed: str, measured: str, holds: bool) -> None:
    """Print what the textbooks say, what this run measured, and whether the two agree."""
    claim(claimed)
    found(measured)
    print(f"holds: {'yes' if holds else 'no'}\n")


def _say(label: str, text: str) -> None:
    print(textwrap.fill(text, 100, initial_indent=f"{label}: ", subsequent_indent=" " * 7))
