"""The benchmarks' own arithmetic: networks as described, weights converted, results compared, times told."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import zipfile

import numpy as np
import pytest

import fastconv
from benchmarks import charts, checking, footprint, machine, memory, race, realtime, roofline, scaling, versus
from benchmarks.description import (
    STATISTICS,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    GlobalPool,
    Network,
    Pool,
    Sum,
    Transposed,
    channels_first,
    channels_last,
)
from benchmarks.layers import LAYERS, layer_operands
from benchmarks.networks import EVERYTHING, NETWORKS, batches, find
from benchmarks.random_networks import CHANNELS, LARGEST, random_network
from benchmarks.rivals import RIVALS, environment, numpy_im2col
from benchmarks.rivals.keras_style import KerasModel
from benchmarks.rivals.ours import RivalNetwork
from fastconv import applications

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux' /proc for the memory")

# ---- networks


PARAMETERS = {
    "lenet5": 61_706, "cs231n": 6_440, "convnetjs": 22_466, "fashion_cnn": 1_413_834, "lenet5_paper": 61_706,
    "torch_cifar": 62_006, "bn_net": 36_282, "keras_cifar": 1_250_858, "overlap_pool": 13_066,
    "resnet20": 272_282 + 2 * 688, "mobilenet": 221_794, "unet": 120_681,
}  # fmt: skip


@pytest.mark.parametrize("network", [*NETWORKS.values(), EVERYTHING], ids=lambda network: network.name)
def test_networks_have_the_parameters_they_say(network):
    model = KerasModel(fastconv, network).model
    assert sum(weight.size for weight in network.initial_weights()) == network.parameters
    assert model.count_params() == network.parameters
    assert model.output_shape == (None, *network.output_shape)
    if network is not EVERYTHING:
        assert network.parameters == PARAMETERS[network.name.removesuffix("_logits")]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("fashion_cnn", applications.FashionCNN()),
        ("mobilenet", applications.MobileNetV1()),
        ("resnet20", applications.ResNet20(shortcut="projection")),
        ("unet", applications.UNet()),
    ],
)
def test_networks_are_those_of_the_applications(name, model):
    """The same weights in the same order, and the same function of them."""
    network = NETWORKS[name]
    ours = KerasModel(fastconv, network)
    assert sorted(w.shape for w in model.get_weights()) == sorted(w.shape for w in ours.get_weights())
    ours.model.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((2, *network.input_shape), np.float32)
    np.testing.assert_allclose(ours.model.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)


def test_the_text_of_a_network():
    assert str(NETWORKS["overlap_pool"]) == (
        "28x28x1: conv 16 5x5 valid relu, max 3 stride 2, conv 32 3x3 relu, max 3 stride 2, dropout 0.4, "
        "dense 10 softmax"
    )
    assert "sum(conv 4 3x3 without bias, batch norm, relu, conv 6 1x1 | depthwise" in str(EVERYTHING)
    assert str(EVERYTHING).endswith("dense 12 without bias, tanh, dense 5 (logits)")


def test_same_padding_is_tensorflows():
    assert Conv(1, 3, stride=2).pads((8, 8, 1)) == ((0, 1), (0, 1))
    assert Conv(1, 3, stride=2).pads((7, 8, 1)) == ((1, 1), (0, 1))
    assert Conv(1, 4).pads((9, 9, 1)) == ((1, 2), (1, 2))
    assert Conv(1, 1, stride=2).pads((8, 8, 1)) == ((0, 0), (0, 0))
    assert Conv(1, 5, padding="valid").pads((8, 8, 1)) == ((0, 0), (0, 0))
    assert Conv(3, 3, stride=2).output_shape((7, 8, 1)) == (4, 4, 3)


def test_chains_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="Sum: chains must end in one shape"):
        Sum(((), (Conv(3, 1),))).output_shape((4, 4, 2))
    with pytest.raises(ValueError, match="Concat: chains must end in images of one size"):
        Concat(((), (Pool("max"),))).output_shape((4, 4, 2))
    with pytest.raises(ValueError, match="a window of 5 pixels does not fit into 4"):
        Conv(3, 5, padding="valid").output_shape((4, 4, 2))


def test_random_networks():
    """The same network for the same seed; over some of them all that the generator can say."""
    drawn = [random_network(seed) for seed in range(60)]
    assert drawn[7] == find("random-7")
    assert len({str(network) for network in drawn}) == len(drawn)
    assert all(network.operations(training=False) <= LARGEST for network in drawn)
    convs = [layer for network in drawn for layer in network.layers if isinstance(layer, Conv)]
    pools = [layer for network in drawn for layer in network.layers if isinstance(layer, Pool)]
    assert {conv.size for conv in convs} == set(range(1, 8))
    assert {conv.stride for conv in convs} == {1, 2}
    assert {conv.padding for conv in convs} == {"same", "valid"}
    assert {conv.filters for conv in convs} == set(CHANNELS)
    assert {(pool.size, pool.step) for pool in pools} == {(2, 2), (3, 2), (3, 3)}
    assert {network.head for network in drawn} == {"softmax", "linear"}
    for kind in (BatchNorm, Dropout, GlobalPool):
        count = sum(any(isinstance(layer, kind) for layer in network.layers) for network in drawn)
        assert 5 < count < 55
    with pytest.raises(KeyError):
        find("random-x")


def test_operations():
    """LeNet-5 by hand: pixels x taps x channels in x channels out, a product and a sum each."""
    c1, c3 = 28 * 28 * 25 * 1 * 6, 10 * 10 * 25 * 6 * 16
    dense = 400 * 120 + 120 * 84 + 84 * 10
    lenet = NETWORKS["lenet5"]
    assert lenet.operations(training=False) == 2 * (c1 + c3 + dense)
    assert lenet.operations(training=True) == 2 * (3 * (c1 + c3 + dense) - c1)
    pairs = Network("pairs", (8, 8, 4), (Depthwise(3, stride=2), Transposed(6, 2)))
    assert pairs.operations(training=False) == 2 * (4 * 4 * 9 * 4 + 8 * 8 * 4 * 6)


@pytest.mark.parametrize("network", [*NETWORKS.values(), EVERYTHING], ids=lambda network: network.name)
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
    network = find(name).without_dropout()
    return kind(network, checking.starting_weights(network), problem.batches, problem.rate)


@functools.cache
def problem(name: str, batch: int) -> checking.Check:
    return checking.check(name, batch)


@pytest.mark.parametrize(("name", "batch"), [("lenet5", 128), ("cs231n", 128), ("convnetjs", 1)])
@pytest.mark.parametrize("kind", [RivalNetwork, numpy_im2col.RivalNetwork])
def test_float32_is_right_at_any_batch_size(kind, name, batch):
    """fastconv and NumPy share nothing; that random images would not do is the next test."""
    found = contestant(kind, name, problem(name, batch)).results()
    assert len(found) == 2 + len(NETWORKS[name].initial_weights())
    assert problem(name, batch).fault(found) is None


def test_fastconv_is_right_about_the_large_network():
    """Its few images at once are a test of Winograd's rounding."""
    found = contestant(RivalNetwork, "fashion_cnn", problem("fashion_cnn", 2)).results()
    assert problem("fashion_cnn", 2).fault(found) is None


