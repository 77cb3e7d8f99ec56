"""The strongest images of each map, and the patches cut out of them."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Sequential
from fastconv.models.receptive_field import receptive_field
from fastconv.visualize import cut_patches, extract_features, top_activations


def network(channels: int = 3, seed: int = 0) -> Sequential:
    kernels = np.random.default_rng(seed)
    model = Sequential([
        layers.Input((12, 10, channels)),
        layers.Conv2D(5, 3, padding="same", activation="relu", name="early"),
        layers.MaxPooling2D(2),
        layers.Conv2D(17, 3, name="late"),
        layers.Flatten(),
        layers.Dense(4, activation="softmax", name="classes"),
    ])  # fmt: skip
    model.set_weights([kernels.normal(size=weight.shape) for weight in model.weights])
    return model


def some_images(n: int, channels: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, 12, 10, channels)).astype(np.float32)


def by_sorting(maps: np.ndarray, count: int) -> list[list[tuple[float, int, tuple[int, int]]]]:
    """For each map (value, image, position), from all features at once, in plain Python."""
    found = []
    for m in range(maps.shape[3]):
        strongest = []
        for n, image in enumerate(maps[..., m]):
            places = [(image[i, j], -i, -j) for i in range(image.shape[0]) for j in range(image.shape[1])]
            value, i, j = max(places)
            strongest.append((float(value), n, (-i, -j)))
        found.append(sorted(strongest, key=lambda one: (-one[0], one[1]))[:count])
    return found


@pytest.mark.parametrize("layer", ["early", "late", "classes"])
@pytest.mark.parametrize("channels", [1, 3])
def test_they_are_the_largest_of_all_features(layer, channels):
    model, x = network(channels), some_images(50, channels)
    top = top_activations(model, layer, x, batch_size=50)
    features = extract_features(model, layer, x, batch_size=50)
    maps = features if features.ndim == 4 else features[:, None, None]
    assert top.layer == layer
    assert top.values.shape == top.images.shape == (maps.shape[3], 9)
    for m, expected in enumerate(by_sorting(maps, 9)):
        positions = [tuple(position) for position in top.positions[m].tolist()]
        assert list(zip(top.values[m].tolist(), top.images[m].tolist(), positions, strict=True)) == expected
        assert len(set(top.images[m].tolist())) == 9


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_batches_do_not_matter(batch_size):
    model, x = network(), some_images(40)
    whole, parts = (top_activations(model, "late", x, 5, size) for size in (40, batch_size))
    np.testing.assert_array_equal(parts.images, whole.images)
    np.testing.assert_array_equal(parts.positions, whole.positions)
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-5)


def test_boxes_are_the_receptive_fields():
    model, x = network(), some_images(20)
    for layer in ("early", "late"):
        top = top_activations(model, layer, x)
        field = receptive_field(model, layer)
        assert ((top.boxes[..., 2:] - top.boxes[..., :2]) == field.size).all()
        clipped = np.concatenate(
            [top.boxes[..., :2].clip(0), np.minimum(top.boxes[..., 2:], (12, 10))], axis=-1
        )
        expected = [[field.box(i, j) for i, j in row] for row in top.positions.tolist()]
        assert clipped.tolist() == np.array(expected).tolist()
    assert (top_activations(model, "classes", x).boxes == (0, 0, 12, 10)).all()


def test_of_equals_the_first():
    model = network()
    top = top_activations(model, "late", np.ones((12, 12, 10, 3)), batch_size=5)
    assert (top.images == np.arange(9)).all()
    for row in top.positions:
        assert (row == row[0]).all()
    flat = Sequential([layers.Input((4, 4, 1)), layers.ReLU()])
    assert not top_activations(flat, -1, np.ones((2, 4, 4, 1))).positions.any()


def test_few_images_give_few_columns():
    top = top_activations(network(), "late", some_images(2), batch_size=1)
    assert top.values.shape == (17, 2)
    assert top.boxes.shape == (17, 2, 4)
    assert top.patches(3).shape == (2, 8, 8, 3)


def test_the_strongest_maps():
    top = top_activations(network(), "late", some_images(30))
    means = top.values.mean(axis=1)
    assert top.strongest_maps(4).tolist() == sorted(range(17), key=lambda m: -means[m])[:4]
    assert len(top.strongest_maps(100)) == 17
    with pytest.raises(ValueError, match="count must be a whole number"):
        top.strongest_maps(0)


def test_images_on_disk_are_read_batch_by_batch(tmp_path):
    x = (some_images(30) * 255).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    top, expected = (top_activations(network(), "late", given, batch_size=8) for given in (mapped, x))
    np.testing.assert_array_equal(top.images, expected.images)
    patches = top.patches(0)
    assert patches.dtype == np.uint8
    np.testing.assert_array_equal(patches, expected.patches(0))


def test_what_it_refuses():
    model, x = network(), some_images(6)
    with pytest.raises(ValueError, match=r"x is empty.*\(0, 12, 10, 3\)"):
        top_activations(model, "late", x[:0])
    with pytest.raises(ValueError, match="unknown layer 'later'; did you mean 'late'"):
        top_activations(model, "later", x)
    with pytest.raises(ValueError, match="count must be a whole number"):
        top_activations(model, "late", x, count=0)
    with pytest.raises(ValueError, match="expects input"):
        top_activations(model, "late", x[..., :1])
    with pytest.raises(ValueError, match="has no weights yet"):
        top_activations(Sequential([layers.Conv2D(2, 3)]), 0, x)
    x[4, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 4 has NaN"):
        top_activations(model, "late", x, batch_size=3)


# ---- patches


def test_patches_inside_at_the_border_and_outside():
    images = np.arange(2 * 5 * 6 * 2).reshape(2, 5, 6, 2)
    inside, corner = cut_patches(images, np.array([[1, 2, 4, 4], [-1, 5, 2, 7]]), fill=-1)
    np.testing.assert_array_equal(inside, images[0, 1:4, 2:4])
    expected = np.full((3, 2, 2), -1)
    expected[1:, :1] = images[1, :2, 5:]
    np.testing.assert_array_equal(corner, expected)
    outside = cut_patches(images, np.array([[-9, -9, -6, -7], [8, 9, 11, 11]]), fill=-1)
    assert (outside == -1).all()


def test_boxes_larger_than_the_image_show_it_in_its_place():
    images = np.arange(1, 31).reshape(1, 5, 6)
    [patch] = cut_patches(images, np.array([[-4, -20, 3, 40]]))
    assert patch.shape == (5, 6)
    np.testing.assert_array_equal(patch[:3], images[0, :3])
    assert not patch[3:].any()


def test_patches_without_channels_and_with_holes():
    images = np.ones((1, 3, 3), np.float32)
    [patch] = cut_patches(images, np.array([[2, 2, 4, 4]]), fill=np.nan)
    np.testing.assert_array_equal(patch, [[1, np.nan], [np.nan, np.nan]])
