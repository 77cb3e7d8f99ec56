"""Networks as graphs: tensors without numbers, calls of layers, and one batch on its way through them."""

from fastconv.graph.graph import Graph
from fastconv.graph.schedule import Pass, Schedule
from fastconv.graph.symbolic import Node, SymbolicTensor

__all__ = ["Graph", "Node", "Pass", "Schedule", "SymbolicTensor"]
