"""Looking inside: what a network has learnt, what it makes of an image, and where it is wrong.

``extract_features`` needs nothing but NumPy. All else draws with matplotlib (the extra ``plot``) and returns
its ``Figure``, which shows itself in a notebook and is saved with ``figure.savefig("name.png")``; no screen
is needed. ``figure=`` draws into a figure, or part of one, of your own, such as ``pyplot.figure()``.
"""

from fastconv.visualize.activation_strip import activation_strip
from fastconv.visualize.confusion_matrix import confusion_matrix
from fastconv.visualize.extract_features import extract_features
from fastconv.visualize.feature_maps import feature_maps
from fastconv.visualize.filters import filter_images, filters
from fastconv.visualize.gradient_histograms import gradient_histograms, loss_gradients
from fastconv.visualize.images import images
from fastconv.visualize.learning_curves import learning_curves
from fastconv.visualize.misclassified import Mistakes, find_mistakes, misclassified
from fastconv.visualize.receptive_field import receptive_field
from fastconv.visualize.weight_histograms import weight_histograms

__all__ = [
    "Mistakes",
    "activation_strip",
    "confusion_matrix",
    "extract_features",
    "feature_maps",
    "filter_images",
    "filters",
    "find_mistakes",
    "gradient_histograms",
    "images",
    "learning_curves",
    "loss_gradients",
    "misclassified",
    "receptive_field",
    "weight_histograms",
]
