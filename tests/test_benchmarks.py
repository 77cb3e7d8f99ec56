"""The benchmarks' own arithmetic: networks as described, weights converted, results compared, times told."""

from __future__ import annotations

import functools
import json
import os
import sys
import zipfile

import numpy as np
import pytest

from benchmarks import charts, checking, footprint, machine, memory, race, realtime, roofline, scaling, versus
from benchmarks.layers import LAYERS, layer_operands
from benchmarks.networks import NETWORKS, Conv, Dense, Network, Pool, batches, channels_first, channels_last
from benchmarks.rivals import RIVALS, environment, numpy_im2col
from benchmarks.rivals.ours import RivalNetwork, sequential

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


def contestant(kind: type, name: str, problem: checking.Check):
    """As benchmarks.worker builds one for its results."""
    network = NETWORKS[name].without_dropout()
    return kind(network, network.initial_weights(), problem.batches, checking.LEARNING_RATE)


@functools.cache
def problem(name: str, batch: int) -> checking.Check:
    return checking.check(name, batch)


@pytest.mark.parametrize(("name", "batch"), [("lenet5", 128), ("cs231n", 128), ("convnetjs", 1)])
@pytest.mark.parametrize("kind", [RivalNetwork, numpy_im2col.RivalNetwork])
def test_float32_is_right_at_any_batch_size(kind, name, batch):
    """fastconv and NumPy share nothing; that random images would not do is the next test."""
    found = contestant(kind, name, problem(name, batch)).results()
    assert len(found) == 2 + len(NETWORKS[name].initial_weights())
    assert checking.fault(found, problem(name, batch).expected) is None


def test_fastconv_is_right_about_the_large_network():
    """Its few images at once are a test of Winograd's rounding."""
    found = contestant(RivalNetwork, "fashion_cnn", problem("fashion_cnn", 2)).results()
    assert checking.fault(found, problem("fashion_cnn", 2).expected) is None


def test_images_are_chosen_whose_decisions_rounding_cannot_turn():
    """Random images come to decisions a hundred times as close, and float32 decides some otherwise."""
    network = NETWORKS["cs231n"]
    guide = numpy_im2col.RivalNetwork(network, network.initial_weights(), [], 0.0, dtype=np.float64)
    images, labels = problem("cs231n", 128).batches[0]
    chosen = np.unique(images, axis=0)
    ((others, _),) = batches(network, 128, count=1, seed=5)
    assert len(chosen) == checking.CHOSEN
    assert len(np.unique(labels)) == 10
    assert checking.margins(guide, chosen).min() > 1e-4 > 100 * checking.margins(guide, others).min()


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


def test_margins_by_hand():
    """One image, one channel, a kernel of one tap: scores are pixels less 0.5."""
    layers = (Conv(1, 1, padding=0), Pool("max"), Dense(2, "softmax"))
    network = Network("tiny", (2, 2, 1), layers, parameters=6)
    weights = [np.ones((1, 1, 1, 1)), np.array([-0.5]), np.ones((1, 2)), np.zeros(2)]
    guide = numpy_im2col.RivalNetwork(network, weights, [], 0.0, dtype=np.float64)

    def margin(*pixels: float) -> float:
        return checking.margins(guide, np.array(pixels).reshape(1, 2, 2, 1)).item()

    scores = np.array([0.1, -0.3, -0.4, 0.5])  # the closest decision: whether 0.1 is positive
    assert margin(*scores + 0.5) == pytest.approx(0.1 / np.sqrt(np.mean(scores**2)))
    scores = np.array([0.45, -0.3, -0.4, 0.5])  # which of 0.45 and 0.5 is larger; unit: the maximum, 0.5
    assert margin(*scores + 0.5) == pytest.approx(0.05 / 0.5)
    scores = np.array([-0.3, -0.3, -0.3, -0.3])  # equal, but nothing comes through
    assert margin(*scores + 0.5) == pytest.approx(1)


def one_percent_too_large(gradient):
    return gradient * np.float32(1.01)


