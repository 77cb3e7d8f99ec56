"""The data sets themselves, and the order in which places are searched."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os

import numpy as np
import pytest

from fastconv.datasets import cifar10, digits, fashion_mnist, mnist
from fastconv.datasets import download as download_module
from fastconv.datasets.published import Published
from fastconv.datasets.search import cache_directory, find, places


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(url, **_):
        raise OSError("no network in this test")

    monkeypatch.setattr("requests.get", refuse)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A data set of one two-byte file, with an empty FASTCONV_DATA and an empty cache below tmp_path."""
    monkeypatch.delenv("FASTCONV_DATA", raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "cache"))

    def read(directory):
        if not (directory / "f").is_file():
            raise FileNotFoundError("no f")
        return {"f": (directory / "f").read_bytes()}

    return Published(
        name="tiny",
        title="Tiny",
        contents=sha256({"f": b"ok"}),
        downloads={"f": "0" * 64},
        mirrors=("http://a/", "http://b/"),
        read=read,
        directories=("tiny", "Tiny"),
        system=(str(tmp_path / "sys"),),
    )


def sha256(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def put(directory, content=b"ok"):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "f").write_bytes(content)


def test_digits_shapes_and_split():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1442, 28, 28)
    assert x_test.shape == (355, 28, 28)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert np.bincount(y_test).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]  # a fifth of each digit
    assert np.bincount(y_train).tolist() == [143, 146, 142, 147, 145, 146, 145, 144, 140, 144]
    assert x_train.max() == 255
    assert (x_train[:, :2] == 0).all()
    assert (x_train[:, :, -2:] == 0).all()


def test_digits_enlargement_is_bilinear():
    # Against Pillow's bilinear resize, an independent implementation: rounding differs by at most one level.
    image_module = pytest.importorskip("PIL.Image")
    small = np.random.default_rng(0).integers(0, 17, (1, 8, 8)).astype(np.uint8)
    picture = image_module.fromarray(small[0].astype(np.float32) * (255 / 16), mode="F")
    expected = np.asarray(picture.resize((24, 24), image_module.Resampling.BILINEAR))
    np.testing.assert_allclose(digits.enlarge(small)[0, 2:-2, 2:-2], expected, atol=0.51)


def test_search_order(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")]))
    names = [str(place.relative_to(tmp_path)) for place in places(tiny)]
    assert names == ["one/tiny", "one/Tiny", "one", "two/tiny", "two/Tiny", "two", "cache/tiny", "sys"]
    seen = []
    recording = dataclasses.replace(tiny, read=lambda place: seen.append(place) or tiny.read(place))
    for name in reversed(names):  # whatever is put earlier in the order wins
        put(tmp_path / name)
        seen.clear()
        assert find(recording) == {"f": b"ok"}
        assert seen[-1] == tmp_path / name
        assert len(seen) == names.index(name) + 1


def test_damaged_place_is_passed_over_with_a_warning(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "one"))
    put(tmp_path / "one", b"no")
    put(tmp_path / "cache" / "tiny")
    with pytest.warns(UserWarning, match=r"Tiny: passed over .*one: f is not Tiny's: its SHA-256 is 9390"):
        assert find(tiny) == {"f": b"ok"}


def test_nothing_found_lists_every_place_and_what_to_do(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "one"))
    put(tmp_path / "one", b"no")
    (tmp_path / "sys").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        find(tiny)
    message = str(caught.value)
    for line in (
        f"{tmp_path}/one/tiny: no such directory",
        f"{tmp_path}/one: f is not Tiny's",
        f"{tmp_path}/sys: no f",
        f"{tmp_path}/cache/tiny",
        "http://a/f: OSError: no network",
        "http://b/f: OSError: no network",
        "set FASTCONV_DATA to it",
    ):
        assert line in message


def test_default_cache_is_the_users(monkeypatch):
    monkeypatch.delenv("FASTCONV_CACHE", raising=False)
    assert cache_directory().name == "fastconv"
    assert cache_directory().is_absolute()


def test_flat_directory_of_the_wrong_data_set_is_not_taken(tmp_path, monkeypatch):
    """MNIST and Fashion-MNIST have the same file names: only the checksum tells them apart."""
    content = b"\0\0\x08\x01\0\0\0\1\7"
    for name in mnist.PUBLISHED.contents:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte is not MNIST's"):
        mnist.load_data()


def test_mnist_loader_end_to_end(tmp_path, monkeypatch):
    """The loader on four small files in place of the real ones, packed and plain."""
    images = b"\0\0\x08\x03" + np.array([2, 28, 28], ">u4").tobytes() + bytes(range(98)) * 16
    files = {
        "train-images-idx3-ubyte": images,
        "train-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\2\5\4",
        "t10k-images-idx3-ubyte": images.replace(b"\0\0\0\2", b"\0\0\0\1", 1)[:-784],
        "t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\1\3",
    }
    (tmp_path / "mnist").mkdir()
    for name, content in files.items():
        path = tmp_path / "mnist" / name
        if "train" in name:
            path, content = path.with_name(f"{name}.gz"), gzip.compress(content)
        path.write_bytes(content)
    monkeypatch.setattr(mnist, "PUBLISHED", dataclasses.replace(mnist.PUBLISHED, contents=sha256(files)))
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.shape == (2, 28, 28)
    assert x_test.shape == (1, 28, 28)
    assert y_train.tolist() == [5, 4]
    assert y_test.tolist() == [3]
    assert x_train[0, 0, 5] == 5


def test_cifar_loader_end_to_end(tmp_path, monkeypatch):
    files = {name: bytes([label]) + bytes(3072) for label, name in enumerate(cifar10.CONTENTS)}
    monkeypatch.setattr(cifar10, "PUBLISHED", dataclasses.replace(cifar10.PUBLISHED, contents=sha256(files)))
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    for directory in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        directory.mkdir(exist_ok=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
        assert x_train.shape == (5, 32, 32, 3)
        assert x_test.shape == (1, 32, 32, 3)
        assert y_train.tolist() == [[0], [1], [2], [3], [4]]
        assert y_test.tolist() == [[5]]
        for name in files:
            (directory / name).unlink()


FIRST_LABELS = {  # as published with each data set
    mnist: ("5041921314", "7210414959", (28, 28)),
    fashion_mnist: ("9003027255", "9211614657", (28, 28)),
    cifar10: ("6994112783", "3880661631", (32, 32, 3)),
}


@pytest.mark.parametrize("module", FIRST_LABELS, ids=lambda module: module.PUBLISHED.name)
def test_the_real_data(module, monkeypatch):
    """Skipped where the data is not on the machine: the checksums in the loader are the test proper."""
    monkeypatch.setattr(download_module, "download", lambda *_: None)
    try:
        (x_train, y_train), (x_test, y_test) = module.load_data()
    except FileNotFoundError:
        pytest.skip(f"{module.PUBLISHED.title} is not on this machine")
    train, test, shape = FIRST_LABELS[module]
    assert "".join(map(str, y_train[:10].ravel())) == train
    assert "".join(map(str, y_test[:10].ravel())) == test
    assert x_train.shape[1:] == x_test.shape[1:] == shape
    assert len(x_train) == len(y_train) >= 50_000
    assert len(x_test) == len(y_test) == 10_000
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
