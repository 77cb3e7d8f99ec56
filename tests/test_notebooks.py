"""The notebooks are kept as they ran, from top to bottom, and their code runs outside Jupyter too."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "examples" / "notebooks").glob("*.ipynb"))
TOOL = Path(__file__).parent.parent / "tools" / "run_notebooks.py"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_two():
    assert len(NOTEBOOKS) >= 2


def test_they_are_kept_as_they_ran(path):
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 400_000


def test_what_was_printed_is_tidy(path):
    """No control characters, nothing of the machine they ran on."""
    text = path.read_text()
    assert "\\r" not in text
    assert "\\u001b" not in text
    for machine in ("/home/", "/tmp/", "/work/", "/root/", "0x7f"):
        assert machine not in text


def test_they_explain(path):
    words = sum(len(source(cell).split()) for cell in cells(path, "markdown"))
    assert source(cells(path, "markdown")[0]).startswith("# ")
    assert words > 250
    for name in re.findall(r"\]\(([^)]+)\)", " ".join(map(source, cells(path, "markdown")))):
        assert (path.parent / name).exists()


def test_the_code_runs_outside_jupyter(path, tmp_path):
    code = "\n".join(map(source, cells(path, "code")))
    assert not re.search(r"^[%!]", code, re.MULTILINE), "only Python, no commands of IPython's"
    script = tmp_path / f"{path.stem}.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    right = float(re.search(r"([\d.]+)% of the", done.stdout)[1])
    assert right > 95
    assert sorted(tmp_path.iterdir()) == [script]  # nothing is left behind


# ---- the tool that runs them


@pytest.fixture
def tool():
    pytest.importorskip("nbclient")
    if not TOOL.is_file():
        pytest.skip("the tools are in the checkout alone")
    specification = importlib.util.spec_from_file_location("run_notebooks", TOOL)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def notebook_of(*printed):
    import nbformat.v4 as nb

    def output(what):
        if what == "picture":
            return nb.new_output("display_data", {"image/png": "", "text/plain": "<Figure size 900x300>"})
        return nb.new_output("stream", name="stdout", text=what)

    return nb.new_notebook(cells=[nb.new_code_cell("", outputs=[output(what)]) for what in printed])


def test_numbers_may_differ_and_words_may_not(tool):
    bar = "Epoch 1/2: 100%|███| 41/41 [00:{}, loss: {}]"
    kept = notebook_of("97.5% right\n", bar.format("01<00:00, 28.1batch/s", 1), "picture")
    slower = notebook_of("97% right\n", bar.format("41<00:00, 1.02s/batch", "1e-5"), "picture")
    assert list(tool.differences(kept, slower)) == []
    other = notebook_of("97.5% wrong\n", "Epoch 1/2: 100%|███| 41/41 []", "picture")
    (difference,) = tool.differences(kept, other)
    assert difference == "cell 1 printed\n#% wrong\n\n  and what is kept is\n#% right\n"


def test_a_picture_that_is_gone_is_noticed(tool):
    assert len(list(tool.differences(notebook_of("picture"), notebook_of("no picture")))) == 1
