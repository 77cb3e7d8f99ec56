"""model.summary(): the table, in characters and in HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fastconv import applications, layers, utils
from fastconv.models import Sequential
from fastconv.models.summary import count_dense_params


@pytest.fixture(autouse=True)
def _names_from_the_beginning():
    utils.clear_session()


def printed(model, **options):
    pages = []
    model.summary(print_fn=pages.append, **options)
    (page,) = pages
    return page


def small(**options):
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        **options,
    )


def test_the_whole_page():
    model = small(name="tiny")
    model.add(layers.Dropout(0.5))
    model.layers[0].trainable = False
    assert (
        printed(model)
        == """\
Model: "tiny"
─────────────────────────────────────────────────────────────────────────────────
 Layer (type)       Output Shape     Param #  Mult-adds  Receptive field  Stride
─────────────────────────────────────────────────────────────────────────────────
 conv2d (Conv2D)    (None, 4, 4, 4)       76      1,152              3x3       1
 flatten (Flatten)  (None, 64)             0          0              6x6       -
 dense (Dense)      (None, 3)            195        192              6x6       -
 dropout (Dropout)  (None, 3)              0          0              6x6       -
─────────────────────────────────────────────────────────────────────────────────
 Total params: 271 (1.06 KB)
 Trainable params: 195 (780.00 B)
 Non-trainable params: 76 (304.00 B)
 Multiply-adds: 1,344
 Connections: 1,411"""
    )


def test_nested_and_unbuilt_models(capsys):
    model = Sequential([Sequential([layers.Dense(3)], name="inner"), layers.Dense(2)], name="outer")
    model.summary()
    page = capsys.readouterr().out
    assert page.splitlines()[2].split() == ["Layer", "(type)", "Output", "Shape", "Param", "#"]
    assert "inner (Sequential)  ?             0 (unbuilt)" in page
    assert "Multiply-adds" not in page
    model.build((4,))
    model.summary(expand_nested=True, show_trainable=True, line_length=70)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "─" * 70
    assert lines[4].split() == ["inner", "(Sequential)", "(None,", "3)", "15", "12", "Y"]
    assert lines[5].split() == ["└", "dense", "(Dense)", "(None,", "3)", "15", "12", "Y"]
    assert lines[-5:] == [
        " Total params: 23 (92.00 B)",
        " Trainable params: 23 (92.00 B)",
        " Non-trainable params: 0 (0.00 B)",
        " Multiply-adds: 18",
        " Connections: 23",
    ]


def test_partly_built_models():
    """A layer that somebody else built is shown, the model around it still is not."""
    inner = Sequential([layers.Dense(3, input_dim=4)], name="inner")
    model = Sequential([layers.Dropout(0.5, name="d"), layers.PReLU(name="p"), inner])
    assert "(None, 3)" in printed(model)
    lines = printed(model).splitlines()
    (without_weights,), (unbuilt,) = ([line for line in lines if f" {name} (" in line] for name in "dp")
    assert without_weights.split()[-1] == "0"
    assert unbuilt.endswith("0 (unbuilt)")
    assert "As Dense" in printed(model, show_dense=True)


def column(page, header):
    """The cells under a header, by the name of their layer."""
    lines = page.splitlines()
    end = lines[2].index(header) + len(header)
    return {line.split()[0]: line[:end].split()[-1] for line in lines[4 : lines.index(lines[1], 4)]}


def test_the_fully_connected_layer_that_a_convolution_replaces():
    """32 x 32 = D, three colors and one map as large: 3 D² + D = 3,146,752."""
    model = Sequential(
        [
            layers.Conv2D(1, 3, padding="same", input_shape=(32, 32, 3), name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(2, 3, use_bias=False, name="bare"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="top"),
        ]
    )
    page = printed(model, show_dense=True)
    assert "As Dense" not in printed(model)
    cells = column(page, "As Dense")
    assert cells["conv"] == "3,146,752"
    assert cells["bare"] == f"{16 * 16 * 14 * 14 * 2:,}"
    assert (cells["pool"], cells["flat"], cells["top"]) == ("-", "-", "-")
    conv, _, bare, _, top = model.layers
    instead = 3_146_752 + 16 * 16 * 14 * 14 * 2 + top.count_params()
    assert page.splitlines()[-1] == f" Total params with Dense layers instead: {instead:,}"
    assert (
        count_dense_params(conv)
        == Sequential([layers.Flatten(input_shape=(32, 32, 3)), layers.Dense(32 * 32)]).count_params()
    )
    assert count_dense_params(bare) == layers_of_dense(16 * 16, 14 * 14 * 2)


def layers_of_dense(inputs, units):
    dense = layers.Dense(units, use_bias=False)
    dense.build((inputs,))
    return dense.count_params()


def test_rectangles_and_what_cannot_be_told():
    model = Sequential(
        [
            layers.Conv2D(2, (3, 5), (1, 2), input_shape=(20, 30, 1), name="wide"),
            layers.Resizing(8, 8, name="resized"),
            layers.Dense(3, name="top"),
        ]
    )
    page = printed(model)
    assert column(page, "Receptive field") == {"wide": "3x5", "resized": "?", "top": "?"}
    assert column(page, "Stride") == {"wide": "1x2", "resized": "?", "top": "?"}


def test_long_names_are_folded():
    model = Sequential(
        [
            layers.Conv2D(64, 3, input_shape=(100, 100, 3)),
            layers.BatchNormalization(name="batch_normalization_first_block"),
            Sequential([layers.Conv2D(64, 3, name="convolution_in_second_block")], name="inner"),
        ]
    )
    lines = printed(model, expand_nested=True).splitlines()
    assert max(map(len, lines)) <= 100
    at = next(i for i, line in enumerate(lines) if "first_block" in line)
    assert lines[at].startswith(" batch_normalization_first_block  (None, 98, 98, 64)")
    assert lines[at + 1] == "   (BatchNormalization)"
    at = next(i for i, line in enumerate(lines) if "second_block" in line)
    assert lines[at].startswith("  └ convolution_in_second_block")
    assert lines[at + 1].split() == ["(Conv2D)"]
    assert len(set(map(len, (lines[1], lines[3])))) == 1
    wide = printed(model, line_length=130).splitlines()
    assert len(wide[1]) == 130
    assert any("batch_normalization_first_block (BatchNormalization)" in line for line in wide)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("shown", [{}, {"expand_nested": True, "show_trainable": True, "show_dense": True}])
def test_nothing_is_lost_whatever_the_width(columns, shown, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    inner = Sequential([layers.Conv2D(64, 3, name="convolution_in_second_block")], name="inner")
    model = Sequential(
        [
            layers.Conv2D(64, 3, input_shape=(100, 100, 3), name="c" * 50),
            layers.BatchNormalization(name="batch_normalization_first_block"),
            inner,
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ],
        name="a_model_with_a_name_of_some_forty_letters",
    )
    wide = printed(model, line_length=1000, **shown)
    model.summary(**shown)
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= columns

    def content(text):
        return "".join(re.sub(r"[─└:]| - ", "", text).split())

    if "Output Shape: " in page:  # paragraphs: the headers are said again and again
        for layer in (*model.layers, *(inner.layers if shown else ())):
            assert content(f"{layer.name} ({type(layer).__name__})") in content(page)
            assert str((None, *layer.shapes()[1])) in page
            assert f"Param #: {layer.count_params():,}" in page
    else:
        assert sorted(content(page)) == sorted(content(wide))
    assert content(wide[wide.index("Total params") :]) in content(page)


def test_paragraphs_where_a_table_is_too_wide():
    assert (
        printed(small(name="tiny"), line_length=40)
        == """\
