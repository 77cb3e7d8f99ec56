"""A number for the sources that the kernels are compiled from: compiled in, and compared at import.

setup.py runs this file by itself, before there is a package to import; it needs the standard library alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def fingerprint(checkout: Path = CHECKOUT) -> int | None:
    """A number of 60 bits for the texts of csrc/**/*.[ch] and fastconv/_kernels.pyx.

    None where there are none, as in an installed package.
    """
    sources = sorted([*checkout.glob("csrc/**/*.[ch]"), *checkout.glob("fastconv/_kernels.pyx")])
    if not sources:
        return None
    digest = hashlib.sha256()
    for source in sources:
        text = source.read_bytes()
        digest.update(f"{source.relative_to(checkout).as_posix()} {len(text)}\n".encode() + text)
    return int(digest.hexdigest()[:15], 16)