def test_images_are_chosen_whose_decisions_rounding_cannot_turn():
    """Random images come to decisions a hundred times as close, and float32 decides some otherwise."""
    network = NETWORKS["cs231n"]
    weights = checking.starting_weights(network)
    guide = numpy_im2col.RivalNetwork(network, weights, [], 0.0, dtype=np.float64)
    images, labels = problem("cs231n", 128).batches[0]
    chosen = np.unique(images, axis=0)
    ((others, _),) = batches(network, 128, count=1, seed=5)
    assert len(chosen) == checking.CHOSEN
    assert len(np.unique(labels)) == 10
    assert checking.margins(guide, chosen).min() > 1e-4 > 100 * checking.margins(guide, others).min()


@pytest.mark.parametrize("head", ["linear", "softmax", "sigmoid"])
def test_numpy_gradient_is_a_derivative(head):
    """The change of a number of each weight against the loss's slope, by central differences."""
    end = Conv(1, 1, "sigmoid") if head == "sigmoid" else Dense(5, head)
    layers = EVERYTHING.layers[:4] if head == "sigmoid" else EVERYTHING.layers[:-1]
    network = Network("everything", EVERYTHING.input_shape, (*layers, end)).without_dropout()
    data, weights = batches(network, 3), network.initial_weights()

    def loss(moved: list[np.ndarray]) -> float:
        return numpy_im2col.RivalNetwork(network, moved, data, 0.0, dtype=np.float64).train(0)

    stepped = numpy_im2col.RivalNetwork(network, weights, data, 1.0, dtype=np.float64)
    stepped.train(0)
    for i, (kind, shape, _) in enumerate(network.weights()):
        if kind in STATISTICS:
            continue
        place = tuple(size // 2 for size in shape)
        shifted = [[weight.astype(np.float64) for weight in weights] for _ in range(2)]
        shifted[0][i][place] += 1e-6
        shifted[1][i][place] -= 1e-6
        slope = (loss(shifted[0]) - loss(shifted[1])) / 2e-6
        # The first step from rest: momentum m = -g, and Nesterov moves by 0.9 m - g.
        change = stepped.weights()[i][place] - weights[i][place]
        assert change == pytest.approx(-1.9 * slope, rel=1e-5, abs=1e-8), f"{kind} {shape}"


def test_numpy_batch_norm_moves_its_statistics_as_keras_does():
    network = Network("normed", (4, 4, 2), (BatchNorm(), GlobalPool("average")))
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    solver = numpy_im2col.RivalNetwork(network, [ones, zeros, zeros, ones], [], 0.0, dtype=np.float64)
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 2))
    solver.learn(x, np.array([0, 1, 1]))
    _, _, mean, variance = solver.weights()
    np.testing.assert_allclose(mean, 0.01 * x.mean((0, 1, 2)))
    np.testing.assert_allclose(variance, 0.99 + 0.01 * x.var((0, 1, 2)))


