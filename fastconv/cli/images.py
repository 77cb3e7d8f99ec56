"""Pictures from files, as a network wants them."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv._core.files import check_readable

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_ORIENTATION = 0x0112  # EXIF's tag
_TURNS = {  # value of the tag -> what shows the picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF's tags
_WHITE_IS_ZERO, _UNSIGNED = 0, 1  # values of the last two


def read_image(path: str, input_shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """The picture as bytes (H, W, C) of ``input_shape``: upright, resized, grey for C = 1 and RGB for C = 3.

    Transparent parts count as white paper; of an animation, or of several pages, the first counts. Grey of
    more than 8 bits is scaled: white is the largest value of its format, or where the format leaves that open
    (floats, 32 bits) the smallest of 1, 255, 65535 and so on that none exceeds. ``invert`` turns dark on
    light into light on dark.

    Raises ImportError if Pillow is missing, and OSError or ValueError that names the file if it cannot be
    read as a picture.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError("reading pictures needs Pillow: python -m pip install 'fastconv[images]'") from None
    height, width, channels = input_shape
    if channels not in (1, 3):
        raise ValueError(
            f"the network takes images of {channels} channels; pictures have 1 (grey) or 3 (RGB)"
        )
    check_readable(path, "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of a size that can still be read
            # Given a name instead of a file, Pillow 13 mixes up the pixels of TIFF files that it has to turn.
            with open(path, "rb") as file, Image.open(file) as decoder:
                picture = _upright(decoder)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture, or of a format that Pillow does not know") from None
    except Exception as error:  # decoders raise all kinds, most of them without the file's name
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path}: cannot read this picture: {reason}") from error
    paper = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(paper, picture).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(input_shape)
    return 255 - pixels if invert else pixels


def _upright(file: Picture) -> Picture:
    """The picture in RGBA, turned as its EXIF data say."""
    from PIL import Image

    file.load()  # of a TIFF file, this turns it
    turn = None
    with suppress(Exception):  # metadata may be damaged where the picture is not
        turn = _TURNS.get(file.getexif().get(_ORIENTATION, 1))
    picture = _rgba(file)
    return picture if turn is None else picture.transpose(Image.Transpose[turn])


def _rgba(picture: Picture) -> Picture:
    """The picture in RGBA, with the ways that Pillow's ``convert`` does not know or takes wrongly."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(picture)
    if picture.mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        turned: Any = ImageCms.profileToProfile(picture, lab, rgb, outputMode="RGB")
        picture = turned
    if picture.mode == "La":  # grey, multiplied by its opacity
        picture = picture.convert("LA")
    if picture.mode == "RGBX":  # of which the last channel means nothing
        picture = picture.convert("RGB")
    return picture.convert("RGBA")


def _grey(picture: Picture) -> Picture:
    """Grey of 16 or 32 bits, whole numbers or floats, in RGBA."""
    from PIL import Image

    tags: Any = getattr(picture, "tag_v2", {})  # of a TIFF file
    values = np.asarray(picture)
    if tags.get(_BITS) == (32,) and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)) == (_UNSIGNED,):
        values = values.astype(np.int32).view(np.uint32)
    values = values.astype(np.float64)
    white = _white(picture, tags, values)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = white - values
    bytes_ = np.rint(values * (255 / white)).astype(np.uint8)
    opacity = np.full_like(bytes_, 255)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        opacity[values == transparent] = 0
    return Image.fromarray(np.stack([bytes_, bytes_, bytes_, opacity], axis=-1))


def _white(picture: Picture, tags: Any, values: np.ndarray) -> float:
    """The value that stands for white. ValueError where there is none."""
    darkest, lightest = values.min(), values.max()
    if not darkest >= 0:
        raise ValueError(f"its grey values go from {darkest:g} to {lightest:g}; 0 should be black")
    if picture.mode == "F":
        whites = [1, 255, 65535]
    elif tags.get(_BITS, (32,)) != (32,):
        signed = tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)) != (_UNSIGNED,)
        whites = [2 ** (tags[_BITS][0] - signed) - 1]
    elif picture.mode != "I" or picture.format in ("PNG", "PPM"):
        whites = [65535]
    else:
        whites = [255, 65535, 2**31 - 1, 2**32 - 1]
    white = next((white for white in whites if lightest <= white), None)
    if white is None:
        raise ValueError(f"its grey values go up to {lightest:g}; white should be one of {whites}")
    return white