def one_missing(gradient):
    """One bias, or the kernels of one map: of the one that learns most, for some learn nothing."""
    wrong = gradient.copy()
    wrong[..., np.abs(gradient).sum(axis=tuple(range(gradient.ndim - 1))).argmax()] = 0
    return wrong


@pytest.mark.parametrize("weight", range(10))
@pytest.mark.parametrize("sabotage", [one_percent_too_large, np.zeros_like, one_missing])
def test_a_wrong_gradient_is_found(sabotage, weight):
    class Wrong(numpy_im2col.RivalNetwork):
        def gradients(self, x, labels):
            loss, found = super().gradients(x, labels)
            found[weight] = sabotage(found[weight])
            return loss, found

    found = contestant(Wrong, "lenet5", problem("lenet5", 32)).results()
    # Of this weight or of another one: the second step starts from what the first made of it.
    assert checking.fault(found, problem("lenet5", 32).expected).startswith("change of weight")


def test_a_gradient_without_one_image_of_128_is_found():
    class Forgetful(numpy_im2col.RivalNetwork):
        def gradients(self, x, labels):
            loss, found = super().gradients(x[:-1], labels[:-1])
            return loss, [np.float32(127 / 128) * gradient for gradient in found]

    found = contestant(Forgetful, "cs231n", problem("cs231n", 128)).results()
    assert checking.fault(found, problem("cs231n", 128).expected) is not None


def test_the_worst_fault_is_named():
    expected = {"probabilities": np.ones(3), "change of weight 0": np.array([3.0, -4.0])}
    found = {"probabilities": np.full(3, 1.001), "change of weight 0": np.array([3.0, -4.01])}
    fault = checking.fault(found, expected)
    assert fault == "probabilities is off by 1.0e-03 of its norm, where 1e-04 is allowed"
    found["probabilities"] = np.ones(3)
    assert checking.fault(found, expected).startswith("change of weight 0 is off by 2.0e-03")
    found["probabilities"][1] = np.nan
    assert checking.fault(found, expected).startswith("probabilities is off by nan")
    assert checking.fault(expected, expected) is None


def test_batches_travel_to_the_worker(tmp_path):
    seen = problem("lenet5", 1).batches
    checking.save_batches(tmp_path / "batches.npz", seen)
    loaded = checking.load_batches(str(tmp_path / "batches.npz"))
    assert len(loaded) == len(seen) == 2
    for (x, labels), (y, others) in zip(seen, loaded, strict=True):
        assert np.array_equal(x, y)
        assert np.array_equal(labels, others)
    checking.save_batches(tmp_path / "none.npz", [])
    assert checking.load_batches(str(tmp_path / "none.npz")) == []


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


def test_a_worker_that_never_answers_is_ended(monkeypatch):
    with race.Process("numpy", "lenet5", batch=2, threads=1) as process:
        monkeypatch.setattr(race, "PATIENCE", 0.1)
        with pytest.raises(race.WorkerError, match="numpy: ended with status -9"):
            process.steps_per_second("train", 60)


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
        assert process.results(problem("lenet5", 2))["probabilities"].shape == (2, 10)


@pytest.mark.skipif(not realtime.permitted(), reason="real-time scheduling is not permitted here")
def test_real_time_begins_and_ends():
    policy = functools.partial(os.sched_getscheduler, 0)
    with realtime.running():
        assert policy() == os.SCHED_FIFO
    assert policy() == os.SCHED_OTHER


def test_versus_says_where_real_time_is_not_permitted(monkeypatch, capsys):
    monkeypatch.setattr(realtime, "permitted", lambda: False)
    with pytest.raises(SystemExit):
        versus.main(["--realtime"])
    assert "--realtime: this system does not let us" in capsys.readouterr().err


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
        assert row["share_of_peak"] > 0
    assert "fastconv" in report["machine"]["versions"]
    table = (tmp_path / "versus.txt").read_text()
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["lenet5", "lenet5"]
    assert table.startswith("date ")
    assert "\nnoise " in table
    assert "\ncommand          python -m benchmarks.versus --nets lenet5 " in table
    assert "noise: the measured FMA peak varied by" in capsys.readouterr().out


