/* penalty_kernel.h - sums of |x| and x^2, and the gradient of the penalty, while x is at hand. See penalty.c.
 *
 * Four sums side by side: an addition need not wait for the one before it, and each sum has a quarter of the numbers
 * and so of the rounding errors.
 */
#include "lanes.h"

enum { PENALTY_SUMS = 4 };

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
    vfloat magnitudes[PENALTY_SUMS] = {(vfloat){0}}, squares[PENALTY_SUMS] = {(vfloat){0}};
    int64_t i = 0;
    for (; i + PENALTY_SUMS * VLEN <= n; i += PENALTY_SUMS * VLEN)
        for (int s = 0; s < PENALTY_SUMS; s++)
            NAME(penalty_step)(penalty, VLEN, x + i + s * VLEN, grad ? grad + i + s * VLEN : NULL, &magnitudes[s],
                               &squares[s]);
    for (int s = 0; i < n; i += VLEN, s++)
        NAME(penalty_step)(penalty, vlanes(i, n), x + i, grad ? grad + i : NULL, &magnitudes[s], &squares[s]);
    sums[0] += (double)vsum_lanes((magnitudes[0] + magnitudes[1]) + (magnitudes[2] + magnitudes[3]));
    sums[1] += (double)vsum_lanes((squares[0] + squares[1]) + (squares[2] + squares[3]));
}
