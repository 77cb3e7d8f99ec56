"""ONNX Runtime: inference alone, of a graph with the weights in it, its arrays NCHW."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.description import (
    Activation,
    BatchNorm,
    Branches,
    Chain,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    GlobalPool,
    Layer,
    Network,
    Pool,
    Shape,
    Transposed,
    Upsample,
    Weights,
    channels_first,
)
from benchmarks.rivals import LayerContestant, NetworkContestant

OPSET = 17


OPERATORS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax"}


def graph(network: Network, weights: Weights, batch: int) -> onnx.ModelProto:
    """The network for batches of just this size, in evaluation mode."""
    H, W, C = network.input_shape
    made = _Graph(channels_first(network, weights))
    output = made.chain(network.layers, network.input_shape, "x")
    return _model(made.nodes, made.initializers, (batch, C, H, W), output)


class _Graph:
    def __init__(self, weights: Weights):
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.values = iter(weights)

    def chain(self, layers: Chain, below: Shape, tensor: str) -> str:
        """The name of the tensor at the chain's end."""
        for layer in layers:
            if isinstance(layer, Branches):
                ends = [self.chain(chain, below, tensor) for chain in layer.chains]
                tensor = (
                    self._add("Concat", *ends, axis=1)
                    if isinstance(layer, Concat)
                    else self._add("Sum", *ends)
                )
            else:
                tensor = self._layer(layer, below, tensor)
            below = layer.output_shape(below)
        return tensor

    def _layer(self, layer: Layer, below: Shape, x: str) -> str:
        inputs = [x, *(self._constant(next(self.values)) for _ in layer.weights(below))]
        if isinstance(layer, (Conv, Depthwise)):
            (above, under), (left, right) = layer.pads(below)
            how: dict[str, Any] = {"kernel_shape": [layer.size] * 2, "strides": [layer.stride] * 2}
            how |= {"group": below[2]} if isinstance(layer, Depthwise) else {}
            x = self._add("Conv", *inputs, pads=[above, left, under, right], **how)
        elif isinstance(layer, Transposed):
            size = [layer.size] * 2
            x = self._add("ConvTranspose", *inputs, kernel_shape=size, strides=size)
        elif isinstance(layer, Dense):
            if len(below) == 3:
                inputs[0] = self._add("Flatten", x)
            x = self._add("Gemm", *inputs, transB=1)
        elif isinstance(layer, BatchNorm):
            x = self._add("BatchNormalization", *inputs, epsilon=layer.epsilon, momentum=layer.momentum)
        elif isinstance(layer, Pool):
            operator = "MaxPool" if layer.kind == "max" else "AveragePool"
            x = self._add(operator, x, kernel_shape=[layer.size] * 2, strides=[layer.step] * 2)
        elif isinstance(layer, GlobalPool):
            x = self._add(
                "Flatten", self._add("GlobalMaxPool" if layer.kind == "max" else "GlobalAveragePool", x)
            )
        elif isinstance(layer, Upsample):
            scales = self._constant(np.array([1, 1, layer.size, layer.size], np.float32))
            x = self._add(
                "Resize",
                x,
                "",
                scales,
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        elif isinstance(layer, Activation):
            x = self._activation(layer.function, x)
        else:
            assert isinstance(layer, Dropout)  # nothing in evaluation
        return self._activation(getattr(layer, "activation", "linear"), x)

    def _activation(self, function: str, x: str) -> str:
        if function == "linear":
            return x
        return self._add(OPERATORS[function], x, **({"axis": 1} if function == "softmax" else {}))

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, value: np.ndarray) -> str:
        name = f"weight_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(value, name))
        return name


def _model(
    nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto], shape: tuple[int, ...], output: str
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "network", inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    model.ir_version = 8  # of that operator set; the library's newest may be ahead of the runtime
    return model


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class RivalNetwork(NetworkContestant):
    """``bound``: input and output are bound once, so that a call finds them without a dictionary."""

    train = None

    def __init__(
        self, network: Network, weights: Weights, batches: list, learning_rate: float, bound: bool = False
    ):
        images = [np.ascontiguousarray(x.transpose(0, 3, 1, 2)) for x, _ in batches]
        self.session = session(graph(network, weights, len(images[0])))
        self.feeds = [{"x": x} for x in images]
        self.bindings = [self._binding(x) for x in images] if bound else []

    def _binding(self, x: np.ndarray) -> onnxruntime.IOBinding:
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
        binding.bind_output(self.session.get_outputs()[0].name)
        return binding

    def infer(self, i: int) -> Any:
        if self.bindings:
            binding = self.bindings[i % len(self.bindings)]
            self.session.run_with_iobinding(binding)
            return binding
        return self.session.run(None, self.feeds[i % len(self.feeds)])[0]

    def outputs(self) -> np.ndarray:
        found = self.infer(0)
        found = found.copy_outputs_to_cpu()[0] if self.bindings else found
        return np.moveaxis(found, 1, -1)

    def weights(self) -> Weights:
        raise NotImplementedError("a session does not learn")


class RivalLayer(LayerContestant):
    def __init__(self, x: Any, kernel: Any, bias: Any, dy: Any):
        self.x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        weights = [numpy_helper.from_array(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), "kernel")]
        weights.append(numpy_helper.from_array(bias, "bias"))
        node = helper.make_node("Conv", ["x", "kernel", "bias"], ["y"], pads=[len(kernel) // 2] * 4)
        self.session = session(_model([node], weights, self.x.shape, "y"))

    def steps(self) -> dict[str, Callable[[int], object]]:
        return {"forward": lambda i: self.session.run(None, {"x": self.x})[0]}

    def to_numpy(self, mode: str, result: Any) -> np.ndarray:
        return result.transpose(0, 2, 3, 1)


def version() -> str:
    return f"onnxruntime {onnxruntime.__version__}"
