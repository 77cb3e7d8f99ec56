"""Arguments that several commands share, and the values they may have."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from fastconv.cli.data import NAMES


def whole_number(minimum: int) -> Callable[[str], int]:
    """A parser of whole numbers of at least ``minimum``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return value

    return parse


def positive_number(text: str) -> float:
    """A parser of numbers greater than zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return value


def add_data(parser: argparse.ArgumentParser, purpose: str, otherwise: str) -> None:
    """``--data``; None where it was not given, which means ``otherwise``."""
    parser.add_argument("--data", choices=NAMES, help=f"{purpose} (default: {otherwise})")


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=whole_number(1), metavar="N", help="threads to use; results do not depend on it"
    )


def use_threads(arguments: argparse.Namespace) -> None:
    """Do as ``--threads`` says."""
    from fastconv import set_num_threads

    if arguments.threads is not None:
        set_num_threads(arguments.threads)
