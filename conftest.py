"""Test the package that is installed, whatever folder the tests are started from.

``python -m pytest`` puts the checkout on the path, where fastconv/ has no compiled module unless it was
installed with ``pip install -e .``. The benchmarks have the same problem, and solve it as they are imported.
Running in another folder keeps the checkout out of the processes that tests start.
"""

import pytest

import benchmarks  # noqa: F401  (before anything imports fastconv)


@pytest.fixture(scope="session", autouse=True)
def away_from_the_checkout(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield
