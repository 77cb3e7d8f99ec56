"""Pictures of models: every call is a box, every tensor between two calls an arrow, and nothing overlaps."""

from __future__ import annotations

import re
import shutil
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import numpy as np
import pytest
from graph_networks import NETWORKS
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv as fc
from fastconv.applications import ResNet, ResNet8, UNet
from fastconv.utils import model_to_dot, plot_model
from fastconv.utils._layered_drawing import arranged

SVG = "{http://www.w3.org/2000/svg}"
NO_UPSAMPLING = {} if hasattr(fc.layers, "UpSampling2D") else {"unet"}
SMALL = {name: make for name, make in NETWORKS.items() if name not in NO_UPSAMPLING}


def picture(model, **options):
    """The root of the SVG, its boxes {number: (name, texts, rectangle)} and its arrows [(from, to)]."""
    root = ET.fromstring(str(plot_model(model, None, **options)))
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        frame = next(rect for rect in group.iter(f"{SVG}rect") if rect.get("class") == "frame")
        x, y, width, height = (float(frame.get(side)) for side in ("x", "y", "width", "height"))
        texts = [text.text for text in group.iter(f"{SVG}text")]
        boxes[int(group.get("data-box"))] = (
            group.find(f"{SVG}title").text,
            texts,
            (x, y, x + width, y + height),
        )
    arrows = [(int(path.get("data-from")), int(path.get("data-to"))) for path in edges(root)]
    return root, boxes, arrows


def edges(root):
    return [path for path in root.iter(f"{SVG}path") if path.get("class") == "edge"]


def points(path):
    """Points along an arrow, a few pixels apart."""
    at, found = None, []
    for _, numbers in re.findall(r"([MLC])([^MLC]+)", path.get("d")):
        corners = [np.array(pair.split(","), float) for pair in numbers.split()]
        if at is not None:
            found += [_bezier([at, *corners], t) for t in np.linspace(0, 1, 40)]
        at = corners[-1]
    return found


def _bezier(corners, t):
    """De Casteljau: a line has two corners, a cubic four."""
    while len(corners) > 1:
        corners = [(1 - t) * a + t * b for a, b in pairwise(corners)]
    return corners[0]


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("name", [*SMALL, "ResNet8", "UNet"])
def test_boxes_and_arrows_are_the_graphs(name, rankdir):
    model = {"ResNet8": ResNet8, "UNet": UNet}[name]() if name[0].isupper() else SMALL[name](fc)
    root, boxes, arrows = picture(model, show_shapes=True, show_layer_names=True, rankdir=rankdir)

    # Each call has its box, which names the layer and its shape.
    nodes = model.graph.nodes
    expected = sorted((node.layer.name, str(node.outputs[0].shape)) for node in nodes)
    drawn = sorted(
        (texts[0].split()[0], texts[-1].removeprefix("Output shape: ")) for _, texts, _ in boxes.values()
    )
    assert drawn == expected

    # Each tensor that a call takes has its arrow.
    wanted = sorted((tensor.node.layer.name, node.layer.name) for node in nodes for tensor in node.inputs)
    assert sorted((boxes[tail][0], boxes[head][0]) for tail, head in arrows) == wanted

    # Nothing overlaps, and all of it is inside the picture.
    for (_, _, a), (_, _, b) in combinations(boxes.values(), 2):
        assert not overlap(a, b)
    _, _, width, height = map(float, root.get("viewBox").split())
    for _, _, (left, top, right, bottom) in boxes.values():
        assert 0 < left < right < width
        assert 0 < top < bottom < height

    # Arrows run through no box, begin at the border of one and end at that of the other.
    for path, (tail, head) in zip(edges(root), arrows, strict=True):
        way = points(path)
        for _, _, (left, top, right, bottom) in boxes.values():
            inside = [p for p in way if left + 0.2 < p[0] < right - 0.2 and top + 0.2 < p[1] < bottom - 0.2]
            assert not inside
        for point, box in ((way[0], tail), (way[-1], head)):
            left, top, right, bottom = boxes[box][2]
            assert left - 0.2 <= point[0] <= right + 0.2
            assert top - 0.2 <= point[1] <= bottom + 0.2
        forward = (way[-1] - way[0])[1 if rankdir in ("TB", "BT") else 0]
        assert (forward > 0) == (rankdir in ("TB", "LR"))


@st.composite
def diagrams(draw):
    count = draw(st.integers(1, 25))
    size = st.tuples(st.integers(10, 300), st.integers(10, 80))
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    return sizes, [(min(a, b), max(a, b)) for a, b in draw(st.lists(pair, max_size=40)) if a != b]


