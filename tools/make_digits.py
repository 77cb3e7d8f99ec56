"""Make fastconv/datasets/digits.npz, the data set that travels with the package.

    python -m pip install scikit-learn && python tools/make_digits.py

scikit-learn carries the test part of UCI's "Optical Recognition of Handwritten Digits": 1,797 images of 8×8
pixels, each pixel the number (0..16) of ink dots in its 4×4 cell of the scanned 32×32 bitmap. They are stored
as they are; what the network sees (28×28, 0..255) is computed on loading, in fastconv/datasets/digits.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "fastconv" / "datasets" / "digits.npz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        parser.error("scikit-learn is not installed: python -m pip install scikit-learn")
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    assert images.shape == (1797, 8, 8)
    assert images.max() == 16
    assert (images == bunch.images).all()
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.savez_compressed(TARGET, images=images, labels=labels)  # the same bytes each time: entries dated 1980
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, {len(images):,} images")


if __name__ == "__main__":
    main()
