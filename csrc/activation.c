/* activation.c - the nonlinearity after each weighted sum, element by element.
 *
 *     linear       y = x                                     dx = dy
 *     relu         y = max(x, 0)                             dx = dy where y > 0, else 0
 *     relu6        y = x, between 0 and 6                    dx = dy where 0 < y < 6, else 0
 *     leaky_relu   y = x, or alpha x where x < 0             dx = dy where y > 0, else alpha dy
 *     sigmoid      y = 1 / (1 + e^-x)                        dx = dy y (1 - y)
 *     hard_sigmoid y = (x + 3) / 6, between 0 and 1          dx = dy / 6 where 0 < y < 1, else 0
 *     log_sigmoid  y = -log(1 + e^-x)                        dx = dy (1 - e^y)
 *     tanh         y = tanh x                                dx = dy (1 - y^2)
 *     scaled_tanh  y = A tanh(2/3 x), A = 1.7159             dx = dy 2/3 (A - y^2 / A)
 *     hard_tanh    y = x, between -1 and 1                   dx = dy where -1 < y < 1, else 0
 *     elu          y = x, or alpha (e^x - 1) for x < 0       dx = dy where y > 0, else dy (y + alpha)
 *     celu         y = x, or alpha (e^(x/alpha) - 1)         dx = dy where y > 0, else dy (y / alpha + 1)
 *     selu         y = scale elu(x, its alpha)               dx = dy scale where y > 0, else dy (y + scale alpha)
 *     softplus     y = log(1 + e^x)                          dx = dy (1 - e^-y)
 *     softsign     y = x / (1 + |x|)                         dx = dy (1 - |y|)^2
 *     exponential  y = e^x                                   dx = dy y
 *     hard_shrink  y = x, or 0 where |x| <= alpha            dx = dy where |y| > alpha, else 0
 *     soft_shrink  y = x -+ alpha, or 0 where |x| <= alpha   dx = dy where y != 0, else 0
 *     sparse_plus  y = 0, (x + 1)^2 / 4 from -1, x from 1    dx = dy sqrt(y), at most dy
 *     sparse_sigmoid  y = (x + 1) / 2, between 0 and 1       dx = dy / 2 where 0 < y < 1, else 0
 *     squareplus   y = (x + sqrt(x^2 + alpha)) / 2           dx = dy y^2 / (y^2 + alpha / 4)
 *
 * These derivatives can be written with the output y alone, so that is all a layer keeps. The following ones need x:
 * they go down before they go up, so that two x have the same y, or x is no short formula of y. (s is the sigmoid of x; below and
 * density are the normal distribution's, normal.h; u = sqrt(2 / pi) (x + 0.044715 x^3).)
 *
 *     silu         y = x s                                   dx = dy s (1 + x (1 - s))
 *     hard_silu    y = x hard_sigmoid(x)                     dx = dy (2 x + 3) / 6 for -3 < x < 3, else 0 or dy
 *     gelu         y = x below(x)                            dx = dy (below(x) + x density(x))
 *     gelu_tanh    y = x (1 + tanh u) / 2                    dx = dy (1 + tanh u + x (1 - tanh^2 u) du/dx) / 2
 *     mish         y = x tanh(softplus x)                    dx = dy (y / x + x s (1 - (y / x)^2))
 *     tanh_shrink  y = x - tanh x                            dx = dy tanh^2 x
 *
 * (Softmax, which is no matter of single elements, is in softmax.c.) An output may be the same array as an input.
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* Elements in a task. */
enum { BLOCK = 1 << 13 };

static double forward_operations(fc_activation kind, int64_t n) {
    switch (kind) {
        case FC_LINEAR: case FC_RELU: case FC_RELU6: case FC_LEAKY_RELU: case FC_HARD_SIGMOID: case FC_HARD_TANH:
        case FC_HARD_SILU: case FC_SOFTSIGN: case FC_HARD_SHRINK: case FC_SOFT_SHRINK: case FC_SPARSE_PLUS:
        case FC_SPARSE_SIGMOID: return (double)n;
        default: return 20.0 * (double)n; /* an exponential, or a square root */
    }
}

/* Those made of the input have to compute again what the forward pass did. */
static double backward_operations(fc_activation kind, int64_t n) {
    const int with_exponential = kind >= FC_FIRST_OF_INPUT || kind == FC_SOFTPLUS || kind == FC_LOG_SIGMOID;
    return with_exponential ? 20.0 * (double)n : (double)n;
}

void fc_activation_forward(fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(forward_operations(kind, n)))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->activate(kind, alpha, fc_min(BLOCK, n - i), x + i, y + i);
}

void fc_activation_backward(fc_activation kind, float alpha, int64_t n, const float *dy, const float *kept,
                            float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(backward_operations(kind, n)))
    for (int64_t i = 0; i < n; i += BLOCK)
        kernels->activate_backward(kind, alpha, fc_min(BLOCK, n - i), dy + i, kept + i, dx + i);
}
