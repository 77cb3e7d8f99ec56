"""Test the package that is installed, whatever folder the tests are started from.

``python -m pytest`` puts the checkout on the path, where fastconv/ has no compiled module unless it was
installed with ``pip install -e .``. Importing the installed package first keeps the checkout out of it here;
running in another folder keeps it out of the processes that tests start.
"""

import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.resolve()

built_in_place = [*CHECKOUT.glob("fastconv/_kernels*.so"), *CHECKOUT.glob("fastconv/_kernels*.pyd")]
if not built_in_place:
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if Path(entry or ".").resolve() != CHECKOUT]
    import fastconv  # noqa: F401

    sys.path[:] = path


@pytest.fixture(scope="session", autouse=True)
def away_from_the_checkout(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield
