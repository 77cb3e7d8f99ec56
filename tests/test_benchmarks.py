"""The benchmarks' own arithmetic: networks as described, weights converted, results compared, times told."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import charts, footprint, machine, memory, race, roofline, scaling, versus
from benchmarks.layers import LAYERS
from benchmarks.networks import NETWORKS, batches, channels_first, channels_last
from benchmarks.rivals import RIVALS, environment, numpy_im2col
from benchmarks.rivals.ours import RivalNetwork, sequential
from benchmarks.worker import layer_operands

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux' /proc for the memory")

# ---- networks


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_networks_have_the_parameters_they_say(network):
    assert sum(weight.size for weight in network.initial_weights()) == network.parameters
    assert sequential(network).count_params() == network.parameters


def test_operations():
    """LeNet-5 by hand: pixels x taps x channels in x channels out, a product and a sum each."""
    c1, c3 = 28 * 28 * 25 * 1 * 6, 10 * 10 * 25 * 6 * 16
    dense = 400 * 120 + 120 * 84 + 84 * 10
    lenet = NETWORKS["lenet5"]
    assert lenet.operations(training=False) == 2 * (c1 + c3 + dense)
    assert lenet.operations(training=True) == 2 * (3 * (c1 + c3 + dense) - c1)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_channels_first_and_back(network):
    weights = network.initial_weights()
    there = channels_first(network, weights)
    back = channels_last(network, there)
    assert all(np.array_equal(a, b) for a, b in zip(weights, back, strict=True))
    kernel, first = weights[0], there[0]
    assert first[3, 0, 1, 2] == kernel[1, 2, 0, 3]


def test_channels_first_dense_kernel_sees_the_same_pixels():
    """A dense layer on NHWC pixels and the converted one on NCHW pixels are the same function."""
    network = NETWORKS["cs231n"]
    kernel = network.initial_weights()[-2]
    converted = channels_first(network, network.initial_weights())[-2]
    image = np.random.default_rng(0).standard_normal((4, 4, 10), np.float32)
    there = converted @ image.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(image.ravel() @ kernel, there, atol=1e-5)  # 160 products of size about 0.1


# ---- the answer that everyone is held to


@pytest.mark.parametrize("name", NETWORKS)
def test_numpy_agrees_with_fastconv(name):
    """Two codes that share nothing: probabilities, and what two steps of SGD with momentum change."""
    network = NETWORKS[name].without_dropout()
    problem = network, network.initial_weights(), batches(network, 2), 0.05
    expected = numpy_im2col.RivalNetwork(*problem, dtype=np.float64).results()
    assert len(expected) == 1 + len(problem[1])
    what, error = race.disagreement(RivalNetwork(*problem).results(), expected)
    assert error < 1e-4, what  # float32, and gradients that are sums of up to 1,568 terms


def test_numpy_gradient_is_a_derivative():
    """The change of a bias against the loss's own slope, by central differences in float64."""
    network = NETWORKS["convnetjs"]
    data, weights = batches(network, 3), network.initial_weights()

    def loss(shift: float) -> float:
        moved = [weight.astype(np.float64) for weight in weights]
        moved[1][5] += shift
        return numpy_im2col.RivalNetwork(network, moved, data, 0.0, dtype=np.float64).train(0)

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    stepped = numpy_im2col.RivalNetwork(network, weights, data, 1.0, dtype=np.float64)
    stepped.train(0)
    # The first step from rest: momentum m = -g, and Nesterov moves by 0.9 m - g.
    assert stepped.weights()[1][5] - weights[1][5] == pytest.approx(-1.9 * slope, rel=1e-6)


def test_a_wrong_gradient_is_found():
    expected = {"probabilities": np.ones(3), "change of weight 0": np.array([3.0, -4.0])}
    found = {"probabilities": np.ones(3), "change of weight 0": np.array([3.0, -4.01])}
    assert race.disagreement(found, expected) == ("change of weight 0", pytest.approx(0.002))
    found["probabilities"] = np.full(3, np.nan)
    what, error = race.disagreement(found, expected)
    assert what == "probabilities"
    assert not error <= 1e-3


