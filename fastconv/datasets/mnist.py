"""MNIST: 60,000 + 10,000 handwritten digits, 28×28 grey.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998. Licence of the data: CC BY-SA 3.0.
"""

from __future__ import annotations

from fastconv._core.names import publish
from fastconv.datasets import mnist_files
from fastconv.datasets.published import Published
from fastconv.datasets.search import find

__all__ = ["CLASSES", "load_data"]

CLASSES = tuple("0123456789")

PUBLISHED = Published(
    name="mnist",
    title="MNIST",
    contents={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    downloads={
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    mirrors=(
        "https://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    read=mnist_files.read,
    directories=("mnist",),
)


def load_data() -> tuple[mnist_files.Split, mnist_files.Split]:
    """``(x_train, y_train), (x_test, y_test)``: images (60000, 28, 28) and (10000, 28, 28), labels (N,).

    All of it uint8. Raises FileNotFoundError, naming every place looked in, if it is neither here nor to be
    downloaded.
    """
    return mnist_files.parse(find(PUBLISHED))


publish(__name__)
