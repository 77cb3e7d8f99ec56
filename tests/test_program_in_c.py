"""The example in C takes the steps that the model takes in Python, to the bit."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import test_program_file as program_file

import fastconv
from fastconv.models import load_program

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run_program(tmp_path_factory):
    """The example in C, compiled as the package is."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not (CHECKOUT / "csrc").is_dir() or not (CHECKOUT / "examples").is_dir():
        pytest.skip("a C compiler and the sources are needed")
    folder = tmp_path_factory.mktemp("c")
    flags = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
    openmp = ["-fopenmp"] if fastconv._kernels.openmp() else ["-Wno-unknown-pragmas"]
    sources = [*CHECKOUT.glob("csrc/*.c"), *CHECKOUT.glob("csrc/engine/*.c")]
    sources.append(CHECKOUT / "examples" / "c" / "run_program.c")

    def compiled(source):
        made = folder / f"{source.parent.name}_{source.stem}.o"
        command = [compiler, *flags, *openmp, f"-I{CHECKOUT / 'csrc'}", "-c", source, "-o", made]
        subprocess.run(command, check=True)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    program = folder / "run_program"
    subprocess.run([compiler, *objects, *openmp, "-lm", "-o", program], check=True)
    return program


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("convolutional", "Adam"), ("convolutional", "SGD"), ("residual", "Nesterov"), ("two heads", "Adam")],
)
def test_a_c_program_takes_the_same_steps(name, optimizer, run_program, tmp_path):
    model = program_file.made(name, optimizer)
    x, y = program_file.batch_for(model, 13)
    model.export(tmp_path / "net.fcp", training=True)
    data = [
        array.astype(np.int64 if array.dtype.kind == "i" else np.float32) for array in program_file.leaves(y)
    ]
    (tmp_path / "data.bin").write_bytes(
        b"".join(array.tobytes() for array in [*program_file.leaves(x), *data])
    )

    command = [run_program, tmp_path / "net.fcp", tmp_path / "data.bin", "13", "4"]
    environment = {**os.environ, "FASTCONV_NUM_THREADS": "2", "FASTCONV_ISA": fastconv.get_isa()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    classes, *steps = done.stdout.splitlines()
    prediction = program_file.leaves(model.predict_on_batch(x))[0]
    assert [int(word) for word in classes.split()] == prediction.argmax(axis=-1).tolist()

    program = load_program(tmp_path / "net.fcp")
    for i, line in enumerate(steps):
        assert line == f"step {i}: loss {program.train_step(x, y):.17g}"
        model.train_on_batch(x, y)
    assert len(steps) == 4
    # Weights, moving statistics, the optimizer's states and the draws, to the bit.
    model.export(tmp_path / "python.fcp", training=True)
    assert (tmp_path / "net.fcp.trained").read_bytes() == (tmp_path / "python.fcp").read_bytes()


def test_a_c_program_says_what_is_wrong(run_program, tmp_path):
    path = tmp_path / "net.fcp"
    program_file.residual().export(path)
    whole = path.read_bytes()
    for data, said in ((whole[:-8], "it was"), (b"no", "it is no program file"), (None, "cannot open")):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        done = subprocess.run([run_program, path], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert said in done.stderr
    path.write_bytes(whole)
    done = subprocess.run([run_program, path], capture_output=True, text=True, check=True)
    assert done.stdout == "input 0: 8 x 8 x 4\noutput 0: 1 x 1 x 5\n0 losses\n"
