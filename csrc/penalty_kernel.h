/* penalty_kernel.h - sums of |x| and x^2, and the gradient of the penalty, while x is at hand. See penalty.c. */
#include "lanes.h"

/* A NaN is neither above nor below 0 and stays what it is. */
INLINE vfloat NAME(l1_l2_slope)(const fc_penalty *penalty, vfloat x) {
    const vfloat sign = vselect(x > 0.0f, vbroadcast(1), vselect(x < 0.0f, vbroadcast(-1), x));
    vfloat slope = (vfloat){0};
    if (penalty->l1 != 0) slope += penalty->l1 * sign;
    if (penalty->l2 != 0) slope += (2 * penalty->l2) * x;
    return penalty->scale * slope;
}

INLINE void NAME(penalty_step)(const fc_penalty *penalty, int lanes, const float *x, float *grad, vfloat *magnitudes,
                               vfloat *squares) {
    const vfloat value = vload_lanes(x, lanes);
    *magnitudes += vabs(value);
    *squares += value * value;
    if (grad) vstore_lanes(grad, vload_lanes(grad, lanes) + NAME(l1_l2_slope)(penalty, value), lanes);
}

static void NAME(penalize)(const fc_penalty *penalty, int64_t n, const float *x, float *grad, double sums[2]) {
    vfloat magnitudes = (vfloat){0}, squares = (vfloat){0};
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        NAME(penalty_step)(penalty, VLEN, x + i, grad ? grad + i : NULL, &magnitudes, &squares);
    const int rest = vlanes(i, n);
    if (rest) NAME(penalty_step)(penalty, rest, x + i, grad ? grad + i : NULL, &magnitudes, &squares);
    sums[0] += (double)vsum_lanes(magnitudes);
    sums[1] += (double)vsum_lanes(squares);
}
