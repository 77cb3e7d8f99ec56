"""The download path, against a server that behaves well or badly."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("pooch")

from file_server import CONTENT, Server

from fastconv.datasets import download as download_module
from fastconv.datasets.published import Published
from fastconv.datasets.search import find


@pytest.fixture
def server():
    server = Server()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTCONV_DATA", raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download_module, "TIMEOUT", (2.0, 0.3))

    def read(directory):
        for name in CONTENT:
            if not (directory / name).is_file():
                raise FileNotFoundError(f"no {name}")
        return {name: (directory / name).read_bytes() for name in CONTENT}

    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    return Published(
        name="two",
        title="Two files",
        contents=hashes,
        downloads=hashes,
        mirrors=(),
        read=read,
        directories=("two",),
    )


def cached(tmp_path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}


def test_success_then_from_the_cache(server, dataset, tmp_path):
    dataset = dataclasses.replace(dataset, mirrors=(server.address("good"),))
    assert find(dataset) == CONTENT
    assert cached(tmp_path) == CONTENT
    assert server.requests == ["/good/a.bin", "/good/b.bin"]
    assert find(dataset) == CONTENT
    assert len(server.requests) == 2


def test_damaged_cache_is_repaired(server, dataset, tmp_path):
    dataset = dataclasses.replace(dataset, mirrors=(server.address("good"),))
    find(dataset)
    (tmp_path / "two" / "a.bin").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="a.bin is not Two files's"):
        assert find(dataset) == CONTENT
    assert cached(tmp_path) == CONTENT
    assert server.requests[2:] == ["/good/a.bin"]


@pytest.mark.parametrize("behaviour", ["missing", "truncated", "corrupt", "silent", "stalling"])
def test_bad_server_then_mirror(server, dataset, tmp_path, behaviour):
    dataset = dataclasses.replace(dataset, mirrors=(server.address(behaviour), server.address("good")))
    start = time.monotonic()
    assert find(dataset) == CONTENT
    assert cached(tmp_path) == CONTENT
    assert server.requests == [f"/{behaviour}/a.bin", "/good/a.bin", "/good/b.bin"]
    assert time.monotonic() - start < 10


def test_mirror_continues_where_the_first_failed(server, dataset, tmp_path):
    dataset = dataclasses.replace(dataset, mirrors=(server.address("half-missing"), server.address("good")))
    assert find(dataset) == CONTENT
    assert server.requests == ["/half-missing/a.bin", "/half-missing/b.bin", "/good/b.bin"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "404"),
        ("truncated", "IncompleteRead|does not match the known hash"),
        ("corrupt", "does not match the known hash"),
        ("silent", "timed out"),
        ("stalling", "timed out"),
    ],
)
def test_only_bad_servers(server, dataset, tmp_path, behaviour, reason):
    dataset = dataclasses.replace(dataset, mirrors=(server.address(behaviour),))
    with pytest.raises(FileNotFoundError, match=rf"(?s){behaviour}/a\.bin: .*({reason}).*To get it:"):
        find(dataset)
    assert cached(tmp_path) == {}


def test_unreachable_server(dataset, tmp_path):
    dataset = dataclasses.replace(dataset, mirrors=("http://127.0.0.1:9/",))  # the discard port: refused
    with pytest.raises(FileNotFoundError, match=r"127\.0\.0\.1:9/a\.bin: ConnectionError"):
        find(dataset)


def test_unwritable_cache_says_so(server, dataset, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "file"))
    dataset = dataclasses.replace(dataset, mirrors=(server.address("good"),))
    with pytest.raises(FileNotFoundError, match="NotADirectoryError"):
        find(dataset)


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_interrupted_download_leaves_nothing(server, dataset, tmp_path):
    """Ctrl-C in the middle of a file: no file of its name, no temporary file."""
    hashes = dict(dataset.downloads)
    script = textwrap.dedent(f"""
        import dataclasses
        from pathlib import Path
        from fastconv.datasets import download, mnist
        mirrors = ({server.address("stalling")!r},)
        fake = dataclasses.replace(mnist.PUBLISHED, downloads={hashes!r}, mirrors=mirrors)
        download.download(fake, Path({str(tmp_path / "two")!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while not any(path.stat().st_size for path in tmp_path.glob("two/*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert cached(tmp_path) == {}
