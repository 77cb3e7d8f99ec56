"""A photograph to look at: one's own, or the one that comes with matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastconv.cli.images import read_image


def photograph(path: Path | None, longest: int = 300) -> np.ndarray:
    """A grey photograph (H, W), float32 in [0, 1], whose longer side has ``longest`` pixels.

    Without a ``path`` it is the portrait of Grace Hopper in front of a flag that matplotlib has among its
    sample data: an official photograph of the United States Navy, and so in the public domain.
    Raises ImportError without Pillow, and FileNotFoundError where matplotlib came without its sample data.
    """
    from PIL import Image

    if path is None:
        import matplotlib

        path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing: this matplotlib came without its sample data. Give a photograph of your "
                "own: --image FILE"
            )
    with Image.open(path) as file:
        width, height = file.size
    scale = longest / max(width, height)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return read_image(str(path), (*size, 1))[..., 0].astype(np.float32) / 255
