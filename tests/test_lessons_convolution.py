"""The lessons on convolution, in their quick versions: their key numbers, computed here in another way."""

from __future__ import annotations

import numpy as np
import pytest
from lessons import LESSONS, holds, numbers, run_lesson, verdicts

import fastconv as fc

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")
images = pytest.importorskip("PIL.Image", reason="the lessons look at a photograph: they need Pillow")


def failed(output: str) -> list[str]:
    """The claims that the lesson found not to hold."""
    return [claim for claim, held in verdicts(output).items() if not held]


def test_convolution_by_hand(tmp_path):
    figures = ["by_hand", "inner_products", "cross_correlation"]
    output = run_lesson("20_convolution_by_hand", tmp_path, figures)
    # Sobel's filter, with the bias 1, on the lesson's image: worked out on paper.
    assert "z = [[-9, -5, 4], [-9, 4, 10], [-3, 11, 8]]" in output
    assert "h = [[0, 0, 4], [0, 4, 10], [0, 11, 8]]" in output
    assert "position (2, 1): a = [2, 3, 1, 3, 2, 0, 3, 1, 0]" in output
    assert "an image of 12×9×3 has 40 windows of 75 numbers; 4 filters make 8×5×4" in output
    assert "4·(75 + 1) = 304" in output
    assert "cross-correlation [[9, 8, 7], [6, 5, 4], [3, 2, 1]]" in output
    assert "convolution [[1, 2, 3], [4, 5, 6], [7, 8, 9]]" in output
    assert len(verdicts(output)) == 3
    assert not failed(output)


def test_line_filters(tmp_path):
    output = run_lesson("21_line_filters", tmp_path, ["feature_maps"])
    [rows_vertical, rows_horizontal, columns_vertical, columns_horizontal] = numbers(
        "the vertical filter keeps #%, the horizontal one #%; of that between neighbours in a column "
        "#% and #%",
        output,
    )
    assert rows_vertical > 1.3 * rows_horizontal
    assert columns_horizontal > 1.3 * columns_vertical
    assert failed(output) == ["a map is large where the image looks like the filter"]
    assert all(value > 0.9 for value in numbers("window is # (vertical) and # (horizontal)", output))


