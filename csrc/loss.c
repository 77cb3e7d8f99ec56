/* loss.c - what an output costs, and the gradient that training starts from.
 *
 *     softmax cross-entropy    l[n] = mean over places of  - sum over k of t[k] log p[k],   p = softmax of a place
 *     any other                l[n] = mean over numbers of loss(x, t)                       loss_kernel.h
 *
 *     gradient[n] = scale w[n] times the derivative of l[n]
 *
 * A place is one of the H x W vectors of an image: a vector of scores has one, a map of classes one for each pixel.
 * The mean over numbers is the mean over places of the mean over C: what Keras' losses average over. So with
 * scale = 1 / N the sum over n of w[n] l[n] / N is its mean loss, and `gradient` the gradient of that.
 *
 * Limits of -log p are those of a loss from probabilities, which clips them before it takes their logarithm. The
 * gradient is that at the logits, which no clipping stops.
 */
#include "engine/engine.h"
#include "memory.h"

enum { PLACES = 64 }; /* whose losses are kept at once */

static double image_cross_entropy(const fc_kernels *kernels, const fc_loss *loss, fc_limits limits, int64_t n,
                                  int64_t places, int64_t C, float scale, const float *x, float *gradient) {
    float costs[PLACES];
    double total = 0;
    for (int64_t p = 0; p < places; p += PLACES) {
        const int64_t count = fc_min(PLACES, places - p), at = n * places + p;
        const fc_targets targets = {.labels = loss->targets.labels ? loss->targets.labels + at : NULL,
                                    .rows = loss->targets.rows ? loss->targets.rows + at * C : NULL};
        kernels->cross_entropy(count, C, x + p * C, targets, scale, limits, costs, gradient + p * C);
        for (int64_t i = 0; i < count; i++) total += (double)costs[i];
    }
    return total;
}

void fc_loss_gradient(const fc_kernels *kernels, const fc_loss *loss, int64_t first, int64_t images, fc_size size,
                      const float *tensor, float *gradient) {
    const int softmax = loss->kind == FC_LOSS_SOFTMAX_CROSS_ENTROPY;
    const int64_t numbers = fc_size_of(size), places = size.H * size.W, terms = softmax ? places : numbers;
    const fc_limits limits = loss->most > 0 ? (fc_limits){loss->least, loss->most} : FC_NO_LIMITS;
    for (int64_t i = 0; i < images; i++, tensor += numbers, gradient += numbers) {
        const int64_t n = first + i;
        const float weight = loss->targets.weights ? loss->targets.weights[n] : 1;
        const float scale = loss->scale * weight / (float)terms;
        const double total =
            softmax ? image_cross_entropy(kernels, loss, limits, n, places, size.C, scale, tensor, gradient)
                    : kernels->loss(loss->kind, loss->delta, limits, numbers, tensor,
                                    loss->targets.rows + n * numbers, scale, gradient);
        loss->losses[n] = (float)(total / (double)terms);
    }
}
