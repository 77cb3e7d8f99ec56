"""The download path, against a small HTTP server on the loopback interface that behaves well or badly."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("pooch")

from fastconv.datasets import download as download_module
from fastconv.datasets.published import Published
from fastconv.datasets.search import find

CONTENT = {"a.bin": np.random.default_rng(1).bytes(300_000), "b.bin": b"second file"}


class Server(ThreadingHTTPServer):
    """Serves CONTENT below /good/, and below other names serves it in the way the name says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.release = threading.Event()  # lets the hanging answers end when the test does
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *error):
        self.release.set()
        self.shutdown()
        super().__exit__(*error)

    def address(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        behaviour, name = self.path.strip("/").split("/")
        body = CONTENT[name]
        if behaviour == "missing" or (behaviour == "half-missing" and name == "b.bin"):
            self.send_error(404)
            return
        if behaviour == "silent":
            self.server.release.wait()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if behaviour == "corrupt":
            body = body[:5] + bytes([body[5] ^ 1]) + body[6:]
        if behaviour in ("truncated", "stalling"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if behaviour == "stalling":
            self.server.release.wait()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTCONV_DATA", raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download_module, "TIMEOUT", (None, 0.3))
    import pooch

    retrieve = pooch.retrieve

    def patient(url, *args, downloader, **options):
        """Only servers that never answer are given up: the others may be slow."""
        if not re.search("/(silent|stalling)/", url):
            downloader.kwargs["timeout"] = None
        return retrieve(url, *args, downloader=downloader, **options)

    monkeypatch.setattr(pooch, "retrieve", patient)

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
    assert find(dataset) == CONTENT
    assert cached(tmp_path) == CONTENT
    while len(server.requests) < 3:  # a server that is given up may not have run yet
        time.sleep(0.01)
    assert sorted(server.requests) == sorted([f"/{behaviour}/a.bin", "/good/a.bin", "/good/b.bin"])


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
        download.TIMEOUT = None
        mirrors = ({server.address("stalling")!r},)
        fake = dataclasses.replace(mnist.PUBLISHED, downloads={hashes!r}, mirrors=mirrors)
        download.download(fake, Path({str(tmp_path / "two")!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        while not any(path.stat().st_size for path in tmp_path.glob("two/*")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert cached(tmp_path) == {}
