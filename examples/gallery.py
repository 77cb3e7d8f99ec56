"""What early, middle and late layers of trained networks see, in pictures like those of docs/gallery.

    python examples/gallery.py                                      the network that comes with the package
    python examples/gallery.py cifar10_cnn.safetensors fashion_cnn.safetensors        your own, as saved

A model for color images of 32×32 gets CIFAR-10's 10,000 test images, one for gray images of 28×28 those of
Fashion-MNIST, with values in [0, 1]. The layers are three of its convolutions, the first that sees more than
3×3 pixels, the middle one and the last, each with its ReLU; "gallery.py FILE --layers conv1 conv2 conv3"
takes others. Saliency and occlusion are those of eight test images, one of each of eight classes: the image
that is classified correctly with the probability closest to 0.9. The pictures go to the folder ``gallery``,
or to ``--out``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import fastconv as fc
from fastconv import layers, visualize
from fastconv.models.receptive_field import receptive_field


def images_for(model: fc.Sequential, limit: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images (N, H, W, C) in [0, 1], labels (N,) and names of the classes, for what the model takes."""
    shapes = {(None, 32, 32, 3): fc.datasets.cifar10, (None, 28, 28, 1): fc.datasets.fashion_mnist}
    if model.input_shape not in shapes:
        raise SystemExit(f"{model} takes {model.input_shape}: there are only images for {list(shapes)}")
    dataset = shapes[model.input_shape]
    _, (x, y) = dataset.load_data()
    return x[:limit].reshape(-1, *model.input_shape[1:]) / np.float32(255), y[:limit].ravel(), dataset.CLASSES


def stages(model: fc.Sequential) -> list[layers.Layer]:
    """Of the convolutions that see more than 3×3 pixels, the first, the middle one and the last.

    For each, the layer whose output its rectified maps are: the last one before the maps are pooled or
    convolved again that is nothing but a batch normalisation or an activation.
    """
    found = []
    for place, layer in enumerate(model.layers):
        if isinstance(layer, layers.Conv2D) and min(receptive_field(model, layer).size) > 3:
            for behind in model.layers[place + 1 :]:
                if isinstance(behind, layers.ReLU | layers.Activation):
                    layer = behind
                if isinstance(behind, layers.Conv2D | layers.ReLU | layers.Activation):
                    break
            found.append(layer)
    return [found[0], found[(len(found) - 1) // 2], found[-1]]


def save(figure: Any, folder: Path, name: str) -> None:
    """Write ``folder``/``name``.png, with 256 colors where all of them would make it large."""
    from PIL import Image  # where matplotlib is, Pillow is

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path)
    if path.stat().st_size > 200_000:
        colors = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        colors.save(path, optimize=True)
    print(f"  {path}: {path.stat().st_size / 1000:.0f} kB")


def draw(name: str, model: fc.Sequential, chosen: list[Any], limit: int, folder: Path) -> None:
    """All pictures of one model, their names beginning with ``name``."""
    x, y, classes = images_for(model, limit)
    said = model.predict(x, batch_size=256, verbose=0)
    right = said.argmax(axis=1) == y
    print(f"{name}: {right.mean():.2%} of {len(x)} test images are classified correctly")
    for level, layer in zip(("1_low", "2_middle", "3_high"), chosen or stages(model), strict=True):
        save(visualize.plot_top_activations(model, layer, x, maps=6), folder, f"{name}_{level}")
    doubt = np.where(
        right, abs(said.max(axis=1) - 0.9), np.inf
    )  # where it is surer, covering a part changes nothing
    examples = x[[int(np.where(y == label, doubt, np.inf).argmin()) for label in range(8)]]
    saliency = visualize.plot_saliency(model, examples, classes=classes, samples=50)
    save(saliency, folder, f"{name}_4_saliency")
    size = model.input_shape[1] // 4
    save(visualize.plot_occlusion(model, examples, size, classes=classes), folder, f"{name}_5_occlusion")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, help="model files (.safetensors)")
    parser.add_argument(
        "--layers", nargs=3, help="names of an early, a middle and a late layer, for all models"
    )
    parser.add_argument("--limit", type=int, default=10_000, help="use only the first so many images")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("gallery"), help="write the pictures there"
    )
    arguments = parser.parse_args()
    models = {path.stem: fc.models.load_model(path) for path in arguments.models}
    if not models:
        models["convnetjs_cifar10"] = fc.applications.ConvNetJSCifar10(weights="cifar10")
    for name, model in models.items():
        draw(name, model, arguments.layers, arguments.limit, arguments.out)


if __name__ == "__main__":
    main()
