"""Image data sets: ``fastconv.datasets.<name>.load_data()`` returns ``(x_train, y_train), (x_test, y_test)``.

========================  =======================  ==========================================================
name                      images, NHWC or NHW      where they come from
========================  =======================  ==========================================================
``digits``                1,797 of 28×28           inside the package: needs no network
``mnist``                 70,000 of 28×28          ``FASTCONV_DATA``, cache, download (11 MB)
``fashion_mnist``         70,000 of 28×28          ``FASTCONV_DATA``, cache, the system's, download (30 MB)
``cifar10``               60,000 of 32×32×3        ``FASTCONV_DATA``, cache, download (162 MB)
========================  =======================  ==========================================================

Everything is uint8, as in Keras. Read ``search.py`` for the order in which places are searched. ``Loader``
makes batches of arrays, in the background.
"""

from __future__ import annotations

from fastconv._core.names import publish
from fastconv.datasets import cifar10, digits, fashion_mnist, mnist
from fastconv.datasets.loader import Loader

__all__ = ["Loader", "cifar10", "digits", "fashion_mnist", "mnist"]

publish(__name__)
