"""ONNX Runtime: inference alone, of a graph with the weights in it, its arrays NCHW."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.networks import Conv, Dense, Dropout, Network, Pool, Weights, channels_first
from benchmarks.rivals import LayerContestant, NetworkContestant

OPSET = 17


def graph(network: Network, weights: Weights, batch: int) -> onnx.ModelProto:
    """The network for batches of just this size, in evaluation mode."""
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []
    values = iter(channels_first(network, weights))
    tensor = "x"

    def add(operation: str, *inputs: str, **attributes: Any) -> None:
        nonlocal tensor
        output = f"{operation}_{len(nodes)}"
        nodes.append(helper.make_node(operation, [tensor, *inputs], [output], **attributes))
        tensor = output

    def constants() -> list[str]:
        names = [f"weight_{len(initializers)}", f"weight_{len(initializers) + 1}"]
        initializers.extend(numpy_helper.from_array(next(values), name) for name in names)
        return names

    for layer, below, _ in network.shapes():
        if isinstance(layer, Conv):
            add("Conv", *constants(), pads=[layer.padding] * 4, kernel_shape=[layer.size] * 2)
            add("Relu")
        elif isinstance(layer, Pool):
            add("MaxPool" if layer.kind == "max" else "AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, Dense):
            if len(below) == 3:
                add("Flatten")
            add("Gemm", *constants(), transB=1)
            add(*(["Relu"] if layer.activation == "relu" else ["Softmax"]))
        else:
            assert isinstance(layer, Dropout)  # nothing in evaluation
    H, W, C = network.input_shape
    return _model(nodes, initializers, (batch, C, H, W), tensor)


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

    def probabilities(self) -> np.ndarray:
        found = self.infer(0)
        return found.copy_outputs_to_cpu()[0] if self.bindings else found

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
