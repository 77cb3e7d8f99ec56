"""Weights from PyTorch: the files in ``golden/interop`` are read without it, hostile ones run nothing."""

import os
import pickle
import random
import zipfile
from pathlib import Path

import interop_torch_networks as networks
import numpy as np
import pytest
from damaged_files import damaged

from fastconv import Model, Sequential, layers
from fastconv.interop import torch as interop_torch
from fastconv.interop.torch_file import read_tensors

GOLDEN = Path(__file__).with_name("golden") / "interop"


@pytest.fixture(scope="module")
def answers():
    """What the networks computed in PyTorch."""
    with np.load(GOLDEN / "torch.npz") as arrays:
        return dict(arrays)


def built(name):
    return networks.NETWORKS[name][1]()


def assert_same(y, expected):
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-5)


# ---- from PyTorch


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_weights_by_pytorch(name, answers):
    model = built(name)
    interop_torch.load_weights(model, GOLDEN / f"torch_{name}.safetensors")
    assert_same(model.predict(networks.inputs_of(name), verbose=0), answers[name])


def test_pickled_weights_are_the_same():
    pickled, plain = (read_tensors(GOLDEN / f"torch_everything{end}") for end in (".pt", ".safetensors"))
    assert pickled.keys() == plain.keys()
    for name, tensor in pickled.items():
        np.testing.assert_array_equal(tensor, plain[name])
    assert list(pickled)[:2] == ["0.weight", "0.bias"]  # in PyTorch's order


