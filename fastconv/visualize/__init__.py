"""Looking inside: what a network has learnt, what it makes of an image, and where it is wrong.

``extract_features`` needs nothing but NumPy. All else draws with matplotlib (the extra ``plot``) and returns
its ``Figure``, which shows itself in a notebook and is saved with ``figure.savefig("name.png")``; no screen
is needed. ``figure=`` draws into a figure, or part of one, of your own, such as ``pyplot.figure()``.
"""

from fastconv.visualize.activation_strip import activation_strip
from fastconv.visualize.extract_features import extract_features
from fastconv.visualize.feature_maps import feature_maps
from fastconv.visualize.filters import filter_images, filters
from fastconv.visualize.images import images

__all__ = ["activation_strip", "extract_features", "feature_maps", "filter_images", "filters", "images"]
