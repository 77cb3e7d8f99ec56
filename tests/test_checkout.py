"""A folder with sources and kernels, as ``pip install .`` leaves it: what is compiled is what is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv
from fastconv._sources import fingerprint

CHECKOUT = Path(__file__).parents[1]
PACKAGE = Path(fastconv.__file__).parent


@pytest.fixture
def checkout(tmp_path):
    """A copy of the package with the sources beside it, as far as ``import fastconv`` reads them."""
    if not (CHECKOUT / "csrc").is_dir():
        pytest.skip("the sources are in the checkout alone")
    shutil.copytree(PACKAGE, tmp_path / "fastconv", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copy(CHECKOUT / "fastconv" / "_kernels.pyx", tmp_path / "fastconv")
    shutil.copytree(CHECKOUT / "csrc", tmp_path / "csrc")
    return tmp_path


def imported(folder):
    """Python's last word on ``import fastconv`` in a folder."""
    command = [sys.executable, "-c", "import fastconv; print(fastconv.__file__)"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def test_the_folder_is_imported(checkout):
    assert imported(checkout) == str(checkout / "fastconv" / "__init__.py")


@pytest.mark.parametrize("source", ["csrc/dense.c", "csrc/lanes.h", "fastconv/_kernels.pyx"])
def test_sources_that_have_changed_since_are_noticed(checkout, source):
    path = checkout / source
    path.write_bytes(path.read_bytes() + b"\n")
    assert imported(checkout) == (
        f"ImportError: the C or Cython sources in {checkout} have changed since fastconv's kernels were "
        "compiled: compile them again there with python -m pip install ."
    )


def test_missing_kernels_are_noticed(checkout):
    for kernels in (checkout / "fastconv").glob("_kernels*.so"):
        kernels.unlink()
    assert imported(checkout) == (
        f"ImportError: fastconv in {checkout} has no compiled kernels for this Python: build them there with "
        "python -m pip install ."
    )


@pytest.mark.parametrize("name", ["part.c", "part.h"])
def test_sources_in_folders_count(tmp_path, name):
    source = tmp_path / "csrc" / "pool" / name
    source.parent.mkdir(parents=True)
    source.write_text("int a;\n")
    before = fingerprint(tmp_path)
    source.write_text("int b;\n")
    assert before is not None
    assert fingerprint(tmp_path) != before


def test_an_installed_package_has_no_sources_to_compare(tmp_path):
    assert fingerprint(tmp_path) is None
