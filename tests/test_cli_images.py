"""Pictures of all kinds become the bytes that a network gets, and errors name the one that cannot be read."""

from __future__ import annotations

import os
import random
import struct

import numpy as np
import pytest

from fastconv.cli import main
from fastconv.cli.images import read_image
from fastconv.layers import Dense, Flatten, Input
from fastconv.models import Sequential

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
features = pytest.importorskip("PIL.features")

GREY = np.array([[0, 51], [204, 255]], np.uint8)
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def grey_of(name: str, size: tuple[int, int] = (2, 2)) -> list:
    return read_image(name, (*size, 1))[..., 0].tolist()


def saved(values, name: str, **options) -> str:
    Image.fromarray(values).save(name, **options)
    return name


# ---- depths


DEPTHS = {
    "8 bits": (GREY, "a.png", {}),
    "16 bits": (GREY.astype(np.uint16) * 257, "a.png", {}),
    "16 bits, TIFF": (GREY.astype(np.uint16) * 257, "a.tif", {}),
    "16 bits, big-endian": (GREY.astype(">u2") * np.array(257, ">u2"), "a.tif", {}),
    "16 bits, white is zero": (65535 - GREY.astype(np.uint16) * 257, "a.tif", {"tiffinfo": {262: 0}}),
    "16 bits, PGM": (GREY.astype(np.uint16) * 257, "a.pgm", {}),
    "16 bits, JPEG 2000": (GREY.astype(np.uint16) * 257, "a.jp2", {}),
    "32 bits": (np.array([[0, 51], [204, 255]]) * (2**31 // 255), "a.tif", {}),
    "32 bits that are 16": (GREY.astype(np.int32) * 257, "a.tif", {}),
    "32 bits that are 8": (GREY.astype(np.int32), "a.tif", {}),
    "floats to 1": (GREY.astype(np.float32) / 255, "a.tif", {}),
    "floats to 255": (GREY.astype(np.float32), "a.tif", {}),
    "floats to 65535": (GREY.astype(np.float32) * 257, "a.tif", {}),
    "floats, white is zero": (1 - GREY.astype(np.float32) / 255, "a.tif", {"tiffinfo": {262: 0}}),
}


@pytest.mark.parametrize("depth", DEPTHS)
def test_grey_of_any_depth(depth):
    values, name, options = DEPTHS[depth]
    if name.endswith("jp2") and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    picture = values.astype(np.int32) if depth.startswith("32") else values
    assert grey_of(saved(picture, name, **options)) == GREY.tolist()
    rgb = read_image(name, (2, 2, 3))
    assert (rgb == GREY[..., np.newaxis]).all()


def test_dark_pictures_stay_dark():
    """What white is follows from the format, not from the picture, where the format says it."""
    for name in ("a.png", "a.tif", "a.pgm"):
        assert grey_of(saved(np.array([[0, 257], [514, 200]], np.uint16), name)) == [[0, 1], [2, 1]]


def tiff(values: np.ndarray, bits: int, sample_format: int) -> bytes:
    """A TIFF file of one strip, written by hand."""
    pixels = values.tobytes()
    tags = [
        (256, 3, values.shape[1]), (257, 3, values.shape[0]), (258, 3, bits), (259, 3, 1), (262, 3, 1),
        (273, 4, 8), (277, 3, 1), (278, 3, values.shape[0]), (279, 4, len(pixels)), (339, 3, sample_format),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    return header + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("values", "bits", "sample_format"),
    [
        (np.array([[0, 51], [204, 255]], np.uint32) * np.uint32((2**32 - 1) // 255), 32, 1),
        (np.array([[0, 51], [204, 255]], np.int16) * np.int16(128), 16, 2),  # white is 32767
    ],
    ids=["32 bits without sign", "16 bits with sign"],
)
def test_other_depths_of_tiff(values, bits, sample_format, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(values, bits, sample_format))
    expected = np.rint(values / (2**32 - 1 if bits == 32 else 32767) * 255).astype(int)
    assert grey_of("a.tif") == expected.tolist()
    assert expected[1, 1] in (254, 255)


def test_12_bits(tmp_path):
    """Two pixels in three bytes: 0 and 819, 3276 and 4095 of 4095."""
    packed = np.frombuffer(bytes([0x00, 0x03, 0x33, 0xCC, 0xCF, 0xFF]), np.uint8).reshape(2, 3)
    data = tiff(packed, 12, 1).replace(struct.pack("<HHII", 256, 3, 1, 3), struct.pack("<HHII", 256, 3, 1, 2))
    (tmp_path / "a.tif").write_bytes(data)
    assert grey_of("a.tif") == GREY.tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, np.nan]], np.float32), "its grey values go from nan to nan"),
        (np.array([[-1, 1]], np.float32), "its grey values go from -1 to 1; 0 should be black"),
        (np.array([[0, 1e6]], np.float32), r"its grey values go up to 1e\+06; white should be one of"),
        (np.array([[0, np.inf]], np.float32), "its grey values go up to inf"),
        (np.array([[-1, 1]], np.int32), "its grey values go from -1 to 1; 0 should be black"),
    ],
)
def test_grey_that_has_no_black_or_white(values, message):
    with pytest.raises(ValueError, match=rf"odd\.tif: cannot read this picture: {message}"):
        read_image(saved(values, "odd.tif"), (2, 2, 1))


