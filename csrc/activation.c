/* activation.c - the nonlinearity after each weighted sum, element by element.
 *
 *     linear      y = x                                dx = dy
 *     relu        y = max(x, 0)                        dx = dy where y > 0, else 0
 *     leaky_relu  y = x, or alpha x where x < 0        dx = dy where y > 0, else alpha dy
 *     sigmoid     y = 1 / (1 + e^-x)                   dx = dy y (1 - y)
 *     tanh        y = tanh x                           dx = dy (1 - y^2)
 *     elu         y = x, or alpha (e^x - 1) for x < 0  dx = dy where y > 0, else dy (y + alpha)
 *     selu        y = scale elu(x, its alpha)          dx = dy scale where y > 0, else dy (y + scale alpha)
 *
 * All derivatives can be written with the output y alone, so that is all a layer keeps. (Softmax, which is
 * no matter of single elements, is in softmax.c.) An output may be the same array as an input.
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* Elements in a task. */
enum { BLOCK = 1 << 13 };

static double operations(fc_activation kind, int64_t n) {
    const int with_exponential = kind == FC_SIGMOID || kind == FC_TANH || kind == FC_ELU || kind == FC_SELU;
    return (double)n * (with_exponential ? 20 : 1);
}

void fc_activation_forward(fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(kind, n)))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->activate(kind, alpha, fc_min(BLOCK, n - i), x + i, y + i);
}

void fc_activation_backward(fc_activation kind, float alpha, int64_t n, const float *dy, const float *y, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n))
    for (int64_t i = 0; i < n; i += BLOCK)
        kernels->activate_backward(kind, alpha, fc_min(BLOCK, n - i), dy + i, y + i, dx + i);
}