@linux
def test_versus_does_not_race_a_wrong_answer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checking, "TOLERANCE", 1e-12)
    argv = ["--layers", "lenet-c3", "--rivals", "numpy", "--batches", "1", "--threads", "1"]
    assert versus.main([*argv, "--out", str(tmp_path)]) == 1
    assert "not raced: lenet-c3, batch 1: fastconv: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---- the other measurements


@linux
def test_memory(tmp_path, capsys):
    argv = ["--net", "lenet5", "--batch", "4", "--rivals", "numpy", "--seconds", "0.05", "--steps", "50"]
    report = small_run(memory, tmp_path, *argv, "--runs", "2")
    assert report["machine"]["noise"].startswith("peaks of 2 processes each within ")
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


def test_growth_is_fitted_by_a_straight_line():
    sizes = [1, 2, 4, 8, 16, 32]
    fit = scaling._fit(sizes, [5e-4 + 3e-3 * size for size in sizes])
    assert (fit["fixed"], fit["each"]) == (pytest.approx(5e-4), pytest.approx(3e-3))
    assert fit["error"] < 1e-9
    assert scaling._fit(sizes, [3e-3 * size for size in sizes])["exponent"] == pytest.approx(1)
    square = scaling._fit(sizes, [size**2 for size in sizes])
    assert square["exponent"] == pytest.approx(2)
    assert square["error"] > 0.3


def test_footprint_counts_what_a_distribution_needs():
    needed = footprint._closure(["hypothesis>=6", "not-installed-anywhere", 'numpy ; extra == "never"'])
    assert "hypothesis" in needed
    assert "sortedcontainers" in needed  # which hypothesis needs
    assert "numpy" not in needed
    assert footprint._installed_size("hypothesis") > 1e6
    assert min(footprint._import_seconds("json", 2)) > 0


def test_footprint(tmp_path, monkeypatch, capsys):
    """But for the wheel, which takes a compiler and a minute: a small one in its place."""

    def small_wheel(folder):
        with zipfile.ZipFile(folder / "fastconv.whl", "w") as archive:
            archive.writestr("fastconv-1.dist-info/METADATA", "Name: fastconv\nRequires-Dist: hypothesis\n")
        return folder / "fastconv.whl"

    monkeypatch.setattr(charts, "available", lambda: False)
    monkeypatch.setattr(footprint, "_build_wheel", small_wheel)
    argv = ["--packages", "fastconv", "--imports", "2", "--no-wheels"]
    (row,) = small_run(footprint, tmp_path, *argv)["rows"]
    assert row["installed"] < row["wheel"] < 1000
    assert row["with_dependencies"] > row["installed"] + 1e6
    assert len(row["imports"]) == 2
    assert "fastconv" in (tmp_path / "footprint.txt").read_text()
    assert "noise: 2 imports" in capsys.readouterr().out


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
    line = {"axis": "images", "what": "forward", "sizes": [1, 2], "seconds": [1, 2]}
    line |= scaling._fit(line["sizes"] * 2, line["seconds"] * 2)
    speedup = {"net": "lenet5", "mode": "train", "batch": 1, "speedup": 1.5}
    peaks = {"fastconv": {"built": 1e7, "trained": 2e7}, "torch": {"built": 1e8, "trained": 2e8}}
    growth = {"network": "lenet5", "rows": [{"steps": 1, "bytes": 1e7}, {"steps": 2, "bytes": 1e7}]}
    assert charts.memory(tmp_path / "memory.png", {}, peaks, growth).stat().st_size > 1000
    assert charts.memory(tmp_path / "peaks.png", {}, peaks, None).stat().st_size > 1000
    size = {"package": "fastconv", "import_seconds": 0.1, "with_dependencies": 1e7, "wheel": 1e6}
    assert charts.footprint(tmp_path / "sizes.png", {}, [size, size | {"wheel": None}]).stat().st_size > 1000
    assert charts.scaling(tmp_path / "scaling.png", {}, [line], [speedup]).stat().st_size > 1000