Model: "tiny"
────────────────────────────────────────
 conv2d (Conv2D)
   Output Shape: (None, 4, 4, 4)
   Param #: 76 - Mult-adds: 1,152
   Receptive field: 3x3 - Stride: 1
 flatten (Flatten)
   Output Shape: (None, 64) - Param #: 0
   Mult-adds: 0 - Receptive field: 6x6
   Stride: -
 dense (Dense)
   Output Shape: (None, 3)
   Param #: 195 - Mult-adds: 192
   Receptive field: 6x6 - Stride: -
────────────────────────────────────────
 Total params: 271 (1.06 KB)
 Trainable params: 271 (1.06 KB)
 Non-trainable params: 0 (0.00 B)
 Multiply-adds: 1,344
 Connections: 1,411"""
    )


def test_headers_are_folded_before_that():
    lines = printed(small(name="tiny"), line_length=70).splitlines()
    assert lines[1] == "─" * 70
    assert lines[2].split() == ["Receptive"]
    assert lines[3].split() == [
        "Layer",
        "(type)",
        "Output",
        "Shape",
        "Param",
        "#",
        "Mult-adds",
        "field",
        "Stride",
    ]
    assert lines[3].index("field") + len("field") == lines[2].index("Receptive") + len("Receptive")


def test_terminals_with_few_characters(capsys, monkeypatch):
    class Plain:
        encoding = "ascii"

        def __init__(self):
            self.written = ""

        def write(self, text):
            self.written += text.encode("ascii").decode()

    plain = Plain()
    monkeypatch.setattr("sys.stdout", plain)
    Sequential([Sequential([layers.Conv2D(2, 3)], name="inner")], name="a").summary(expand_nested=True)
    assert "+ conv2d" in plain.written


class Page(HTMLParser):
    """The cells of a table, row by row, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tr" in self.open:
            self.rows[-1][-1] += data


def test_html():
    model = Sequential([small(name="inner"), layers.Dense(2, name="<b>&")], name="</div>")
    html = model._repr_html_()
    page = Page(html)
    assert page.open == []
    assert page.rows == [
        ["Layer (type)", "Output Shape", "Param #", "Mult-adds", "Receptive field", "Stride"],
        ["inner Sequential", "(None, 3)", "271", "1,344", "6x6", "-"],
        ["conv2d Conv2D", "(None, 4, 4, 4)", "76", "1,152", "3x3", "1"],
        ["flatten Flatten", "(None, 64)", "0", "0", "6x6", "-"],
        ["dense Dense", "(None, 3)", "195", "192", "6x6", "-"],
        ["<b>& Dense", "(None, 2)", "8", "6", "6x6", "-"],
    ]
    assert "<b>" not in html
    assert "Connections: 1,4" in html
    for color in ("#", "color:", "background: rgb"):
        assert color not in html.replace("Param #", "")


def test_html_of_models_not_built_and_empty():
    assert Page(Sequential([layers.Dense(2)])._repr_html_()).rows[1] == ["dense Dense", "?", "0 (unbuilt)"]
    assert Page(Sequential()._repr_html_()).rows == [["Layer (type)", "Output Shape", "Param #"]]
    assert printed(Sequential()).startswith('Model: "')


def test_the_summary_changes_nothing():
    model = small()
    before = model.get_weights()
    model.summary(print_fn=lambda page: None, show_dense=True)
    model._repr_html_()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_table_in_the_readme_is_what_is_printed():
    page = printed(applications.LeNet5())
    assert f"```\n{page}\n```" in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
