"""Pictures from files, as a network wants them."""

from __future__ import annotations

import numpy as np


def read_image(path: str, input_shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """The picture as bytes (H, W, C) of ``input_shape``: resized, grey for C = 1 and RGB for C = 3.

    Transparent parts count as white paper. ``invert`` turns dark on light into light on dark. Raises
    ImportError if Pillow is missing, and OSError or ValueError, naming the file, if it holds no picture.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("reading pictures needs Pillow: python -m pip install 'fastconv[images]'") from None
    height, width, channels = input_shape
    if channels not in (1, 3):
        raise ValueError(
            f"the network takes images of {channels} channels; pictures have 1 (grey) or 3 (RGB)"
        )
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: {error}") from error
    paper = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(paper, picture).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(input_shape)
    return 255 - pixels if invert else pixels