def test_line_filters_on_ones_own_photograph(tmp_path):
    """Upright stripes: along them little is blurred, across them all is."""
    stripes = np.where(np.arange(80) // 2 % 2, 255, 0).astype(np.uint8)
    picture = np.repeat(stripes[None], 60, axis=0)
    picture[::8] = 128  # for some contrast in columns too
    file, out = tmp_path / "stripes.png", tmp_path / "figures"
    images.fromarray(picture).save(file)
    output = run_lesson("21_line_filters", out, ["feature_maps"], "--image", str(file))
    assert "photograph of 112×150 pixels" in output
    [vertical, horizontal] = numbers("the vertical filter keeps #%, the horizontal one #%", output)
    assert vertical > 2 * horizontal


def test_without_a_photograph_the_lesson_asks_for_one(monkeypatch, tmp_path):
    import matplotlib

    monkeypatch.syspath_prepend(str(LESSONS))
    from _photograph import photograph

    grey = photograph(None, 50)
    assert max(grey.shape) == 50
    assert grey.dtype == np.float32
    assert 0 <= grey.min() < 0.2 < 0.8 < grey.max() <= 1
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--image FILE"):
        photograph(None)


def test_padding_and_stride(tmp_path):
    output = run_lesson("22_padding_and_stride", tmp_path, ["times_read", "borders"])
    # n ≤ 10, f ≤ 7, s ≤ 5: all with same; with valid those with f ≤ n.
    combinations = sum(5 * ((f <= n) + 1) for n in range(1, 11) for f in range(1, 8))
    assert numbers("# combinations of n", output) == [combinations]
    assert numbers("stride 3: # of 64 pixels are never read", output) == [64 - 36]  # 3·3 windows of 2·2
    assert numbers("read # time without padding and # times with it, a pixel inside # times", output) == [
        1,
        4,
        9,
    ]
    assert numbers("the corner is # after one layer", output) == [pytest.approx(4 / 9, abs=0.005)]
    assert failed(output) == ["every pixel has a say", "padding with zeros does not change the picture"]


def test_pooling(tmp_path):
    output = run_lesson("23_pooling", tmp_path, ["pooling", "shifted_digit", "shifts"])
    assert "maximum: [[4.0, 2.0], [8.0, 6.0]]" in output
    assert "average: [[1.25, 0.0], [1.75, 4.0]]" in output
    assert (
        "gradient through the maximum: "
        "[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 4.0], [0.0, 3.0, 0.0, 0.0]]" in output
    )
    assert (
        "gradient through the average: [[0.25, 0.25, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5], "
        "[0.75, 0.75, 1.0, 1.0], [0.75, 0.75, 1.0, 1.0]]" in output
    )
    assert "the gradient goes to [[1.0, 0.0], [0.0, 0.0]]" in output
    pooled, pixels = numbers("maxima of 2×2 change by #% where the pixels themselves change by #%", output)
    assert 0.5 * pixels < pooled < pixels
    assert failed(output) == ["what max pooling puts out hardly depends on small shifts"]


def test_shared_weights(tmp_path):
    output = run_lesson("24_shared_weights", tmp_path, ["shared_weights"])
    D = 32 * 32
    assert numbers("3D² + D # 5×5", output) == [3 * D**2 + D]
    assert numbers("5·5·3 + 1 #", output) == [76]
    assert holds("a map needs a tiny part", output)
    assert holds("a shift of the image shifts the map", output)
    assert holds("with as many parameters", output)
    plain, wide, shared, end = numbers(
        "shifted by 4 pixels: dense #%, with ten times the parameters #%, convolutional #%: its maps shift, "
        "but its last layer has other weights for each place. Where only each map's maximum counts: #%",
        output,
    )
    assert max(plain, wide, shared) < 75  # of what is not shifted all know above 90 %
    assert end > 90


def test_receptive_fields(tmp_path):
    output = run_lesson("25_receptive_fields", tmp_path, ["boxes", "effective_fields"])
    assert "r grows 1 → 3 → 5 → 6 → 10 → 14 → 16 → 24 → 32 → 36" in output
    units = 28**2 + 14**2 + 10**2 + 5**2 + 2 * 32**2 + 3 * 16**2 + 3 * 8**2 + 4**2
    assert numbers("of # units of two of them", output) == [units]
    assert numbers("have # and # weights", output) == [27 * 64**2, 49 * 64**2]
    assert failed(output) == ["a unit uses all of its field"]
    # L boxes of three pixels, one after the other: a variance of 2/3 each.
    for depth, field in ((5, 11), (10, 21)):
        expected, equal, random, _ = numbers(f" {depth} {field} # # # #%", output)
        assert expected == equal == pytest.approx((2 * depth / 3) ** 0.5, abs=0.01)
        assert random == pytest.approx(expected, rel=0.15)


def test_oriented_bars(tmp_path):
    figures = ["simple_and_complex_cell", "spikes", "filters", "tuning"]
    output = run_lesson("28_oriented_bars", tmp_path, figures)
    on, off = numbers("excites it at #% of the pixels of its field, a dark one at #%", output)
    assert on + off == 100
    assert numbers("most at #°, as it was built", output) == [60]
    simple, complex_ = numbers("fires over # pixels, the complex one above it over #", output)
    assert complex_ > 5 * simple
    learnt = "a network learns such cells by itself"
    expected = [] if "of CIFAR-10" in output else [learnt]  # clothes and digits make less of them
    assert set(failed(output)) <= set(expected)


def test_where_cifar10_is_missing_other_images_take_its_place(monkeypatch, tmp_path):
    """Oriented bars again, with nothing on the machine but what is in the package."""
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "nothing"))
    if _is_here(fc.datasets.cifar10):
        pytest.skip("CIFAR-10 is where it is always looked for")
    figures = ["simple_and_complex_cell", "spikes", "filters", "tuning"]
    output = run_lesson("28_oriented_bars", tmp_path / "figures", figures)
    assert "of CIFAR-10" not in output
    assert holds("it fires at bars of one orientation", output)


def _is_here(dataset) -> bool:
    try:
        dataset.load_data()
    except FileNotFoundError:
        return False
    return True