def test_checkpoints_and_views():
    """Golden: of arange(6).reshape(2, 3).T and of bfloat16 ones."""
    tensors = read_tensors(GOLDEN / "torch_checkpoint.pt")
    np.testing.assert_array_equal(tensors["weight"], np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(tensors["bias"], np.ones(3, np.float32))
    model = Sequential([layers.Input((2,)), layers.Dense(3)])
    interop_torch.load_weights(model, GOLDEN / "torch_checkpoint.pt")
    np.testing.assert_array_equal(model.layers[0].kernel.value, np.arange(6.0).reshape(2, 3))


def test_mapping_by_names():
    model = Sequential([layers.Input((3,)), layers.Dense(4, name="first"), layers.Dense(4, name="second")])
    rng = np.random.default_rng(1)
    shapes = {"b.weight": (4, 4), "b.bias": (4,), "a.weight": (4, 3), "a.bias": (4,)}
    arrays = {name: rng.random(shape) for name, shape in shapes.items()}
    interop_torch.load_weights(model, arrays, {"first": "a", "second": "b"})
    np.testing.assert_allclose(model.layers[1].kernel.value, arrays["b.weight"].T, rtol=1e-6)
    back = interop_torch.state_dict(model, {"first": "a", "second": "b"})
    assert list(back) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    for name, array in back.items():
        np.testing.assert_allclose(array, arrays[name], rtol=1e-6)
    with pytest.raises(ValueError, match="'second' is missing; 'third' is none"):
        interop_torch.load_weights(model, arrays, {"first": "a", "third": "b"})
    with pytest.raises(ValueError, match=r"expected weight \(4, 4\), there is no c\.weight"):
        interop_torch.load_weights(model, arrays, {"first": "a", "second": "c"})


def test_a_separable_convolution_is_two_modules():
    model = built("separable")
    name = model.layers[1].name
    mapping = {name: ("0", "1")}
    interop_torch.load_weights(model, GOLDEN / "torch_separable.safetensors", mapping)
    assert list(interop_torch.state_dict(model)) == [
        f"{name}.depthwise.weight", f"{name}.pointwise.weight", f"{name}.pointwise.bias",
    ]  # fmt: skip
    assert list(interop_torch.state_dict(model, mapping)) == ["0.weight", "1.weight", "1.bias"]
    with pytest.raises(ValueError, match="the name of one module"):
        interop_torch.load_weights(model, {"x": np.zeros(1)}, {name: ("0", "1", "2")})


def test_flattened_images_join_others():
    """Two images and a vector side by side: each part has the order it came in."""
    a, b, c = layers.Input((2, 2, 3)), layers.Input((3, 1, 2)), layers.Input((2,))
    joined = layers.Concatenate()([layers.Flatten()(a), layers.ReLU()(layers.Flatten()(b)), c])
    model = Model([a, b, c], layers.Dense(1, use_bias=False, name="d")(joined))
    weight = np.arange(20.0).reshape(1, 20)
    interop_torch.load_weights(model, {"d.weight": weight})
    images = [np.arange(12.0).reshape(1, 2, 2, 3), np.arange(6.0).reshape(1, 3, 1, 2), np.ones((1, 2))]
    there = np.concatenate([np.moveaxis(image, -1, 1).reshape(1, -1) for image in images], axis=1)
    np.testing.assert_allclose(model.predict(images, verbose=0), there @ weight.T)
    np.testing.assert_array_equal(interop_torch.state_dict(model)["d.weight"], weight)


# ---- to PyTorch


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_there_and_back(name):
    given = read_tensors(GOLDEN / f"torch_{name}.safetensors")
    source, target = built(name), built(name)
    interop_torch.load_weights(source, GOLDEN / f"torch_{name}.safetensors")
    arrays = interop_torch.state_dict(source)
    interop_torch.load_weights(target, arrays)
    np.testing.assert_equal(target.get_weights(), source.get_weights())
    assert len(arrays) == len(given)
    if name == "everything":
        names = list(read_tensors(GOLDEN / "torch_everything.pt"))
        named = interop_torch.state_dict(source, names)
        assert list(named) == names
        for key, array in named.items():
            np.testing.assert_array_equal(array, given[key])


def test_files_without_order(tmp_path):
    from safetensors.numpy import save_file

    def saved(**modules):
        arrays = {}
        for module, (rows, columns) in modules.items():
            arrays[f"{module}.weight"] = np.full((rows, columns), len(arrays), np.float32)
            arrays[f"{module}.bias"] = np.zeros(rows, np.float32)
        save_file(arrays, tmp_path / "net.safetensors")
        return tmp_path / "net.safetensors"

    def loaded(path, mapping=None):
        model = Sequential([layers.Input((2,)), *(layers.Dense(n, name=name) for name, n in own.items())])
        interop_torch.load_weights(model, path, mapping)
        return [layer.kernel.value[0, 0] for layer in model.layers]

    own = {"a": 3, "b": 3, "c": 3, "d": 1}
    assert loaded(saved(stem=(3, 2), fc2=(3, 3), fc10=(3, 3), end=(1, 3))) == [0, 2, 4, 6]
    assert loaded(saved(end=(1, 3), fc2=(3, 3), fc10=(3, 3), stem=(3, 2))) == [6, 2, 4, 0]
    path = saved(stem=(3, 2), late=(3, 3), early=(3, 3), end=(1, 3))
    with pytest.raises(ValueError, match="keeps no order, and the modules early, late have the same shapes"):
        loaded(path)
    assert loaded(path, {"a": "stem", "b": "late", "c": "early", "d": "end"}) == [0, 2, 4, 6]
    with pytest.raises(ValueError, match=r"(?s)does not fit.*no layer for"):
        loaded(saved(stem=(3, 2), one=(3, 3), two=(3, 3), three=(3, 3), end=(1, 3)))


def test_state_dict_errors():
    with pytest.raises(ValueError, match="has no weights yet"):
        interop_torch.state_dict(Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"RBF 'odd': PyTorch has no module like it"):
        interop_torch.state_dict(Sequential([layers.Input((3,)), layers.RBF(2, name="odd")]))
    model = Sequential([layers.Input((3,)), layers.Dense(2, name="d")])
    with pytest.raises(ValueError, match=r"has 2 tensors, got 1 names. They are d\.weight \(2, 3\), d\.bias"):
        interop_torch.state_dict(model, ["weight"])
    slopes = Sequential([layers.Input((2, 2, 2)), layers.PReLU(alpha_initializer="glorot_uniform", name="p")])
    with pytest.raises(ValueError, match="one slope a channel; use shared_axes="):
        interop_torch.state_dict(slopes)


# ---- what does not fit


def linear(**arrays):
    return {
        "fc.weight": np.zeros((2, 3), np.float32),
        "fc.bias": np.zeros(2, np.float32),
        **{name.replace("_", "."): array for name, array in arrays.items()},
    }


MISMATCHES = {
    "a shape": (
        linear(fc_weight=np.zeros((3, 2))),
        r"Dense 'd': expected weight \(2, 3\), got fc\.weight \(3, 2\)",
    ),
    "too few": (
        {"fc.weight": np.zeros((2, 3))},
        r"Dense 'd': expected bias \(2,\), there are no more tensors",
    ),
    "too many": (linear(more_weight=np.zeros(1)), r"no layer for more\.weight \(1,\)"),
    "whole numbers": (
        linear(fc_bias=np.zeros(2, int)),
        r"expected bias \(2,\) of floats, got fc\.bias of int64",
    ),
    "NaN": (linear(fc_bias=np.full(2, np.nan)), "holds NaN or infinity; allow_nan=True"),
    "another tensor": (
        {"n.weight": np.zeros((2, 3)), "n.running_mean": np.zeros(2)},
        r"expected bias \(2,\), got n\.running_mean \(2,\)",
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_mismatches_are_listed_and_nothing_changes(case):
    arrays, message = MISMATCHES[case]
    model = Sequential([layers.Input((3,)), layers.Dense(2, name="d", kernel_initializer="ones")])
    with pytest.raises(ValueError, match=f"(?s)the dictionary does not fit Sequential.*{message}"):
        interop_torch.load_weights(model, arrays)
    np.testing.assert_array_equal(model.layers[0].kernel.value, np.ones((3, 2)))


def test_other_mistakes(tmp_path):
    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(TypeError, match="the source comes second"):
        interop_torch.load_weights(linear(), model)
    with pytest.raises(TypeError, match="holds tensors or arrays, got list"):
        interop_torch.load_weights(model, {"a": [1.0]})
    with pytest.raises(ValueError, match=r"expected a file of PyTorch's, \.safetensors or \.pt"):
        interop_torch.load_weights(model, tmp_path / "net.onnx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        interop_torch.load_weights(model, tmp_path / "net.pt")
    norm = Sequential([layers.Input((3,)), layers.BatchNormalization(scale=False, name="n")])
    arrays = interop_torch.state_dict(norm)
    np.testing.assert_array_equal(arrays["n.weight"], np.ones(3))
    interop_torch.load_weights(norm, arrays)
    with pytest.raises(ValueError, match=r"has no weight, so n\.weight must be 1 throughout"):
        interop_torch.load_weights(norm, {**arrays, "n.weight": np.zeros(3, np.float32)})
    shared = layers.Dense(2, name="twice")
    a, b = layers.Input((2, 2, 2)), layers.Input((8,))
    both = Model([a, b], layers.Add()([shared(layers.Flatten()(a)), shared(b)]))
    with pytest.raises(ValueError, match="is called on flattened images and on others"):
        interop_torch.state_dict(both)


# ---- hostile files


class Evil:
    """Unpickled by Python, this runs a command."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(tmp_path, program, storages=(), name="net.pt"):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", program)
        for key, data in storages:
            file.writestr(f"net/data/{key}", data)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_nothing_in_a_pickle_is_run(protocol, nested, tmp_path):
    proof = tmp_path / "proof"
    evil = Evil(os.system, f"touch {proof}")
    program = pickle.dumps({"weight": evil} if nested else evil, protocol)
    with pytest.raises(
        ValueError, match=r"net\.pt: its pickle (asks for (posix|nt|os)\.system|has the instruction)"
    ):
        read_tensors(archive(tmp_path, program))
    assert not proof.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, open, print, dict, bytearray])
def test_names_that_are_refused(function, tmp_path):
    with pytest.raises(ValueError, match=rf"asks for \w+\.{function.__name__}, which is refused"):
        read_tensors(archive(tmp_path, pickle.dumps(Evil(function, "1"), 2)))


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"
ONE = np.arange(6, dtype="<f4").tobytes()


def tensor(offset=b"K\x00", shape=b"K\x02K\x03\x86", strides=b"K\x03K\x01\x86"):
    """A pickle of {"w": a tensor}."""
    made = TENSOR + b"(" + STORAGE + offset + shape + strides + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + made + b"s."


def test_the_least_file(tmp_path):
    path = archive(tmp_path, tensor(), [("0", ONE)])
    np.testing.assert_array_equal(read_tensors(path)["w"], [[0, 1, 2], [3, 4, 5]])


LARGE = b"J\xff\xff\xff\x7f"
PROGRAMS = {
    "out of the storage": (tensor(offset=b"K\x01"), "reaches out of its storage of 6 numbers"),
    "a huge tensor": (tensor(shape=LARGE + b"K\x03\x86"), "reaches out of its storage"),
    "a negative stride": (tensor(strides=b"J\xfd\xff\xff\xffK\x01\x86"), "no storage, sizes or strides"),
    "a negative offset": (tensor(offset=b"J\xff\xff\xff\xff"), "no storage, sizes or strides"),
    "too few strides": (tensor(strides=b"K\x01\x85"), "no storage, sizes or strides"),
    "no storage": (tensor().replace(STORAGE, b"N"), "no storage, sizes or strides"),
    "another number of numbers": (tensor().replace(b"cpuK\x06", b"cpuK\x07"), "24 bytes, 7 numbers of"),
    "another storage": (tensor().replace(b"\x00\x00\x000X", b"\x00\x00\x001X"), "it has no net/data/1"),
    "a path": (
        tensor().replace(b"X\x01\x00\x00\x000X", b"X\x05\x00\x00\x00../..X"), r"it has no net/data/\.\./\.\.",
    ),
    "an object of a class": (b"\x80\x02ctorch.nn\nLinear\n)\x81.", r"asks for torch\.nn\.Linear, which is"),
    "an instruction": (b"\x80\x02cos\nsystem\n.", r"asks for os\.system"),
    "an old instruction": (b"(S'x'\nios\nsystem\n.", "has the instruction STRING"),
    "a number": (b"\x80\x02K\x01.", "holds no dictionary of tensors"),
    "a list": (b"\x80\x02]K\x01a.", "holds no dictionary of tensors"),
    "no end": (b"\x80\x02K\x01", "makes no sense|ends too early|net.pt"),
    "an empty stack": (b"\x80\x02.", "makes no sense"),
    "a call of a text": (b"\x80\x02X\x01\x00\x00\x00w)R.", "calls w, which is refused"),
    "what is no pickle": (b"\xfe\xff", "net.pt"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROGRAMS)
def test_hostile_programs(case, tmp_path):
    program, message = PROGRAMS[case]
    with pytest.raises(ValueError, match=message):
        read_tensors(archive(tmp_path, program, [("0", ONE)]))


def test_a_tensor_that_repeats_one_number_is_compared_before_it_is_copied(tmp_path):
    shape, strides = LARGE + b"K\x03\x86", b"K\x00K\x00\x86"
    path = archive(tmp_path, tensor(shape=shape, strides=strides), [("0", ONE)])
    model = Sequential([layers.Input((3,)), layers.Dense(2, use_bias=False)])
    with pytest.raises(ValueError, match=r"got w \(2147483647, 3\)"):
        interop_torch.load_weights(model, path)


def test_files_that_are_none(tmp_path):
    (tmp_path / "old.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    with pytest.raises(ValueError, match=r"one by PyTorch before 1\.6 must be saved again"):
        read_tensors(tmp_path / "old.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as file:
        file.writestr("x", "y")
    with pytest.raises(ValueError, match=r"has no data\.pkl"):
        read_tensors(tmp_path / "other.pt")
    (tmp_path / "no.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(ValueError, match="damaged, or no safetensors file"):
        read_tensors(tmp_path / "no.safetensors")


@pytest.mark.parametrize("name", ["torch_checkpoint.pt", "torch_separable.safetensors"])
def test_damaged_files_are_errors_and_nothing_else(name, tmp_path):
    data = (GOLDEN / name).read_bytes()
    path = tmp_path / name
    for broken in damaged(data, seed=2, count=300):
        path.write_bytes(broken)
        try:
            assert all(isinstance(tensor, np.ndarray) for tensor in read_tensors(path).values())
        except ValueError as error:
            assert name in str(error)  # noqa: PT017


def test_damaged_programs_are_errors_and_nothing_else(tmp_path):
    """As above, without the checksums of zip archives."""
    with zipfile.ZipFile(GOLDEN / "torch_checkpoint.pt") as file:
        (program,) = (file.read(name) for name in file.namelist() if name.endswith("data.pkl"))
    rng = random.Random(3)
    for _ in range(1500):
        broken = bytearray(program)
        for _ in range(rng.choice([1, 2, 8])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path = archive(tmp_path, bytes(broken), [("0", ONE), ("1", b"\x80?" * 3)])
        try:
            assert all(isinstance(tensor, np.ndarray) for tensor in read_tensors(path).values())
        except ValueError as error:
            assert "net.pt" in str(error)  # noqa: PT017


# ---- against PyTorch itself


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_pytorch_takes_the_weights(name, tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    build, ours = networks.NETWORKS[name]
    net, model = networks.drawn(build(torch.nn)), ours()
    x = networks.inputs_of(name)
    interop_torch.load_weights(model, net.state_dict())
    assert_same(model.predict(x, verbose=0), networks.outputs_of(net, x))
    model.set_weights([np.random.default_rng(8).random(w.shape) + 0.1 for w in model.get_weights()])
    arrays = interop_torch.state_dict(model, list(net.state_dict()))
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    y = networks.outputs_of(net, x)
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-5, atol=1e-5 * np.abs(y).max())
    torch.save(net.state_dict(), tmp_path / "net.pt")
    again = ours()
    interop_torch.load_weights(again, tmp_path / "net.pt")
    np.testing.assert_allclose(again.predict(x, verbose=0), y, rtol=1e-5, atol=1e-5 * np.abs(y).max())
