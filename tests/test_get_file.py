"""Files from the network: cached, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("pooch")

from test_datasets_download import CONTENT, Server

from fastconv.utils import get_file

SHA256 = hashlib.sha256(CONTENT["a.bin"]).hexdigest()
MD5 = hashlib.md5(CONTENT["a.bin"]).hexdigest()


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.mark.parametrize("checksum", [None, SHA256, MD5, SHA256.upper()])
def test_a_file_is_downloaded_once(server, cache, checksum, monkeypatch):
    monkeypatch.setitem(CONTENT, "a.bin?key=1", CONTENT["a.bin"])
    origin = server.address("good") + "a.bin?key=1"
    for _ in range(2):
        path = get_file(origin=origin, file_hash=checksum)
        assert path == str(cache / "datasets" / "a.bin")
        assert Path(path).read_bytes() == CONTENT["a.bin"]
    assert len(server.requests) == 1
    get_file(origin=origin, file_hash=checksum, force_download=True)
    assert len(server.requests) == 2


def test_name_and_place_can_be_chosen(server, cache, tmp_path):
    path = get_file("mine.bin", server.address("good") + "a.bin", cache_dir=tmp_path, cache_subdir="here")
    assert path == str(tmp_path / "here" / "mine.bin")
    path = get_file("mine.bin", server.address("good") + "a.bin", cache_subdir=str(tmp_path / "there"))
    assert path == str(tmp_path / "there" / "mine.bin")
    assert get_file("b", server.address("good") + "b.bin", md5_hash=hashlib.md5(CONTENT["b.bin"]).hexdigest())


def test_a_wrong_hash_leaves_nothing_behind(server, cache):
    with pytest.raises(ValueError, match=r"get_file: http.*a\.bin: .*hash"):
        get_file(origin=server.address("corrupt") + "a.bin", file_hash=SHA256)
    assert [entry.name for entry in (cache / "datasets").iterdir()] == []


def test_a_damaged_file_in_the_cache_is_replaced(server, cache):
    (cache / "datasets").mkdir(parents=True)
    (cache / "datasets" / "a.bin").write_bytes(b"half")
    path = get_file(origin=server.address("good") + "a.bin", file_hash=SHA256)
    assert Path(path).read_bytes() == CONTENT["a.bin"]


@pytest.mark.parametrize("behaviour", ["missing", "truncated"])
@pytest.mark.parametrize("force", [False, True])
def test_failed_downloads_say_why_and_keep_what_was_there(server, cache, behaviour, force):
    origin = server.address(behaviour) + "a.bin"
    (cache / "datasets").mkdir(parents=True)
    if force:
        (cache / "datasets" / "a.bin").write_bytes(b"old")
    with pytest.raises(OSError, match=r"get_file: http.*a\.bin could not be downloaded: \w+"):
        get_file(origin=origin, force_download=force)
    left = {entry.name: entry.read_bytes() for entry in (cache / "datasets").iterdir()}
    assert left == ({"a.bin": b"old"} if force else {})


def archive(kind: str, members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        with tarfile.open(fileobj=data, mode="w:gz") as file:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_extracted(server, cache, kind, monkeypatch):
    monkeypatch.setitem(CONTENT, f"x.{kind}", archive(kind, {"in/one.txt": b"1", "two.txt": b"2"}))
    origin = server.address("good") + f"x.{kind}"
    for arguments, folder in (
        ({"extract": True}, f"x.{kind}"),
        ({"fname": "pictures", "extract": True, "archive_format": kind}, "pictures"),
        ({"fname": f"y.{kind}", "extract": True}, "y_extracted"),
    ):
        path = get_file(origin=origin, **arguments)
        assert path == str(cache / "datasets" / folder)
        assert Path(path, "in", "one.txt").read_bytes() == b"1"
        assert Path(path, "two.txt").read_bytes() == b"2"
        requests = len(server.requests)
        Path(path, "two.txt").write_bytes(b"mine")
        get_file(origin=origin, **arguments)
        assert Path(path, "two.txt").read_bytes() == b"mine"
        assert len(server.requests) == requests
    monkeypatch.setitem(CONTENT, f"x.{kind}", archive(kind, {"three.txt": b"3"}))
    path = get_file(origin=origin, extract=True, force_download=True)
    assert [entry.name for entry in Path(path).iterdir()] == ["three.txt"]


def test_archives_do_not_reach_out_of_their_folder(server, cache, monkeypatch):
    monkeypatch.setitem(CONTENT, "x.tar", archive("tar", {"../../evil.txt": b"!"}))
    with pytest.raises(ValueError, match=r"cannot extract .*x\.tar_archive: .*evil\.txt"):
        get_file(origin=server.address("good") + "x.tar", untar=True)
    assert not list(cache.rglob("evil.txt"))
    assert [entry.name for entry in (cache / "datasets").iterdir()] == ["x.tar_archive"]


def test_what_is_no_archive_is_an_error(server, cache):
    with pytest.raises(ValueError, match=r"cannot extract .*: it is no tar or zip file"):
        get_file(origin=server.address("good") + "a.bin", extract=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs origin"),
        ({"origin": "http://host/"}, "fname must be the name of a file, got ''"),
        ({"fname": "a/b", "origin": "http://host/x"}, "folders go into cache_dir and cache_subdir"),
        ({"fname": "..", "origin": "http://host/x"}, r"got '\.\.'"),
        (
            {"origin": "http://host/x", "file_hash": "abc"},
            "'abc' has 3 digits; SHA-256",
        ),
        ({"origin": "http://host/x", "file_hash": MD5, "hash_algorithm": "sha256"}, "has 32 digits"),
        ({"origin": "http://host/x", "hash_algorithm": "sha1"}, "unknown hash_algorithm 'sha1'"),
        (
            {"origin": "http://host/x", "extract": True, "archive_format": "rar"},
            "unknown archive_format",
        ),
        ({"origin": "nonsense:/x"}, "get_file: nonsense:/x"),
    ],
)
def test_arguments_that_do_not_fit(cache, arguments, message):
    with pytest.raises((ValueError, OSError), match=message):
        get_file(**arguments)
