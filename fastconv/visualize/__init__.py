"""Looking inside: what a network has learnt, what it makes of an image, and where it is wrong.

Functions called ``plot_`` draw with matplotlib (the extra ``plot``) and return its ``Figure``, which shows
itself in a notebook and is saved with ``figure.savefig("name.png")``; no screen is needed. ``figure=`` draws
into a figure, or part of one, of your own, such as ``pyplot.figure()``. All others return numbers and need
nothing but NumPy.
"""

from fastconv._core.names import publish
from fastconv.visualize._way_back import MODES
from fastconv.visualize.deconvnet import deconvnet
from fastconv.visualize.extract_features import extract_features
from fastconv.visualize.filters import filter_images, plot_filters
from fastconv.visualize.gradient_histograms import loss_gradients, plot_gradient_histograms
from fastconv.visualize.misclassified import Mistakes, find_mistakes, plot_misclassified
from fastconv.visualize.occlusion import occlusion
from fastconv.visualize.patches import cut_patches
from fastconv.visualize.plot_activation_strip import plot_activation_strip
from fastconv.visualize.plot_confusion_matrix import plot_confusion_matrix
from fastconv.visualize.plot_deconvnet import plot_deconvnet
from fastconv.visualize.plot_feature_maps import plot_feature_maps
from fastconv.visualize.plot_images import plot_images
from fastconv.visualize.plot_learning_curves import plot_learning_curves
from fastconv.visualize.plot_occlusion import plot_occlusion
from fastconv.visualize.plot_receptive_field import plot_receptive_field
from fastconv.visualize.plot_saliency import plot_saliency
from fastconv.visualize.plot_top_activations import plot_top_activations
from fastconv.visualize.plot_weight_histograms import plot_weight_histograms
from fastconv.visualize.saliency import saliency
from fastconv.visualize.top_activations import TopActivations, top_activations

__all__ = [
    "MODES",
    "Mistakes",
    "TopActivations",
    "cut_patches",
    "deconvnet",
    "extract_features",
    "filter_images",
    "find_mistakes",
    "loss_gradients",
    "occlusion",
    "plot_activation_strip",
    "plot_confusion_matrix",
    "plot_deconvnet",
    "plot_feature_maps",
    "plot_filters",
    "plot_gradient_histograms",
    "plot_images",
    "plot_learning_curves",
    "plot_misclassified",
    "plot_occlusion",
    "plot_receptive_field",
    "plot_saliency",
    "plot_top_activations",
    "plot_weight_histograms",
    "saliency",
    "top_activations",
]

publish(__name__)
