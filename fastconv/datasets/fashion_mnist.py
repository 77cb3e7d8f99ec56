"""Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28×28 grey.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747, 2017. Licence of the data: MIT.
"""

from __future__ import annotations

from fastconv._core.names import publish
from fastconv.datasets import mnist_files
from fastconv.datasets.published import Published
from fastconv.datasets.search import find

__all__ = ["CLASSES", "load_data"]

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

PUBLISHED = Published(
    name="fashion_mnist",
    title="Fashion-MNIST",
    contents={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    downloads={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    read=mnist_files.read,
    directories=("fashion_mnist", "fashion-mnist"),
    system=("/usr/share/datasets/fashion-mnist",),
    hint="on Debian and Ubuntu: apt install dataset-fashion-mnist",
)


def load_data() -> tuple[mnist_files.Split, mnist_files.Split]:
    """``(x_train, y_train), (x_test, y_test)``: images (60000, 28, 28) and (10000, 28, 28), labels (N,).

    All of it uint8. Raises FileNotFoundError, naming every place looked in, if it is neither here nor to be
    downloaded.
    """
    return mnist_files.parse(find(PUBLISHED))


publish(__name__)