# ---- modes


def in_mode(mode: str):
    """The four colours; and what comes out of a mode that cannot hold them."""
    picture = Image.fromarray(COLOURS)
    grey = np.asarray(picture.convert("L"))
    grey_rgb = np.stack([grey] * 3, axis=-1)
    if mode == "1":
        black_white = Image.fromarray(GREY).convert("1", dither=0)
        return black_white, np.stack([np.where(GREY > 127, 255, 0)] * 3, axis=-1)
    if mode == "F":
        return picture.convert("L").convert("F"), grey_rgb
    if mode == "I" or mode.startswith("I;"):
        order = ">u2" if mode == "I;16B" else "<u2"
        values = grey.astype(order) * np.array(257, order)
        size = picture.size
        wide = Image.fromarray(values.astype(np.int32)) if mode == "I" else None
        return wide or Image.frombytes(mode, size, values.tobytes()), grey_rgb
    if mode in ("L", "LA", "La"):
        pale = picture.convert("LA")
        return picture.convert("L") if mode == "L" else pale.convert(mode), grey_rgb
    if mode == "PA":
        return picture.convert("P").convert("PA"), COLOURS
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB"), COLOURS
    return picture.convert(mode), COLOURS


MODES = sorted({*Image.MODES, "I;16L", "I;16B"} - {"I;16N"})


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow(mode, monkeypatch):
    """As a decoder would give it; few file formats can hold the rarer ones."""
    picture, expected = in_mode(mode)
    assert picture.mode == mode
    monkeypatch.setattr(Image, "open", lambda path: picture)
    open("any.file", "w").close()
    pixels = read_image("any.file", (2, 2, 3)).astype(int)
    away = {"LAB": 22, "YCbCr": 1}.get(mode, 0)  # the purest blue lies at the edge of what LAB bytes hold
    assert np.abs(pixels - expected).max() <= away


def test_files_of_many_modes():
    picture = Image.fromarray(COLOURS)
    for name, mode in [("p.png", "P"), ("p.gif", "P"), ("rgba.png", "RGBA"), ("cmyk.tif", "CMYK")]:
        picture.convert(mode).save(name)
        assert (read_image(name, (2, 2, 3)) == COLOURS).all(), name
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save("cmyk.jpg")
    assert np.abs(read_image("cmyk.jpg", (8, 8, 3)).astype(int) - [255, 0, 0]).max() < 5
    Image.new("YCbCr", (8, 8), (255, 128, 128)).save("ycc.jpg")
    assert read_image("ycc.jpg", (8, 8, 1)).min() >= 254
    Image.fromarray(GREY).convert("1", dither=0).save("bits.png")
    assert grey_of("bits.png") == np.where(GREY > 127, 255, 0).tolist()
    in_mode("LAB")[0].save("lab.tif")
    assert np.abs(read_image("lab.tif", (2, 2, 3)).astype(int) - COLOURS).max() <= 22


def test_transparent_parts_are_paper():
    """Black ink of which a part is clear, a part half clear."""
    opacity = np.array([[255, 128], [0, 255]], np.uint8)
    expected = [[0, 127], [255, 0]]
    black = np.zeros((2, 2), np.uint8)
    saved(np.stack([black, black, black, opacity], axis=-1), "rgba.png")
    saved(np.stack([black, opacity], axis=-1), "la.png")
    assert grey_of("rgba.png") == grey_of("la.png") == expected
    Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).save("grey.png", transparency=1)
    assert grey_of("grey.png") == [[0, 255], [255, 0]]
    Image.fromarray(np.array([[0, 300], [300, 0]], np.uint16)).save("deep.png", transparency=300)
    assert grey_of("deep.png") == [[0, 255], [255, 0]]
    palette = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE)
    index = palette.getpixel((0, 0))
    for name in ("palette.png", "palette.gif"):
        palette.save(name, transparency=index)
        assert read_image(name, (2, 2, 3))[0].tolist() == [[255, 255, 255], [0, 255, 0]]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_the_first_frame_counts(name):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ((250, 0, 0), (0, 250, 0)))
    lossless = {"lossless": True} if name.endswith("webp") else {}
    first.save(name, save_all=True, append_images=[second], **lossless)
    assert (read_image(name, (4, 4, 3)) == [250, 0, 0]).all()


# ---- which way up


UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
STORED = {  # what a camera stores that shows UPRIGHT; see the table of the EXIF standard
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT),
    7: np.rot90(UPRIGHT, 2).T,
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "deep.png"])
def test_pictures_are_turned_as_their_camera_says(name, orientation):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    stored = np.ascontiguousarray(STORED[orientation])
    values = stored.astype(np.uint16) * 257 if name == "deep.png" else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(values, name, exif=exif, **({"lossless": True} if name.endswith("webp") else {}))
    assert grey_of(name, (2, 3)) == UPRIGHT.tolist()


def test_damaged_metadata_do_not_matter():
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"):
        saved(GREY, "a.png", exif=exif)
        assert grey_of("a.png") == GREY.tolist()


# ---- sizes and shades


def test_pictures_are_resized():
    saved(np.repeat(np.repeat(GREY, 8, axis=0), 8, axis=1), "large.png")
    assert grey_of("large.png", (16, 16)) == np.repeat(np.repeat(GREY, 8, axis=0), 8, axis=1).tolist()
    assert grey_of("large.png", (1, 1)) == [[128]]  # 127.5, the mean


def test_invert():
    saved(GREY, "a.png")
    assert read_image("a.png", (2, 2, 1), invert=True)[..., 0].tolist() == (255 - GREY).tolist()


# ---- what cannot be read


FORMATS = ["png", "jpg", "gif", "bmp", "tif", "ppm", "webp", "jp2", "ico", "tga"]


def sample(extension: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(f"whole.{extension}")
    with open(f"whole.{extension}", "rb") as file:
        return file.read()


@pytest.mark.parametrize("extension", FORMATS)
def test_a_broken_picture_is_named(extension):
    """Cut off anywhere, or with bytes changed: a picture all the same, or an error with its name."""
    try:
        whole = sample(extension)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow cannot write {extension}")
    name, draw = f"broken.{extension}", random.Random(1)
    broken = [whole[:length] for length in range(0, len(whole), max(len(whole) // 25, 1))]
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(min(len(changed), 400))] = draw.randrange(256)
        broken.append(bytes(changed))
    errors = []
    for content in broken:
        with open(name, "wb") as file:
            file.write(content)
        try:
            assert read_image(name, (4, 4, 3)).shape == (4, 4, 3)
        except (ValueError, OSError) as error:
            errors.append(str(error))
    assert errors
    assert [error for error in errors if not error.startswith(name)] == []


def test_places_that_hold_no_picture(tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(FileNotFoundError, match=r"^there is no file absent\.png$"):
        read_image("absent.png", (2, 2, 1))
    with pytest.raises(IsADirectoryError, match=r"^folder\.png is a directory, not a picture$"):
        read_image("folder.png", (2, 2, 1))
    with pytest.raises(ValueError, match=r"^text\.png is not a picture, or of a format"):
        read_image("text.png", (2, 2, 1))
    saved(GREY, "a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(PermissionError, match=r"^a\.png: no permission to read this file$"):
        read_image("a.png", (2, 2, 1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
def test_a_pipe_is_no_picture():
    os.mkfifo("pipe.png")
    with pytest.raises(OSError, match=r"^pipe\.png is a device or a pipe, not a picture$"):
        read_image("pipe.png", (2, 2, 1))


def test_a_picture_that_is_too_large_is_named(monkeypatch):
    saved(np.zeros((30, 30), np.uint8), "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(ValueError, match=r"^bomb\.png: cannot read this picture: Image size \(900 pixels\)"):
        read_image("bomb.png", (2, 2, 1))


def test_networks_that_take_no_pictures():
    saved(GREY, "a.png")
    with pytest.raises(ValueError, match="the network takes images of 2 channels; pictures have 1"):
        read_image("a.png", (2, 2, 2))


def test_one_broken_picture_among_others(capsys):
    """It is named, the others are answered, and the exit status tells of it."""
    model = Sequential([Input((2, 2, 1)), Flatten(), Dense(2, activation="softmax")])
    model.save("m.safetensors")
    saved(np.zeros((2, 2), np.uint8), "a.png")
    saved(np.zeros((2, 2), np.uint8), "c.png")
    with open("b.png", "wb") as file, open("a.png", "rb") as whole:
        file.write(whole.read()[:45])
    status = main(["predict", "m.safetensors", "a.png", "b.png", "absent.png", "c.png", "--top", "1"])
    output, errors = capsys.readouterr()
    assert status == 2
    assert [line for line in output.splitlines() if not line.startswith(" ")] == ["a.png", "c.png"]
    first, second, third = errors.splitlines()
    assert first.startswith("fastconv: error: b.png: cannot read this picture: ")
    assert second == "fastconv: error: there is no file absent.png"
    assert third.startswith("m.safetensors does not say what its classes are called")
    assert os.path.exists("b.png")
