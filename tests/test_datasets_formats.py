"""IDX and CIFAR readers: what is in the file comes out, and every kind of damage is named."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile

import numpy as np
import pytest

from fastconv.datasets.cifar_binary import parse_cifar
from fastconv.datasets.idx import parse_idx
from fastconv.datasets.unpack import read_plain_or_gzip, read_tar


def idx_bytes(kind: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


@pytest.mark.parametrize(
    ("kind", "code", "dtype"),
    [
        (0x08, "B", "uint8"),
        (0x09, "b", "int8"),
        (0x0B, "h", "int16"),
        (0x0C, "i", "int32"),
        (0x0D, "f", "float32"),
        (0x0E, "d", "float64"),
    ],
)
def test_idx_element_types(kind, code, dtype):
    array = parse_idx(idx_bytes(kind, (2, 3), struct.pack(f">6{code}", *range(6))))
    assert array.dtype == dtype
    assert array.dtype.isnative
    assert array.flags.writeable
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\x1f\x8b\x08\x00", "not an IDX file: it starts with 1f 8b 08 00"),
        (b"\0\0\x07\x01" + bytes(8), "not an IDX file"),
        (b"\0\0\x08\x03" + bytes(8), "truncated: 12 bytes, its header alone has 16"),
        (idx_bytes(8, (2, 2), bytes(3)), r"truncated: 15 bytes, its header \(2, 2\) asks for 16"),
        (idx_bytes(8, (2, 2), bytes(5)), "too long: 17 bytes"),
        (idx_bytes(8, (2**32 - 1,) * 3, bytes(5)), "truncated"),
    ],
)
def test_damaged_idx(data, message):
    with pytest.raises(ValueError, match=f"^x-ubyte is {message}"):
        parse_idx(data, "x-ubyte")


def test_cifar_records_become_hwc():
    planes = np.arange(2 * 3 * 32 * 32, dtype=np.uint32).reshape(2, 3, 32, 32) % 251
    first, second = (plane.astype(np.uint8).tobytes() for plane in planes)
    data = b"\7" + first + b"\t" + second  # labels 7 and 9
    images, labels = parse_cifar(data)
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.tolist() == [[7], [9]]
    assert labels.dtype == np.uint8
    assert images[1, 4, 5, 2] == planes[1, 2, 4, 5]
    np.testing.assert_array_equal(images[0, :, :, 1], planes[0, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated or no CIFAR-10 batch: 0 bytes"),
        (bytes(3072), "3072 bytes is not a whole number of 3073-byte records"),
        (bytes(3073) + b"\x0b" + bytes(3072), r"label 11 in record 1, not 0\.\.9"),
    ],
)
def test_damaged_cifar(data, message):
    with pytest.raises(ValueError, match=message):
        parse_cifar(data, "test_batch.bin")


def test_plain_file_is_preferred_to_gzip(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"packed"))
    assert read_plain_or_gzip(tmp_path, "a") == b"packed"
    (tmp_path / "a").write_bytes(b"plain")
    assert read_plain_or_gzip(tmp_path, "a") == b"plain"
    with pytest.raises(FileNotFoundError, match=r"no b\.gz"):
        read_plain_or_gzip(tmp_path, "b")


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: b"GZ" + packed[2:],
        lambda packed: packed[:20] + b"\xff\xff\xff" + packed[23:],
    ],
    ids=["cut", "no magic", "garbled"],
)
def test_damaged_gzip(tmp_path, damage):
    (tmp_path / "a.gz").write_bytes(damage(gzip.compress(bytes(range(256)) * 9)))
    with pytest.raises(ValueError, match=r"a\.gz is damaged"):
        read_plain_or_gzip(tmp_path, "a")


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_tar_members_in_any_order(tmp_path, mode):
    make_tar(tmp_path / "t.tar", {"d/b.bin": b"B", "d/other": b"-", "../../a.bin": b"A"}, mode)
    assert read_tar(tmp_path / "t.tar", ["a.bin", "b.bin"]) == {"a.bin": b"A", "b.bin": b"B"}
    assert [p.name for p in tmp_path.iterdir()] == ["t.tar"]


def test_damaged_tar(tmp_path):
    archive = tmp_path / "t.tar.gz"
    make_tar(archive, {"d/a.bin": np.random.default_rng(0).bytes(5000)})
    with pytest.raises(ValueError, match=r"t\.tar\.gz lacks b\.bin"):
        read_tar(archive, ["a.bin", "b.bin"])
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not an archive", b""):
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t\.tar\.gz (is damaged|lacks)"):
            read_tar(archive, ["a.bin"])
