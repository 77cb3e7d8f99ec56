"""Average pooling: each window becomes its mean."""

from __future__ import annotations

from fastconv import ops
from fastconv.layers.pooling2d import Pooling2D
from fastconv.parameter import Array


class AveragePooling2D(Pooling2D):
    """y[n,i,j,c] = mean over u, v of x[n, i·s_h+u, j·s_w+v, c], padded pixels not counted.

    Parameters
    ----------
    pool_size : the window, a whole number or (vertical, horizontal)
    strides : steps of the window; ``pool_size`` where None
    padding : as for Conv2D
    """

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return ops.avg_pool2d(x, self.pool_size, self.strides, self.padding)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return ops.avg_pool2d_backward(dy, input_shape, self.pool_size, self.strides, self.padding)
