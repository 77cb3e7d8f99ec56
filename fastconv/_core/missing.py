"""Names of Keras that fastconv does not have, and what to use instead: one table, by module and family.

A remedy names what is here (``layers.Dense``, ``model.fit``), what NumPy has (``np.pad``), or what only
Keras itself has (``keras.layers.LSTM``). To add something to fastconv, delete its name here: a test wants
every public name of Keras to be in one place, and in one alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv._core.checks import plain_spelling


class Missing(NamedTuple):
    """Names of one family.

    modules   below ``fastconv``, separated by spaces; "." is fastconv itself
    names     separated by spaces
    remedy    continues "fastconv.layers has no LSTM: ..."; "{name}" is the name
    """

    modules: str
    names: str
    remedy: str


_1D = "there are only 2-D layers: give signals (N, W, C) a height of one, x[:, None], and use {instead}"
_KERAS = "use keras.layers.{name} of Keras itself"

_GRAPHS = (
    Missing(
        ".",
        "Function KerasTensor Operation",
        "layers.Input(shape) returns a symbolic tensor, and models.Model(inputs, outputs) is made of what "
        "layers make of it",
    ),
    Missing("utils", "get_source_inputs", "models.Model.inputs are the symbolic inputs of a model"),
    Missing(
        "layers",
        "Wrapper",
        "a layer among the attributes of a layer of your own, a subclass of layers.Layer, is part of it",
    ),
    Missing("layers", "SpatialDropout1D", _1D.format(instead="layers.SpatialDropout2D")),
)

_OUT_OF_SCOPE = (
    Missing(
        "layers",
        "RNN SimpleRNN SimpleRNNCell LSTM LSTMCell GRU GRUCell StackedRNNCells Bidirectional TimeDistributed "
        "ConvLSTM1D ConvLSTM2D ConvLSTM3D Masking Embedding ReversibleEmbedding",
        "fastconv is for images and has no layers for sequences; " + _KERAS,
    ),
    Missing(
        "layers",
        "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention EinsumDense",
        "fastconv has no attention; " + _KERAS,
    ),
    Missing(
        "layers",
        "Conv3D Convolution3D Conv3DTranspose Convolution3DTranspose MaxPooling3D MaxPool3D AveragePooling3D "
        "AvgPool3D GlobalAveragePooling3D GlobalAvgPool3D GlobalMaxPooling3D GlobalMaxPool3D UpSampling3D "
        "Cropping3D ZeroPadding3D SpatialDropout3D AdaptiveAveragePooling3D AdaptiveMaxPooling3D",
        "images are (N, H, W, C), there are no volumes; layers.Conv2D takes slices as channels, or " + _KERAS,
    ),
    Missing(
        "layers",
        "CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization",
        "encode the data beforehand: utils.to_categorical, np.digitize, np.unique(return_inverse=True)",
    ),
    Missing(
        "layers",
        "STFTSpectrogram MelSpectrogram",
        "compute spectrograms beforehand, with np.fft.rfft of the windows; they are images then",
    ),
    Missing(
        "layers",
        "TFSMLayer JaxLayer FlaxLayer TorchModuleWrapper",
        "other frameworks' layers cannot run here; model.set_weights brings their weights over",
    ),
    Missing(
        "layers",
        "RandomColorDegeneration RandomColorJitter RandomGrayscale RandomHue RandomSaturation RandomInvert "
        "RandomPosterization RandomSharpness RandomGaussianBlur RandomElasticTransform RandomPerspective "
        "RandomShear AugMix RandAugment CutMix MixUp AutoContrast Equalization Solarization "
        "ContrastLimitedAdaptiveHistogramEqualization",
        "layers.RandomFlip, layers.RandomRotation, layers.RandomZoom, layers.RandomContrast and their like "
        "are here; others are functions of a batch, for the map of datasets.Loader",
    ),
    Missing(
        "layers",
        "MaxNumBoundingBoxes",
        "there are no bounding boxes; layers.CenterCrop and layers.RandomCrop crop images",
    ),
    Missing(
        "utils",
        "bounding_boxes",
        "there are no bounding boxes; layers.CenterCrop and layers.RandomCrop crop images",
    ),
    Missing(
        "layers", "experimental", "layers.RandomFlip, layers.Rescaling and their like are in layers itself"
    ),
    Missing("layers .", "InputSpec", "override layer.check_input, which raises where an input does not fit"),
)

_PARTS = (
    Missing(
        "losses",
        "CTC Circle Dice Tversky CategoricalGeneralizedCrossEntropy ctc circle dice tversky "
        "categorical_generalized_cross_entropy",
        "write it as a subclass of losses.Loss with call and derivative",
    ),
    Missing(
        "metrics",
        "IoU BinaryIoU MeanIoU OneHotIoU OneHotMeanIoU",
        "metrics.ConfusionMatrix has the counts from which it follows",
    ),
    Missing(
        "metrics",
        "R2Score PearsonCorrelation ConcordanceCorrelation Sum pearson_correlation concordance_correlation",
        "np.corrcoef of what model.predict returns; any function f(y_true, y_pred) is a metric, which is "
        "averaged over the examples (metrics.get)",
    ),
    Missing(
        "initializers",
        "STFT STFTInitializer stft",
        "initializers.get takes any function of a shape, or an array",
    ),
    Missing(
        "optimizers",
        "Adafactor Ftrl Lamb Lion Muon ScheduleFreeAdamW",
        "optimizers.AdamW, optimizers.Nadam and optimizers.SGD are the nearest; one of your own is a "
        "subclass of optimizers.Optimizer",
    ),
    Missing(
        "optimizers",
        "LossScaleOptimizer",
        "gradients are float32, whose small numbers need no scale: use optimizers.Adam or another one alone",
    ),
    Missing(
        "optimizers",
        "OptimizerMap MultiOptimizer",
        "a model has one optimizer; layer.trainable = False freezes a layer, and optimizers.SGD and its like "
        "step any list of parameters in a loop of your own",
    ),
    Missing("optimizers", "legacy experimental", "the optimizers are in optimizers itself: optimizers.Adam"),
    Missing(
        "callbacks",
        "RemoteMonitor",
        "callbacks.LambdaCallback calls a function of yours, which posts the logs",
    ),
    Missing(
        "callbacks",
        "SwapEMAWeights",
        "optimizers.Adam(use_ema=True) and its like keep the averages, and put them in place when model.fit "
        "ends",
    ),
    Missing(
        "callbacks",
        "OrbaxCheckpoint",
        "callbacks.ModelCheckpoint or callbacks.BackupAndRestore keeps the training",
    ),
    Missing(
        "datasets",
        "boston_housing california_housing cifar100 imdb reuters",
        "keras.datasets.{name}.load_data() of Keras itself gives arrays, which model.fit takes",
    ),
    Missing(
        "applications",
        "ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge DenseNet121 DenseNet169 "
        "DenseNet201 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
        "EfficientNetB5 EfficientNetB6 EfficientNetB7 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 "
        "EfficientNetV2B3 EfficientNetV2L EfficientNetV2M EfficientNetV2S InceptionResNetV2 InceptionV3 "
        "MobileNet MobileNetV2 MobileNetV3Large MobileNetV3Small NASNetLarge NASNetMobile ResNet101 "
        "ResNet101V2 ResNet152 ResNet152V2 ResNet50 ResNet50V2 VGG16 VGG19 Xception convnext densenet "
        "efficientnet efficientnet_v2 inception_resnet_v2 inception_v3 mobilenet mobilenet_v2 mobilenet_v3 "
        "nasnet resnet resnet50 resnet_v2 vgg16 vgg19 xception",
        "networks for ImageNet are not here; applications.LeNet5, applications.FashionCNN and "
        "applications.Cifar10CNN have trained weights (applications.pretrained_weights), applications.ResNet "
        "and applications.MobileNetV1 are for small images. Features computed by "
        "keras.applications.{name} are arrays, on which models.Sequential learns",
    ),
    Missing(
        "applications",
        "imagenet_utils",
        "layers.Rescaling scales pixels, as preprocess_input does; np.argsort of probabilities gives the "
        "best classes",
    ),
    Missing(
        "utils",
        "image_dataset_from_directory text_dataset_from_directory audio_dataset_from_directory "
        "timeseries_dataset_from_array",
        "utils.PyDataset makes batches from files, datasets.Loader from arrays",
    ),
    Missing(
        "utils",
        "load_img img_to_array",
        "np.asarray(PIL.Image.open(path)) of Pillow is a picture as an array (H, W, C)",
    ),
    Missing(
        "utils", "array_to_img save_img", "PIL.Image.fromarray of Pillow; visualize.plot_images shows arrays"
    ),
    Missing("utils", "pad_sequences", "np.pad each of them, then np.stack"),
    Missing("utils", "FeatureSpace", "encode columns beforehand, with utils.to_categorical and np.stack"),
    Missing(
        "utils", "Config", "types.SimpleNamespace of Python is such an object, and np.savez keeps numbers"
    ),
    Missing(
        "utils",
        "serialize_keras_object deserialize_keras_object",
        "it is saving.{name}",
    ),
    Missing(
        "utils .",
        "legacy",
        "saving.serialize_keras_object and saving.deserialize_keras_object are its successors",
    ),
    Missing(
        "saving",
        "KerasFileEditor",
        "safetensors.numpy.load_file reads a file; model.set_weights takes arrays",
    ),
    Missing(
        "random",
        "SeedGenerator",
        "np.random.default_rng(seed) goes on from call to call, and is a seed for random.normal and its "
        "like; layers take whole numbers",
    ),
    Missing("random", "beta binomial gamma", "np.random.default_rng(seed).{name}(size=shape)"),
    Missing("random", "categorical", "np.random.default_rng(seed).choice(len(p), size=n, p=p)"),
    Missing("random", "dropout", "ops.dropout, or layers.Dropout"),
    Missing("random", "set_seed", "utils.set_random_seed"),
)

_DTYPES = 'everything is float32; fastconv.set_backend("reference") computes in double precision'
_VERBOSE = "verbose=0 keeps model.fit, model.evaluate and model.predict silent"

_PROGRAM = (
    Missing(".", "DTypePolicy FloatDTypePolicy", _DTYPES),
    Missing(".", "dtype_policies mixed_precision", _DTYPES),
    Missing("config", "dtype_policy set_dtype_policy", _DTYPES),
    Missing(
        ".",
        "quantizers Quantizer",
        "weights are float32; model.get_weights gives them for np.round and its like",
    ),
    Missing(
        ".",
        "remat RematScope",
        "a smaller batch_size in model.fit takes less memory; nothing is computed twice",
    ),
    Missing(
        ".",
        "StatelessScope SymbolicScope",
        "layers are called on arrays, layer.forward(x), or on the symbolic tensor that layers.Input returns",
    ),
    Missing(".", "name_scope", "give each layer its name: layers.Dense(10, name='block1_dense')"),
    Missing(
        ".", "device distribution", "everything runs on the CPU; fastconv.set_num_threads chooses its threads"
    ),
    Missing(".", "version", "fastconv.__version__"),
    Missing(".", "src", "the public names are in fastconv.layers, fastconv.models and their like"),
    Missing(".", "export", "model.save writes a safetensors file; model.predict is what to serve"),
    Missing(
        ".",
        "distillation",
        "model.fit(x, teacher.predict(x)) with the loss losses.KLDivergence teaches a student model",
    ),
    Missing(
        ".",
        "preprocessing",
        "layers.RandomFlip and its like augment images, datasets.Loader and utils.PyDataset make batches, "
        "np.asarray(PIL.Image.open(path)) reads a picture, np.pad pads sequences",
    ),
    Missing(
        ".",
        "tree",
        "model.fit and model.predict take nested lists and dictionaries as they are; for other things a list "
        "comprehension, over model.weights say, will do",
    ),
    Missing(".", "visualization", "visualize.plot_images and its like draw arrays"),
    Missing(
        ".",
        "wrappers",
        "a scikit-learn estimator is a class of your own with fit and predict, which call model.fit and "
        "model.predict",
    ),
    Missing(
        ".", "experimental estimator premade", "models.Sequential and layers.Dense make linear models too"
    ),
    Missing(
        "backend utils",
        "is_keras_tensor",
        "isinstance(x, np.ndarray) tells arrays from symbolic tensors, which layers.Input returns",
    ),
    Missing("backend utils", "standardize_dtype", "np.dtype(x).name"),
    Missing("backend", "is_float_dtype is_int_dtype", "np.issubdtype(dtype, np.floating), or np.integer"),
    Missing("backend", "result_type", "np.result_type"),
    Missing("backend", "get_uid", "layers name themselves; utils.clear_session starts their numbers again"),
    Missing(
        "backend",
        "function",
        "models.Model(inputs, outputs) computes outputs from inputs, both symbolic tensors; "
        "visualize.extract_features(model, x, layer) gives the outputs of a layer",
    ),
    Missing(
        "backend", "learning_phase set_learning_phase", "say so in the call: model.forward(x, training=True)"
    ),
    Missing("backend", "gradients", "model.backward after model.forward; visualize.saliency for the input"),
    Missing("backend", "variable random_normal_variable random_uniform_variable", "fastconv.Variable(array)"),
    Missing("backend", "cast_to_floatx cast constant to_dense is_sparse", "np.asarray(x, np.float32)"),
    Missing("backend", "eval batch_get_value", "backend.get_value, of one variable"),
    Missing("backend", "update batch_set_value", "backend.set_value, of one variable"),
    Missing("backend", "update_add update_sub moving_average_update", "parameter.value += step, in place"),
    Missing("backend", "int_shape", "np.shape"),
    Missing("backend", "count_params", "np.size; model.count_params"),
    Missing("backend", "gather", "np.take"),
    Missing("backend", "permute_dimensions", "np.transpose"),
    Missing("backend", "reverse repeat_elements flatten batch_flatten", "np.flip, np.repeat, np.reshape"),
    Missing("backend", "batch_dot bias_add", "np.matmul; a + b"),
    Missing("backend", "spatial_2d_padding spatial_3d_padding temporal_padding", "np.pad"),
    Missing("backend", "relu sigmoid softmax tanh elu softplus softsign hard_sigmoid", "activations.{name}"),
    Missing(
        "backend",
        "random_normal random_uniform truncated_normal random_bernoulli",
        "random.normal and its like",
    ),
    Missing(
        "backend",
        "conv2d conv2d_transpose depthwise_conv2d separable_conv2d",
        "ops.conv2d, ops.conv2d_transpose, ops.depthwise_conv2d",
    ),
    Missing("backend", "conv1d", "ops.conv1d"),
    Missing(
        "backend", "conv3d pool3d resize_volumes", "there are no volumes; ops.conv2d takes slices as channels"
    ),
    Missing("backend", "pool2d resize_images", "ops.max_pool2d, ops.avg_pool2d; layers.Resizing"),
    Missing("backend", "batch_normalization", "ops.batch_norm"),
    Missing("backend", "dropout", "ops.dropout, or layers.Dropout"),
    Missing("backend", "l2_normalize one_hot", "utils.normalize; utils.to_categorical"),
    Missing("backend", "in_top_k", "metrics.top_k_categorical_accuracy"),
    Missing(
        "backend",
        "binary_crossentropy binary_focal_crossentropy categorical_crossentropy "
        "categorical_focal_crossentropy "
        "sparse_categorical_crossentropy",
        "losses.{name}",
    ),
    Missing(
        "backend",
        "ctc_batch_cost ctc_decode ctc_label_dense_to_sparse",
        "there is no CTC; a loss of your own is a subclass of losses.Loss",
    ),
    Missing("backend", "foldl foldr map_fn rnn switch", "for and if of Python; np.where"),
    Missing("backend", "stop_gradient", "layer.trainable = False keeps weights as they are"),
    Missing("backend", "name_scope", "give each layer its name: layers.Dense(10, name='block1_dense')"),
    Missing(
        "config",
        "is_flash_attention_enabled enable_flash_attention disable_flash_attention",
        "there is no attention; fastconv.show_config prints what there is to choose",
    ),
    Missing(
        "config utils",
        "enable_interactive_logging disable_interactive_logging is_interactive_logging_enabled",
        _VERBOSE,
    ),
    Missing(
        "config",
        "enable_traceback_filtering disable_traceback_filtering is_traceback_filtering_enabled",
        "tracebacks are always whole here, leave it out; fastconv.show_config prints what there is to choose",
    ),
    Missing(
        "config",
        "enable_unsafe_deserialization",
        "files hold nothing to execute; classes of your own come with saving.register_keras_serializable",
    ),
    Missing("config", "is_nnx_enabled", "there is no NNX; fastconv.get_backend names what computes"),
    Missing(
        "config",
        "max_epochs set_max_epochs max_steps_per_epoch set_max_steps_per_epoch",
        "epochs and steps_per_epoch are arguments of model.fit",
    ),
)

_OPS = (
    Missing("ops", "image", "layers.Resizing, layers.CenterCrop, ops.affine_transform; PIL.Image of Pillow"),
    Missing("ops", "linalg", "np.linalg"),
    Missing("ops", "nn", "activations, ops.conv2d, ops.max_pool2d and losses have such functions"),
    Missing("ops", "numpy", "np, NumPy itself"),
    Missing(
        "ops",
        "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid "
        "relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
        "sparsemax squareplus swish tanh_shrink threshold",
        "activations.{name}",
    ),
    Missing(
        "ops", "binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy", "losses.{name}"
    ),
    Missing("ops", "ctc_loss ctc_decode", "there is no CTC; a loss of your own is a subclass of losses.Loss"),
    Missing(
        "ops",
        "conv depthwise_conv separable_conv",
        "ops.conv2d, which has groups; ops.depthwise_conv2d, ops.conv1d",
    ),
    Missing("ops", "conv_transpose", "ops.conv2d_transpose, ops.conv1d_transpose"),
    Missing("ops", "max_pool", "ops.max_pool2d, ops.max_pool1d"),
    Missing("ops", "average_pool", "ops.avg_pool2d, ops.avg_pool1d"),
    Missing(
        "ops",
        "adaptive_average_pool adaptive_max_pool",
        "ops.adaptive_avg_pool2d, ops.adaptive_max_pool2d",
    ),
    Missing("ops", "batch_normalization", "ops.batch_norm"),
    Missing("ops", "layer_normalization rms_normalization", "ops.layer_norm, ops.rms_norm"),
    Missing("ops", "dot_product_attention", "np.einsum and activations.softmax"),
    Missing("ops", "one_hot multi_hot", "utils.to_categorical; np.max over the labels of one example"),
    Missing("ops", "normalize", "utils.normalize"),
    Missing("ops", "convert_to_tensor convert_to_numpy", "np.asarray"),
    Missing("ops", "is_tensor", "isinstance(x, np.ndarray)"),
    Missing("ops", "cast saturate_cast dtype", "np.asarray(x, dtype), after np.clip; x.dtype"),
    Missing("ops", "stop_gradient", "layer.trainable = False keeps weights as they are"),
    Missing("ops", "custom_gradient", "a subclass of layers.Layer brings its own backward"),
    Missing("ops", "jvp", "fastconv.gradcheck compares derivatives with differences"),
    Missing(
        "ops", "segment_max segment_min segment_prod segment_sum", "np.add.at, np.maximum.at and their like"
    ),
    Missing("ops", "scatter scatter_update slice_update", "assign: x[indices] = values; np.add.at adds"),
    Missing("ops", "slice get_item", "x[start:stop]; np.take"),
    Missing(
        "ops",
        "cond switch where while_loop fori_loop scan associative_scan map vectorized_map",
        "if, for and while of Python; np.where",
    ),
    Missing("ops", "unstack", "list(x), after np.moveaxis"),
    Missing("ops", "top_k in_top_k", "np.argsort; metrics.top_k_categorical_accuracy"),
    Missing("ops", "logsumexp", "np.logaddexp.reduce"),
    Missing("ops", "rsqrt", "1 / np.sqrt(x)"),
    Missing("ops", "erf erfc erfinv", "math.erf, with np.vectorize; scipy.special for arrays"),
    Missing("ops", "cdist", "np.linalg.norm(a[:, None] - b, axis=-1)"),
    Missing("ops", "divide_no_nan", "np.divide(a, b, out=np.zeros_like(a), where=b != 0)"),
    Missing(
        "ops",
        "bitwise_left_shift bitwise_right_shift bitwise_not bitwise_invert",
        "np.left_shift, np.right_shift, np.invert",
    ),
    Missing("ops", "fabs fft fft2 ifft2 rfft irfft stft istft", "np.fft"),
    Missing(
        "ops",
        "cholesky det eig eigh inv lstsq matrix_rank norm pinv qr solve svd slogdet",
        "np.linalg.{name}",
    ),
    Missing("ops", "logdet", "np.linalg.slogdet"),
    Missing(
        "ops", "lu_factor solve_triangular cholesky_inverse", "np.linalg.solve, np.linalg.inv; scipy.linalg"
    ),
    Missing("ops", "fold unfold extract_sequences", "np.lib.stride_tricks.sliding_window_view"),
    Missing("ops", "depth_to_space space_to_depth rearrange view", "np.reshape and np.transpose"),
    Missing("ops", "view_as_complex view_as_real", "x.view of NumPy; np.real and np.imag"),
    Missing("ops", "trapezoid", "np.sum((y[1:] + y[:-1]) / 2 * np.diff(x))"),
    Missing("ops", "polar", "np.abs(r) * np.exp(1j * angle)"),
    Missing("ops", "psnr", "10 * np.log10(peak**2 / np.mean((a - b) ** 2))"),
)

GROUPS = (*_GRAPHS, *_OUT_OF_SCOPE, *_PARTS, *_PROGRAM, *_OPS)

NUMPY = ("ops", "backend")
"""Modules in which Keras has much of NumPy, under the same names."""

REMEDIES = {
    (module, name): group.remedy.replace("{name}", name)
    for group in GROUPS
    for module in group.modules.split()
    for name in group.names.split()
}


def remedy_for(module: str, name: str) -> str | None:
    """What to use instead of a name of Keras; None where Keras has no such name either.

    ``module`` is its place below ``fastconv``: "", "layers", "optimizers.schedules".
    """
    remedy = REMEDIES.get((module or ".", name))
    if remedy is None and module in NUMPY and name in dir(np):
        return f"arrays are NumPy's here: np.{name}"
    return remedy


def remedy_by_any_spelling(module: str, name: str) -> str | None:
    """As ``remedy_for``, where neither case nor underscores matter: "r2_score" is R2Score."""
    wanted = plain_spelling(name)
    for (place, missing), remedy in REMEDIES.items():
        if place == module and plain_spelling(missing) == wanted:
            return remedy
    return None
