"""Weight vectors at right angles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastconv.initializers.random import RandomInitializer
from fastconv.parameter import Array


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix of columns, or rows if they are fewer, of length 1 and at right angles.

    Such a matrix neither stretches nor squeezes what goes through it. A kernel of more than two axes is taken
    as the matrix (everything but the last axis, last axis).

    Saxe, McClelland & Ganguli 2014, *Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks*.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Sequence[int]) -> Array:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs weights of at least two axes; got shape {tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(self._normal(tall, 0.0, 1.0).astype(np.float64))
        q = q * np.sign(np.diagonal(r))  # without it, not every orthogonal matrix would be as likely
        matrix = q if rows >= columns else q.T
        return (self.gain * matrix).reshape(shape).astype(np.float32)
