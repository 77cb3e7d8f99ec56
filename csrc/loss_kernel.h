/* loss_kernel.h - losses number by number: their sum, and the gradient while x is at hand. See loss.c.
 *
 *     sigmoid cross-entropy    t softplus(-x) + (1 - t) softplus(x)          slope  sigmoid(x) - t
 *     squared                  (x - t)^2                                            2 (x - t)
 *     absolute                 |x - t|                                              sign(x - t)
 *     Huber's                  m (|x - t| - m / 2),  m = min(|x - t|, delta)        x - t, between -delta and delta
 *
 * softplus(-x) = -log p and softplus(x) = -log(1 - p) are what a probability p = sigmoid(x) costs. Both are
 * log(1 + e^-|x|), plus |x| for the one that is wrong about x: no difference of large numbers is taken.
 *
 * Sums are floats over LOSS_BLOCK vectors, and a double over those.
 */
#include "softplus.h"

enum { LOSS_BLOCK = 64 };

/* Of a vector of numbers; to *slope the derivative. A NaN in x or t is one in both. */
INLINE vfloat NAME(sigmoid_loss)(fc_limits limits, vfloat x, vfloat t, vfloat *slope) {
    const vfloat size = vabs(x), e = vexp(-size), small = vlog1p_of_unit(e);
    const vfloat yes = vwithin(vselect(x < 0.0f, size, vbroadcast(0)) + small, limits.least, limits.most);
    const vfloat no = vwithin(vselect(x > 0.0f, size, vbroadcast(0)) + small, limits.least, limits.most);
    *slope = vselect(x < 0.0f, e, vbroadcast(1)) / (1.0f + e) - t;
    return t * yes + (1.0f - t) * no;
}

INLINE vfloat NAME(loss_of)(const fc_loss_kind kind, float delta, fc_limits limits, vfloat x, vfloat t,
                            vfloat *slope) {
    const vfloat d = x - t, size = vabs(d);
    switch (kind) {
        case FC_LOSS_SQUARED: *slope = 2.0f * d; return d * d;
        case FC_LOSS_ABSOLUTE:
            *slope = vselect(d > 0.0f, vbroadcast(1), vselect(d < 0.0f, vbroadcast(-1), d));
            return size;
        case FC_LOSS_HUBER: {
            const vfloat near = vselect(size > delta, vbroadcast(delta), size);
            *slope = vcopysign(near, d);
            return near * (size - 0.5f * near);
        }
        default: return NAME(sigmoid_loss)(limits, x, t, slope);
    }
}

INLINE double NAME(loss_as)(const fc_loss_kind kind, float delta, fc_limits limits, int64_t n, const float *x,
                            const float *t, float scale, float *gradient) {
    double total = 0;
    int64_t i = 0;
    while (i + VLEN <= n) {
        const int64_t end = n - i < LOSS_BLOCK * VLEN ? n - VLEN : i + (LOSS_BLOCK - 1) * VLEN;
        vfloat sum = vbroadcast(0), slope;
        for (; i <= end; i += VLEN) {
            sum += NAME(loss_of)(kind, delta, limits, vload(x + i), vload(t + i), &slope);
            vstore(gradient + i, scale * slope);
        }
        total += (double)vsum_lanes(sum);
    }
    const int rest = vlanes(i, n);
    if (rest == 0) return total;
    vfloat slope;
    const vfloat last = NAME(loss_of)(kind, delta, limits, vload_lanes(x + i, rest), vload_lanes(t + i, rest), &slope);
    vstore_lanes(gradient + i, scale * slope, rest);
    return total + (double)vsum_lanes(vselect(vlane_index() < rest, last, vbroadcast(0)));
}

static double NAME(loss)(fc_loss_kind kind, float delta, fc_limits limits, int64_t n, const float *x, const float *t,
                         float scale, float *gradient) {
#define LOSS(KIND) \
    case KIND: return NAME(loss_as)(KIND, delta, limits, n, x, t, scale, gradient)
    switch (kind) {
        LOSS(FC_LOSS_SQUARED);
        LOSS(FC_LOSS_ABSOLUTE);
        LOSS(FC_LOSS_HUBER);
        default: LOSS(FC_LOSS_SIGMOID_CROSS_ENTROPY);
    }
#undef LOSS
}