@given(diagrams())
@settings(max_examples=100, deadline=None)
def test_any_diagram_is_arranged_without_overlaps(given_diagram):
    sizes, arrows = given_diagram
    layout = arranged(sizes, arrows)
    boxes = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(layout.centres, sizes, strict=True)
    ]
    assert len(boxes) == len(sizes)
    for a, b in combinations(boxes, 2):
        assert not overlap(a, b)
    for box in boxes:
        assert min(box) > 0
        assert box[2] < layout.extent[0]
        assert box[3] < layout.extent[1]
    for (tail, head), way in zip(arrows, layout.ways, strict=True):
        assert boxes[tail][3] < boxes[head][1]
        alongs = [along for _, along in way]
        assert alongs == sorted(alongs)
        assert alongs[0] == pytest.approx(boxes[tail][3])
        assert alongs[-1] == pytest.approx(boxes[head][1])


def test_a_chain_is_a_straight_column():
    layout = arranged([(100, 20), (40, 30), (160, 20)], [(0, 1), (1, 2)])
    assert len({x for x, _ in layout.centres}) == 1


def test_a_deep_residual_network_stays_narrow():
    """Shortcuts beside the blocks push nothing to the side from block to block."""
    widths = [float(picture(ResNet(depth))[0].get("width")) for depth in (14, 56)]
    assert widths[1] < 1.1 * widths[0]


def test_long_arrows_from_one_box_stay_together():
    layout = arranged([(60, 20)] * 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (0, 4)])
    to_3, to_4 = layout.ways[4:]
    assert to_3[:6] == to_4[:6]  # out of box 0, and past boxes 1 and 2
    assert to_3[6:] != to_4[6:]


def test_what_stands_in_a_box():
    x = fc.Input((8, 8, 3), name="image")
    y = fc.layers.Conv2D(4, 3, activation="relu", name="conv", trainable=False)(x)
    model = fc.Model(x, fc.layers.Flatten(name="flat")(y))
    assert [texts for _, texts, _ in picture(model)[1].values()] == [["InputLayer"], ["Conv2D"], ["Flatten"]]
    everything = dict.fromkeys(
        ("show_shapes", "show_dtype", "show_layer_names", "show_layer_activations", "show_trainable"), True
    )
    assert [texts for _, texts, _ in picture(model, **everything)[1].values()] == [
        ["image (InputLayer)", "Output shape: (None, 8, 8, 3)", "Output dtype: float32"],
        [
            "conv (Conv2D)",
            "Activation: relu",
            "Input shape: (None, 8, 8, 3)",
            "Output shape: (None, 6, 6, 4)",
            "Output dtype: float32",
            "Non-trainable",
        ],
        [
            "flat (Flatten)",
            "Input shape: (None, 6, 6, 4)",
            "Output shape: (None, 144)",
            "Output dtype: float32",
        ],
    ]


def test_models_inside_are_one_box_or_their_layers():
    twin = fc.Sequential(
        [fc.Input((4,)), fc.layers.Dense(3, name="first"), fc.layers.Dense(2, name="last")], name="twin"
    )
    a, b = fc.Input((4,), name="a"), fc.Input((4,), name="b")
    model = fc.Model([a, b], fc.layers.Subtract(name="difference")([twin(a), twin(b)]))
    _, boxes, arrows = picture(model, show_layer_names=True)
    assert sorted(name for name, _, _ in boxes.values()) == ["a", "b", "difference", "twin", "twin"]
    assert len(arrows) == 4
    assert [texts for name, texts, _ in boxes.values() if name == "twin"] == [
        ["twin (Sequential)", "call 1 of 2"],
        ["twin (Sequential)", "call 2 of 2"],
    ]
    _, boxes, arrows = picture(model, show_layer_names=True, expand_nested=True)
    assert sorted(name for name, _, _ in boxes.values()) == [
        "a", "b", "difference", "twin/first", "twin/first", "twin/last", "twin/last"
    ]  # fmt: skip
    names = sorted((boxes[tail][0], boxes[head][0]) for tail, head in arrows)
    assert names == [
        ("a", "twin/first"),
        ("b", "twin/first"),
        ("twin/first", "twin/last"),
        ("twin/first", "twin/last"),
        ("twin/last", "difference"),
        ("twin/last", "difference"),
    ]
    assert [texts for name, texts, _ in boxes.values() if name == "twin/last"][1] == [
        "last (Dense)",
        "in twin",
        "call 2 of 2",
    ]


def test_names_are_escaped():
    x = fc.Input((4,), name='a<b & "c"')
    model = fc.Model(x, fc.layers.Dense(2, name="π\n]]>")(x))
    _, boxes, _ = picture(model, show_layer_names=True)
    assert [name for name, _, _ in boxes.values()] == ['a<b & "c"', "π ]]>"]