# ---- races


def test_race_statistics():
    found = race.Race({"fastconv": [10, 20, 30], "a": [5, 5, 5], "b": [1, 9, 9]}, peaks=[1.0])
    assert found.median("fastconv") == 20
    assert found.best(["a", "b", "c"]) == "b"
    assert found.best(["c"]) is None
    assert found.ratios("fastconv", "a") == [2, 4, 6]
    assert race.quartiles([1, 2, 3, 4, 5]) == (2, 3, 4)


def test_environment_holds_everyone_to_the_threads_and_the_instruction_set(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    native = environment(threads=2, isa=None)
    assert "OPENBLAS_CORETYPE" not in native
    assert native["FASTCONV_NUM_THREADS"] == native["OMP_NUM_THREADS"] == "2"
    held = environment(threads=1, isa="avx2")
    assert held["FASTCONV_ISA"] == "avx2"
    assert held["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert held["OPENBLAS_CORETYPE"] == "Haswell"
    assert "--xla_cpu_max_isa=AVX2" in held["XLA_FLAGS"]


def test_rivals_of_one_name_are_one_module():
    for name, rival in RIVALS.items():
        assert rival.module == next(r.module for r in RIVALS.values() if r.family == rival.family), name


def test_a_worker_that_fails_says_why():
    with pytest.raises(race.WorkerError, match="StopIteration"):
        race.Process("fastconv", "no such layer", 1, 1)


@linux
def test_worker():
    with race.Process("numpy", "lenet5", batch=2, threads=1) as process:
        assert process.modes == ["inference", "train"]
        assert process.version == f"numpy {np.__version__}"
        assert process.steps_per_second("train", 0.01) > 0
        assert process.ask(mode="train", steps=3) == {}
        assert 1e6 < process.ask(memory=True)["now"] <= process.ask(memory=True)["peak"]
        with pytest.raises(race.WorkerError, match="KeyError"):
            process.ask(mode="sleep", seconds=0.01)
        assert process.results()["probabilities"].shape == (2, 10)


def small_run(module, tmp_path, *argv: str) -> dict:
    assert module.main([*argv, "--out", str(tmp_path)]) == 0
    (report,) = tmp_path.glob("*.json")
    return json.loads(report.read_text())


@linux
def test_versus(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(charts, "available", lambda: False)
    argv = ["--nets", "lenet5", "--rivals", "numpy", "--batches", "2", "--threads", "1", "--seconds", "0.01"]
    report = small_run(versus, tmp_path, *argv, "--rounds", "3")
    assert {row["mode"] for row in report["rows"]} == {"train", "inference"}
    for row in report["rows"]:
        assert row["best"] == {"NumPy": "numpy", "all": "numpy"}
        assert row["ratio"]["all"][1] > 0
        assert len(row["slices"]["fastconv"]) == len(row["peak"]) == 3
        assert 0 < row["share_of_peak"] < 2
    assert "fastconv" in report["machine"]["versions"]
    assert (tmp_path / "versus.txt").read_text().count("lenet5") == 2
    assert "noise: the measured FMA peak varied by" in capsys.readouterr().out


@linux
def test_versus_does_not_race_a_wrong_answer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        versus, "TOLERANCES", dict.fromkeys(["forward", "backward-data", "backward-kernel"], 0)
    )
    argv = ["--layers", "lenet-c3", "--rivals", "numpy", "--batches", "1", "--threads", "1"]
    assert versus.main([*argv, "--out", str(tmp_path)]) == 1
    assert "not raced: lenet-c3, batch 1: fastconv: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---- the other measurements


@linux
def test_memory(tmp_path, capsys):
    argv = ["--net", "lenet5", "--batch", "4", "--rivals", "numpy", "--seconds", "0.05", "--steps", "50"]
    report = small_run(memory, tmp_path, *argv)
    assert report["peaks"]["fastconv"]["trained"] > 1e7
    assert len(report["growth"]["rows"]) == 10
    assert "no growth" in capsys.readouterr().out


def test_roofline(tmp_path, monkeypatch):
    monkeypatch.setattr(charts, "available", lambda: False)
    argv = ["--layers", "lenet-c3", "--algorithms", "direct", "winograd", "--batch", "2", "--seconds", "0.01"]
    report = small_run(roofline, tmp_path, *argv)
    assert [row["pass"] for row in report["rows"]] == list(roofline.passes(*layer_operands("lenet-c3", 1)))
    for row in report["rows"]:
        assert row["algorithm"] == "direct"  # winograd is not for 5x5 kernels
        assert row["roof"] == pytest.approx(min(report["peak"], report["bandwidth"] * row["intensity"]))
    layer = next(layer for layer in LAYERS if layer.name == "lenet-c3")
    floats = 2 * 14 * 14 * (6 + 16) + 25 * 6 * 16
    assert report["rows"][0]["intensity"] == pytest.approx(layer.operations(2) / (4 * floats))


def test_scaling(tmp_path, monkeypatch):
    monkeypatch.setattr(charts, "available", lambda: False)
    shapes = [(1, 4, 4, 4), (2, 5, 6, 4), (3, 8, 8, 4), (4, 9, 12, 4)]
    monkeypatch.setattr(scaling, "SWEEPS", dict.fromkeys(["images", "pixels", "channels"], shapes))
    argv = ["--nets", "lenet5", "--batches", "1", "--seconds", "0.001", "--rounds", "2"]
    report = small_run(scaling, tmp_path, *argv)
    assert {row["axis"] for row in report["growth"]} == {"images", "pixels", "channels"}
    assert next(row["sizes"] for row in report["growth"] if row["axis"] == "pixels") == [16, 25, 64, 81]
    assert {row["mode"] for row in report["speedups"]} == {"train", "inference"}


def test_slope_of_a_straight_line_is_one():
    sizes = [1, 2, 4, 8, 16, 32]
    assert scaling._slope(sizes, [3e-3 * size for size in sizes]) == pytest.approx(1)
    assert scaling._slope(sizes, [size**2 for size in sizes]) == pytest.approx(2)


def test_footprint_counts_what_a_distribution_needs():
    needed = footprint._closure(["hypothesis>=6", "not-installed-anywhere", 'numpy ; extra == "never"'])
    assert "hypothesis" in needed
    assert "sortedcontainers" in needed  # which hypothesis needs
    assert "numpy" not in needed
    assert footprint._installed_size("hypothesis") > 1e6
    assert footprint._import_seconds("json", 1) > 0


def test_machine_is_described():
    about = machine.describe()
    assert {"date", "CPU", "instruction set", "versions"} <= set(about)
    assert machine.text({"a": "1", "long": "2"}) == "a     1\nlong  2"


def test_charts(tmp_path):
    pytest.importorskip("matplotlib")
    row = {
        "subject": "lenet5", "mode": "train", "threads": 1, "batch": 2,
        "images_per_second": {"fastconv": 2e4, "torch": 1e4},
        "best": {"PyTorch": "torch", "all": "torch"}, "ratio": {"all": [1, 2, 3]},
    }  # fmt: skip
    assert charts.versus(tmp_path / "versus.png", {"CPU": "x"}, [row]).stat().st_size > 1000
    point = {"layer": "l", "pass": "forward", "algorithm": "direct", "intensity": 3.0, "flops": 1e9}
    assert charts.roofline(tmp_path / "roof.png", {}, 1e11, 1e10, [point]).stat().st_size > 1000
    line = {"axis": "images", "what": "forward", "sizes": [1, 2], "seconds": [1, 2], "slope": 1.0}
    speedup = {"net": "lenet5", "mode": "train", "batch": 1, "speedup": 1.5}
    assert charts.scaling(tmp_path / "scaling.png", {}, [line], [speedup]).stat().st_size > 1000
