"""Pictures of projections, strongest patches, saliency and occlusion: what is drawn, and how."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Sequential
from fastconv.visualize import (
    MODES,
    deconvnet,
    occlusion,
    plot_deconvnet,
    plot_occlusion,
    plot_saliency,
    plot_top_activations,
    top_activations,
)
from fastconv.visualize._projections import NOTHING


def network(channels: int = 3) -> Sequential:
    weights = np.random.default_rng(0)
    model = Sequential([
        layers.Input((12, 10, channels)),
        layers.Conv2D(5, 3, padding="same", activation="relu", name="early"),
        layers.MaxPooling2D(2),
        layers.Conv2D(7, 3, activation="relu", name="late"),
        layers.Flatten(),
        layers.Dense(4, activation="softmax", name="classes"),
    ])  # fmt: skip
    model.set_weights([weights.normal(size=weight.shape) for weight in model.weights])
    return model


def some_images(n: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(n, 12, 10, channels)).astype(np.float32)


@pytest.mark.parametrize("name", ["matplotlib", "pyplot"])
def test_numbers_need_no_matplotlib_and_pictures_no_pyplot(name):
    program = (
        "import sys\n"
        + ("sys.modules['matplotlib'] = None\n" if name == "matplotlib" else "")
        + "import numpy as np, fastconv as fc\n"
        "v = fc.visualize\n"
        "model = fc.Sequential([fc.Input((6, 6, 1)), fc.layers.Conv2D(2, 3), fc.layers.Flatten(),"
        " fc.layers.Dense(2)])\n"
        "x = np.ones((3, 6, 6, 1))\n"
        "v.deconvnet(model, 0, x), v.top_activations(model, 0, x).patches(0), v.saliency(model, x)\n"
        "v.occlusion(model, x)\n"
        "try: v.plot_saliency(model, x); print('drawn', 'matplotlib.pyplot' in sys.modules)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = {"matplotlib": "python -m pip install 'fastconv[plot]'", "pyplot": "drawn False"}
    assert expected[name] in done.stdout


pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")


def png(figure) -> bytes:
    with BytesIO() as file:
        figure.savefig(file, format="png")
        return file.getvalue()


def pixels(axes) -> np.ndarray:
    [drawn] = axes.get_images()
    return np.asarray(drawn.get_array())


def wide(figure) -> int:
    return int.from_bytes(png(figure)[16:20], "big")


@pytest.mark.parametrize("channels", [1, 3])
def test_top_activations(channels):
    model, x = network(channels), some_images(20, channels)
    figure = plot_top_activations(model, "late", x, maps=[4, 0, 6, 2])
    assert wide(figure) == 900
    top = top_activations(model, "late", x)
    assert len(figure.axes) == 8  # projections and patches of four maps
    said = "the patches of 8×8 pixels that activate it most, and on their left the projections"
    assert figure.get_suptitle() == f"late: {said}"
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles[0] == f"feature map 4: activations {top.values[4, 0]:.3g} to {top.values[4, 8]:.3g}"

    # the second tile of the patches, with a line between tiles, is the second strongest patch
    patches = pixels(figure.axes[1])
    assert patches.shape[:2] == (3 * 8 + 2, 3 * 8 + 2)
    expected = top.patches(4, fill=np.nan)[1]
    beyond = np.isnan(expected).any(axis=-1, keepdims=True)
    assert beyond.any() or (top.boxes[4, 1] == np.clip(top.boxes[4, 1], 0, (12, 10, 12, 10))).all()
    np.testing.assert_allclose(patches[:8, 9:17], np.where(beyond, NOTHING, expected))
    assert (patches[8] == np.float32(NOTHING)).all()

    # the same tile of the projections, which are zero in the middle
    projections = pixels(figure.axes[0])[:8, 9:17]
    [signal] = deconvnet(model, "late", x[top.images[4, 1:2]], map=4, unit=top.positions[4, 1])
    row, column = np.argwhere(np.abs(signal).max(-1) == 0)[0]
    inside = row - top.boxes[4, 1, 0], column - top.boxes[4, 1, 1]
    if 0 <= inside[0] < 8 and 0 <= inside[1] < 8:
        np.testing.assert_allclose(projections[inside], 0.5 if channels == 3 else 0)


def test_the_strongest_maps_are_drawn_and_what_is_known_is_used_again():
    model, x = network(), some_images(20)
    top = top_activations(model, "late", x, count=4)
    figure = plot_top_activations(model, "late", x, maps=2, top=top, mode="guided", columns=1)
    maps = [int(part.get_suptitle().split(":")[0].split()[-1]) for part in figure.subfigs]
    assert maps == top.strongest_maps(2).tolist()
    assert pixels(figure.axes[0]).shape == (17, 17, 3)


def test_units_without_maps():
    model, x = network(1), some_images(12, 1)
    figure = plot_top_activations(model, "classes", x, maps=2, mode="gradient")
    said = "the patches of 12×10 pixels that activate it most, and on their left the projections"
    assert figure.get_suptitle() == f"classes: {said}"
    assert pixels(figure.axes[1]).shape == (3 * 12 + 2, 3 * 10 + 2, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_deconvnet(channels):
    model, x = network(channels), some_images(4, channels)
    figure = plot_deconvnet(model, "late", x, map=3, modes=MODES)
    assert len(figure.axes) == 4 * 4
    assert [figure.axes[4 * row].get_ylabel() for row in range(4)] == ["image", *MODES]
    assert figure.get_suptitle() == "late"
    png(figure)
    for row, mode in enumerate(MODES, 1):
        for n, signal in enumerate(deconvnet(model, "late", x, map=3, mode=mode)):
            axes = figure.axes[4 * row + n]
            assert axes.get_aspect() == 1
            shown, zero = pixels(axes), signal == 0
            if channels == 3:
                np.testing.assert_allclose(shown[zero], 0.5)
                assert (np.sign(shown - 0.5) == np.sign(signal)).all()
            else:
                assert (np.sign(shown) == np.sign(signal[..., 0])).all()
                if (signal < 0).any():  # signed: the same strength for both signs
                    [drawn] = axes.get_images()
                    assert drawn.get_clim() == (-1, 1)


def test_saliency_and_occlusion():
    model, x = network(), some_images(3)
    classes = ("ant", "bee", "cow", "dog")
    for figure, bars in (
        (plot_saliency(model, x, classes=classes), 0),
        (plot_occlusion(model, x, 3, 2, classes=classes), 1),
    ):
        assert len(figure.axes) == 6 + bars
        y = model.predict(x, verbose=0)
        for n in range(3):
            assert figure.axes[n].get_title() == f"{classes[y[n].argmax()]} {y[n].max():.2f}"
        png(figure)
    np.testing.assert_array_equal(pixels(figure.axes[3]), occlusion(model, x[0], 3, 2))
    assert len(plot_saliency(model, x[0], label=2, samples=2).axes) == 2
    assert plot_saliency(model, x[0], label=2).axes[0].get_title().startswith("2 ")


def test_into_a_figure_of_ones_own():
    from matplotlib.figure import Figure

    model, x = network(), some_images(9)
    own = Figure(figsize=(9, 6), layout="constrained")
    left, right = own.subfigures(1, 2)
    assert plot_saliency(model, x[:2], figure=left) is left
    assert plot_top_activations(model, "early", x, maps=2, figure=right) is right
    png(own)


def test_what_cannot_be_drawn():
    model = Sequential([layers.Input((6, 6, 2)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"\(H, W, 3\)|1 or 3 channels"):
        plot_deconvnet(model, 0, np.ones((1, 6, 6, 2)))
    for draw in (plot_saliency, plot_occlusion):
        with pytest.raises(ValueError, match="no images to draw"):
            draw(network(), some_images(0))


def test_many_images_go_on_in_another_row():
    figure = plot_saliency(network(), some_images(11))
    assert wide(figure) == 900
    assert len([axes for axes in figure.axes if axes.get_images()]) == 22
    assert len(figure.axes) == 32
