"""Looking inside: what a network has learnt, what it makes of an image, and where it is wrong.

``extract_features`` needs nothing but NumPy. All else draws with matplotlib (the extra ``plot``) and returns
its ``Figure``, which shows itself in a notebook and is saved with ``figure.savefig("name.png")``; no screen
is needed. ``figure=`` draws into a figure, or part of one, of your own, such as ``pyplot.figure()``.
"""

from fastconv.visualize.extract_features import extract_features
from fastconv.visualize.images import images

__all__ = ["extract_features", "images"]