def test_margins_by_hand():
    """One image, one channel, a kernel of one tap: scores are pixels less 0.5."""
    network = Network("tiny", (2, 2, 1), (Conv(1, 1, "relu"), Pool("max"), Dense(2, "softmax")))
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
    assert problem("lenet5", 32).fault(found).startswith("change of weight")


def test_a_gradient_without_one_image_of_128_is_found():
    class Forgetful(numpy_im2col.RivalNetwork):
        def gradients(self, x, labels):
            loss, found = super().gradients(x[:-1], labels[:-1])
            return loss, [np.float32(127 / 128) * gradient for gradient in found]

    found = contestant(Forgetful, "cs231n", problem("cs231n", 128)).results()
    assert problem("cs231n", 128).fault(found) is not None


def test_the_worst_fault_is_named():
    expected = {"outputs": np.ones(3), "change of weight 0": np.array([3.0, -4.0])}
    found = {"outputs": np.full(3, 1.001), "change of weight 0": np.array([3.0, -4.01])}
    right = checking.Check([], expected)
    assert right.fault(found) == "outputs is off by 1.0e-03 of its norm, where 1e-04 is allowed"
    found["outputs"] = np.ones(3)
    assert right.fault(found).startswith("change of weight 0 is off by 2.0e-03")
    # Measured by another weight's change, or where float32 cannot tell the weights apart.
    assert checking.Check([], expected, units={"change of weight 0": 50.0}).fault(found) is None
    assert checking.Check([], expected, rounding={"change of weight 0": 0.006}).fault(found) is None
    assert checking.Check([], expected, rounding={"change of weight 0": 0.004}).fault(found) is not None
    found["outputs"][1] = np.nan
    assert right.fault(found).startswith("outputs is off by nan")
    assert right.fault(expected) is None


@pytest.mark.parametrize("batch", [1, 4])
def test_batch_norm_is_checked_on_few_images(batch):
    """Their mean and variance are those of the batch; the statistics are near those of random images."""
    right = problem("bn_net", batch)
    assert len(np.unique(right.batches[0][0], axis=0)) == min(batch, checking.MIXED)
    for kind in (RivalNetwork, numpy_im2col.RivalNetwork):
        assert right.fault(contestant(kind, "bn_net", right).results()) is None
    network = NETWORKS["bn_net"]
    kinds = [weight.kind for weight in network.weights()]
    moved = [right.expected[f"change of weight {i}"] for i, kind in enumerate(kinds) if kind == "variance"]
    assert all(np.abs(change).max() > 1e-4 for change in moved)


@linux
@pytest.mark.parametrize("rival", [name for name in RIVALS if not RIVALS[name].setting.get("compiled")])
def test_everything_that_can_be_described_is_the_same_everywhere(rival):
    """In processes of their own, for some frameworks set up the whole process."""
    if RIVALS[rival].missing():
        pytest.skip(f"needs {RIVALS[rival].missing()}")
    with race.Process(rival, "everything", batch=1, threads=1) as process:
        for batch in (1, 6):
            process.build("everything", batch)
            right = problem("everything", batch)
            assert right.fault(process.results(right)) is None


@pytest.mark.parametrize("statistic", [0, 1])
def test_wrong_statistics_are_found(statistic):
    class Wrong(numpy_im2col.RivalNetwork):
        def weights(self):
            kinds = [weight.kind for weight in NETWORKS["bn_net"].weights()]
            number = [i for i, kind in enumerate(kinds) if kind in STATISTICS][statistic]
            found = super().weights()
            if self.velocity[0].any():  # after the steps
                found[number] *= np.float32(1.001)
            return found

    right = problem("bn_net", 4)
    assert right.fault(contestant(Wrong, "bn_net", right).results()).startswith("change of weight")


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
    with pytest.raises(race.WorkerError, match="KeyError: 'no such layer'"):
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
        assert process.results(problem("lenet5", 2))["outputs"].shape == (2, 10)


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
def test_versus_of_random_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(charts, "available", lambda: False)
    argv = ["--random", "2", "--seed", "10", "--rivals", "numpy", "--batches", "1", "--threads", "1"]
    report = small_run(versus, tmp_path, *argv, "--seconds", "0.01", "--rounds", "2")
    assert list(report["networks"]) == ["random-10", "random-11"]
    assert report["networks"]["random-11"] == str(random_network(11))
    found = report["distributions"]
    assert {(row["mode"], row["family"], row["count"]) for row in found} == {
        ("train", "NumPy", 2),
        ("inference", "NumPy", 2),
    }
    table = (tmp_path / "versus-random.txt").read_text().splitlines()
    assert table[-1].startswith(f"{found[-1]['worst subject']:12} ") or table[-2].startswith("random-")


def test_distributions_by_hand():
    def row(name: str, ratio: float) -> dict:
        ratios = {"NumPy": [0, ratio, 9], "all": [0, ratio, 9]}
        return {"subject": name, "mode": "train", "batch": 1, "threads": 1, "ratio": ratios}

    (found,) = versus.distributions([row("a", 4.0), row("b", 0.5), row("c", 2.0), row("d", 1.0)])
    assert (found["worst"], found["worst subject"], found["best"], found["count"]) == (0.5, "b", 4.0, 4)
    assert found["quartiles"] == [0.875, 1.5, 2.5]
    assert found["geomean"] == pytest.approx(np.sqrt(2))
    assert found["family"] == "NumPy"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nets", "lenet6"], "no network is called 'lenet6'; choose from lenet5, "),
        (["--random", "2", "--nets", "lenet5"], "exclude each other"),
        (["--nets", "lenet5", "--compile"], "--compile goes with --random"),
    ],
)
def test_versus_names_what_is_wrong_with_its_arguments(argv, message, capsys):
    with pytest.raises(SystemExit):
        versus.main(argv)
    assert message in capsys.readouterr().err


def test_random_races_leave_the_compiler_out_unless_asked():
    assert not any("compile" in name for name in versus._default_rivals(versus.arguments(["--random", "1"])))
    asked = versus._default_rivals(versus.arguments(["--random", "1", "--compile"]))
    assert {"torch", "torch-compile", "onnxruntime"} < set(asked)
    assert "keras-jax" not in asked


@linux
def test_a_process_races_one_network_after_another():
    entrants = versus.Entrants(["numpy"], None)
    try:
        (first,) = entrants.enter("lenet5", 2, 1, problem("lenet5", 2))
        (second,) = entrants.enter("random-0", 1, 1, problem("random-0", 1))
        assert second is first
        wrong = dataclasses.replace(problem("lenet5", 2), rate=1.0)
        assert not entrants.enter("lenet5", 2, 1, wrong)
        (third,) = entrants.enter("lenet5", 2, 1, problem("lenet5", 2))
        assert third is not first
    finally:
        entrants.close()


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
    argv = ["--nets", "lenet5", "--batch", "4", "--rivals", "numpy", "--seconds", "0.05", "--steps", "50"]
    report = small_run(memory, tmp_path, *argv, "--runs", "2")
    assert report["machine"]["noise"].startswith("peaks of 2 processes each within ")
    assert report["peaks"]["lenet5"]["fastconv"]["trained"] > 1e7
    assert len(report["growth"]["rows"]) == 20
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
    ratios = [row | {"subject": name, "ratio": {"PyTorch": [1, i, 3]}} for i, name in enumerate("abc", 1)]
    assert charts.distributions(tmp_path / "random.png", {}, ratios).stat().st_size > 1000
    assert charts.roofline(tmp_path / "roof.png", {}, 1e11, 1e10, [point]).stat().st_size > 1000
    line = {"axis": "images", "what": "forward", "sizes": [1, 2], "seconds": [1, 2]}
    line |= scaling._fit(line["sizes"] * 2, line["seconds"] * 2)
    speedup = {"net": "lenet5", "mode": "train", "batch": 1, "speedup": 1.5}
    peaks = {"unet": {"fastconv": {"built": 1e7, "trained": 2e7}, "torch": {"built": 1e8, "trained": 2e8}}}
    levels = [{"mode": mode, "steps": n, "bytes": 1e7} for mode in ("train", "inference") for n in (1, 2)]
    growth = {"network": "lenet5", "rows": levels}
    assert charts.memory(tmp_path / "memory.png", {}, peaks, growth).stat().st_size > 1000
    assert charts.memory(tmp_path / "peaks.png", {}, peaks, None).stat().st_size > 1000
    size = {"package": "fastconv", "import_seconds": 0.1, "with_dependencies": 1e7, "wheel": 1e6}
    assert charts.footprint(tmp_path / "sizes.png", {}, [size, size | {"wheel": None}]).stat().st_size > 1000
    assert charts.scaling(tmp_path / "scaling.png", {}, [line], [speedup]).stat().st_size > 1000
