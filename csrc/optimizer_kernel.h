/* optimizer_kernel.h - one step downhill for a block of parameters. The equations are in optimizer.c.
 *
 * An update is a handful of operations on two to five arrays, so what it waits for is memory. All there is to
 * win is that every array is read and written once, which a formula made of whole-array operations cannot do.
 *
 * Each _step moves the parameters from i on: VLEN of them, or what is left at the end of the block.
 */
#include "lanes.h"

INLINE void NAME(sgd_step)(fc_sgd rule, int64_t i, int lanes, float *value, const float *grad, float *velocity) {
    vfloat step = -rule.learning_rate * vload_lanes(grad + i, lanes);
    if (velocity) {
        const vfloat moved = rule.momentum * vload_lanes(velocity + i, lanes) + step;
        vstore_lanes(velocity + i, moved, lanes);
        step = rule.nesterov ? rule.momentum * moved + step : moved;
    }
    vstore_lanes(value + i, vload_lanes(value + i, lanes) + step, lanes);
}

static void NAME(sgd)(const fc_sgd *rule, int64_t first, int64_t end, float *value, const float *grad,
                      float *velocity) {
    int64_t i = first;
    for (; i + VLEN <= end; i += VLEN) NAME(sgd_step)(*rule, i, VLEN, value, grad, velocity);
    if (i < end) NAME(sgd_step)(*rule, i, vlanes(i, end), value, grad, velocity);
}

/* Moves a running mean towards what has come, and gives it back. */
INLINE vfloat NAME(move_mean)(float *mean, vfloat towards, float rate, int lanes) {
    vfloat moved = vload_lanes(mean, lanes);
    moved += (towards - moved) * rate;
    vstore_lanes(mean, moved, lanes);
    return moved;
}

INLINE void NAME(adam_step)(fc_adam rule, int64_t i, int lanes, float *value, const float *grad, float *m, float *v,
                            float *v_hat) {
    const vfloat g = vload_lanes(grad + i, lanes);
    const vfloat mean = NAME(move_mean)(m + i, g, rule.m_rate, lanes);
    vfloat square = NAME(move_mean)(v + i, g * g, rule.v_rate, lanes);
    if (v_hat) {
        const vfloat largest = vload_lanes(v_hat + i, lanes);
        square = vselect(largest > square, largest, square);
        vstore_lanes(v_hat + i, square, lanes);
    }
    const vfloat step = rule.learning_rate * mean / (vsqrt(square) + rule.epsilon);
    vstore_lanes(value + i, vload_lanes(value + i, lanes) - step, lanes);
}

static void NAME(adam)(const fc_adam *rule, int64_t first, int64_t end, float *value, const float *grad, float *m,
                       float *v, float *v_hat) {
    int64_t i = first;
    for (; i + VLEN <= end; i += VLEN) NAME(adam_step)(*rule, i, VLEN, value, grad, m, v, v_hat);
    if (i < end) NAME(adam_step)(*rule, i, vlanes(i, end), value, grad, m, v, v_hat);
}

INLINE void NAME(nadam_step)(fc_nadam rule, int64_t i, int lanes, float *value, const float *grad, float *m,
                             float *v) {
    const vfloat g = vload_lanes(grad + i, lanes);
    const vfloat mean = NAME(move_mean)(m + i, g, rule.m_rate, lanes);
    const vfloat square = NAME(move_mean)(v + i, g * g, rule.v_rate, lanes);
    const vfloat step = (rule.mean_part * mean + rule.grad_part * g) / (vsqrt(square * rule.v_scale) + rule.epsilon);
    vstore_lanes(value + i, vload_lanes(value + i, lanes) - step, lanes);
}

static void NAME(nadam)(const fc_nadam *rule, int64_t first, int64_t end, float *value, const float *grad, float *m,
                        float *v) {
    int64_t i = first;
    for (; i + VLEN <= end; i += VLEN) NAME(nadam_step)(*rule, i, VLEN, value, grad, m, v);
    if (i < end) NAME(nadam_step)(*rule, i, vlanes(i, end), value, grad, m, v);
}

INLINE void NAME(rmsprop_step)(fc_rmsprop rule, int64_t i, int lanes, float *value, const float *grad,
                               float *velocity, float *average_grad, float *momentum) {
    const vfloat g = vload_lanes(grad + i, lanes);
    vfloat square = rule.rho * vload_lanes(velocity + i, lanes) + rule.rate * (g * g);
    vstore_lanes(velocity + i, square, lanes);
    if (average_grad) {
        const vfloat mean = rule.rho * vload_lanes(average_grad + i, lanes) + rule.rate * g;
        vstore_lanes(average_grad + i, mean, lanes);
        square -= mean * mean;
    }
    vfloat step = rule.learning_rate * g / vsqrt(square + rule.epsilon);
    if (momentum) {
        step += rule.momentum * vload_lanes(momentum + i, lanes);
        vstore_lanes(momentum + i, step, lanes);
    }
    vstore_lanes(value + i, vload_lanes(value + i, lanes) - step, lanes);
}

static void NAME(rmsprop)(const fc_rmsprop *rule, int64_t first, int64_t end, float *value, const float *grad,
                          float *velocity, float *average_grad, float *momentum) {
    int64_t i = first;
    for (; i + VLEN <= end; i += VLEN)
        NAME(rmsprop_step)(*rule, i, VLEN, value, grad, velocity, average_grad, momentum);
    if (i < end) NAME(rmsprop_step)(*rule, i, vlanes(i, end), value, grad, velocity, average_grad, momentum);
}