def test_the_file_is_what_is_returned_and_shown_in_notebooks(tmp_path):
    model = fc.applications.LeNet5()
    drawing = plot_model(model, tmp_path / "model.svg", show_shapes=True)
    text = (tmp_path / "model.svg").read_text(encoding="utf-8")
    assert text == str(drawing) == drawing._repr_svg_()
    assert repr(drawing) == f"<Drawing: SVG, {len(text):,} characters>"
    assert str(plot_model(model, None, show_shapes=True)) == text  # the same each time
    assert [path.name for path in tmp_path.iterdir()] == ["model.svg"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda model, path: plot_model(model, path / "model.png"), "model.png"),
        (lambda model, path: plot_model(model, path / "model"), "model.png"),
        (lambda model, _: model_to_dot(model), "model_to_dot"),
    ],
)
def test_without_pydot_the_error_has_a_remedy(call, named, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    remedy = rf'{re.escape(named)}.*pip install pydot.*plot_model\(model, "model\.svg"\) needs neither'
    with pytest.raises(ImportError, match=remedy):
        call(fc.applications.LeNet5(), tmp_path)
    assert not list(tmp_path.iterdir())


class FakePydot:
    """Stands in for pydot: keeps what it is given, and fails as Graphviz would."""

    def __init__(self, error=None):
        self.error, self.nodes, self.edges = error, {}, []

    def Dot(self, name, **options):
        self.name, self.options = name, options
        return self

    def Node(self, name, **options):
        return name, options

    def Edge(self, tail, head):
        return tail, head

    def set_node_defaults(self, **options):
        pass

    def add_node(self, node):
        self.nodes[node[0]] = node[1]["label"]

    def add_edge(self, edge):
        self.edges.append(edge)

    def create(self, format):
        if self.error:
            raise self.error
        return f"a {format} file".encode()


def test_what_pydot_is_told(tmp_path, monkeypatch):
    pydot = FakePydot()
    monkeypatch.setitem(sys.modules, "pydot", pydot)
    x = fc.Input((4,), name='a "quoted" \\ name')
    model = fc.Model(x, fc.layers.Dense(2, name="dense")(x), name="tiny")
    assert model_to_dot(model, show_shapes=True, rankdir="LR", dpi=96) is pydot
    assert (pydot.name, pydot.options) == ('"tiny"', {"rankdir": "LR", "dpi": "96", "splines": '"ortho"'})
    assert pydot.nodes == {
        "0": '"a \\"quoted\\" \\\\ name (InputLayer)\\nOutput shape: (None, 4)"',
        "1": '"dense (Dense)\\nInput shape: (None, 4)\\nOutput shape: (None, 2)"',
    }
    assert pydot.edges == [("0", "1")]
    plot_model(model, tmp_path / "model.pdf")
    assert (tmp_path / "model.pdf").read_text() == "a pdf file"


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (FileNotFoundError('"dot" not found in path.'), ImportError, "a xyz file needs the program dot"),
        (AssertionError("dot returned 1"), ValueError, "makes no xyz file; choose svg, png or pdf"),
    ],
)
def test_failures_of_graphviz(error, expected, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", FakePydot(error))
    with pytest.raises(expected, match=message):
        plot_model(fc.applications.LeNet5(), tmp_path / "model.xyz")
    assert not list(tmp_path.iterdir())


def test_with_pydot():
    pytest.importorskip("pydot", reason="pydot is not installed")
    model = ResNet8()
    graph = model_to_dot(model, show_shapes=True, rankdir="LR")
    nodes = [node for node in graph.get_nodes() if node.get_name().isdigit()]
    assert len(nodes) == len(model.layers)
    assert len(graph.get_edges()) == sum(len(node.inputs) for node in model.graph.nodes)
    assert any("stack2_block1_projection (Conv2D)" in node.get("label") for node in nodes)
    assert graph.get_rankdir() == "LR"


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_with_graphviz(suffix, begins, tmp_path):
    pytest.importorskip("pydot", reason="pydot is not installed")
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    plot_model(ResNet8(), tmp_path / f"model.{suffix}", dpi=50)
    assert (tmp_path / f"model.{suffix}").read_bytes().startswith(begins)


def test_errors_name_what_is_wrong(tmp_path):
    model = fc.applications.LeNet5()
    with pytest.raises(TypeError, match=r"plot_model: model must be a Model or Sequential, got Dense\("):
        plot_model(fc.layers.Dense(3))
    with pytest.raises(ValueError, match=r"unknown rankdir of plot_model 'TD'\. Known: 'BT'"):
        plot_model(model, rankdir="TD")
    with pytest.raises(ValueError, match="build"):
        plot_model(fc.Sequential([fc.layers.Dense(3)]), tmp_path / "model.svg")
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        plot_model(model, tmp_path / "missing" / "model.svg")
    with pytest.raises(ValueError, match="model_to_dot: Keras' argument 'subgraph'"):
        model_to_dot(model, subgraph=True)
