"""Looking inside: what a network has learnt, what it makes of an image, and where it is wrong.

Some functions return numbers and need nothing but NumPy: ``extract_features``, ``deconvnet``,
``top_activations``, ``saliency``, ``occlusion``. All else, and ``plot_`` with the names of these, draws with
matplotlib (the extra ``plot``) and returns its ``Figure``, which shows itself in a notebook and is saved with
``figure.savefig("name.png")``; no screen is needed. ``figure=`` draws into a figure, or part of one, of your
own, such as ``pyplot.figure()``.
"""

from fastconv.visualize._way_back import MODES
from fastconv.visualize.activation_strip import activation_strip
from fastconv.visualize.confusion_matrix import confusion_matrix
from fastconv.visualize.deconvnet import deconvnet
from fastconv.visualize.extract_features import extract_features
from fastconv.visualize.feature_maps import feature_maps
from fastconv.visualize.filters import filter_images, filters
from fastconv.visualize.gradient_histograms import gradient_histograms, loss_gradients
from fastconv.visualize.images import images
from fastconv.visualize.learning_curves import learning_curves
from fastconv.visualize.misclassified import Mistakes, find_mistakes, misclassified
from fastconv.visualize.occlusion import occlusion
from fastconv.visualize.patches import cut_patches
from fastconv.visualize.plot_deconvnet import plot_deconvnet
from fastconv.visualize.plot_occlusion import plot_occlusion
from fastconv.visualize.plot_saliency import plot_saliency
from fastconv.visualize.plot_top_activations import plot_top_activations
from fastconv.visualize.receptive_field import receptive_field
from fastconv.visualize.saliency import saliency
from fastconv.visualize.top_activations import TopActivations, top_activations
from fastconv.visualize.weight_histograms import weight_histograms

__all__ = [
    "MODES",
    "Mistakes",
    "TopActivations",
    "activation_strip",
    "confusion_matrix",
    "cut_patches",
    "deconvnet",
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
    "occlusion",
    "plot_deconvnet",
    "plot_occlusion",
    "plot_saliency",
    "plot_top_activations",
    "receptive_field",
    "saliency",
    "top_activations",
    "weight_histograms",
]
