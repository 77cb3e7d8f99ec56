"""Max pooling: of each window, only the largest value goes on."""

from __future__ import annotations

from fastconv import ops
from fastconv.layers.pooling2d import Pooling2D
from fastconv.parameter import Array


class MaxPooling2D(Pooling2D):
    """y[n,i,j,c] = max over u, v of x[n, i·s_h+u, j·s_w+v, c]

    Forward keeps a *switch* for each output, the place of its maximum (the first one on ties). Backward sends
    each gradient where its switch points and nowhere else.

    Parameters
    ----------
    pool_size : the window, a whole number or (vertical, horizontal)
    strides : steps of the window; ``pool_size`` where None
    padding : as for Conv2D; padded pixels are never the maximum
    """

    def call(self, x: Array, training: bool = False) -> Array:
        y, switches = ops.max_pool2d(x, self.pool_size, self.strides, self.padding)
        self.remember(switches, x.shape)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        switches, input_shape = self.recall()
        return ops.max_pool2d_backward(dy, switches, input_shape, self.pool_size, self.strides, self.padding)
