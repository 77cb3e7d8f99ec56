/* optimizer_kernel.h - one step downhill for a block of parameters. The equations are in optimizer.c.
 *
 * An update is a handful of operations on two to five arrays, so what it waits for is memory. All there is to
 * win is that every array is read and written once, which a formula made of whole-array operations cannot do.
 * So clipping, weight decay and averaging are no passes of their own: `gradient` and `move` are the two ends
 * of every rule, and a rule is what lies between: how far to go.
 *
 * Each function named _at does its work for the parameters from i on: VLEN of them, or at the end of the block
 * what is left. `over_block` calls it along the block; it is inlined, so there is no call in the loop.
 */
#include "lanes.h"

INLINE void NAME(over_block)(void (*at)(fc_update u, int64_t i, int lanes), const fc_update *update, int64_t first,
                             int64_t end) {
    const fc_update u = *update; /* a copy, which no store to a float can change */
    int64_t i = first;
    for (; i + VLEN <= end; i += VLEN) at(u, i, VLEN);
    if (i < end) at(u, i, vlanes(i, end));
}

/* Moves a running mean towards what has come, and gives it back. */
INLINE vfloat NAME(move_mean)(float *mean, vfloat towards, float rate, int lanes) {
    vfloat moved = vload_lanes(mean, lanes);
    moved += (towards - moved) * rate;
    vstore_lanes(mean, moved, lanes);
    return moved;
}

/* ---- the two ends ------------------------------------------------------------------------------- */

/* The gradient that the rule gets: with those gathered before, scaled and clipped. NaN compares false and stays. */
INLINE vfloat NAME(gradient)(fc_update u, int64_t i, int lanes) {
    vfloat g = vload_lanes(u.grad + i, lanes);
    if (u.gathered) {
        g += vload_lanes(u.gathered + i, lanes);
        vstore_lanes(u.gathered + i, (vfloat){0}, lanes);
    }
    g *= u.scale;
    g = vselect(g > u.limit, vbroadcast(u.limit), g);
    return vselect(g < -u.limit, vbroadcast(-u.limit), g);
}

INLINE vfloat NAME(decayed)(fc_update u, int64_t i, int lanes) {
    const vfloat value = vload_lanes(u.value + i, lanes);
    return u.decay != 0 ? value - u.decay * value : value;
}

/* Averages the value, gives it back or, where the average overwrites it, the average. */
INLINE vfloat NAME(averaged)(fc_update u, int64_t i, int lanes, vfloat value) {
    if (!u.average) return value;
    const vfloat average = NAME(move_mean)(u.average + i, value, u.average_rate, lanes);
    return u.overwrite ? average : value;
}

INLINE void NAME(move)(fc_update u, int64_t i, int lanes, vfloat step) {
    const vfloat value = NAME(decayed)(u, i, lanes) - step;
    vstore_lanes(u.value + i, NAME(averaged)(u, i, lanes, value), lanes);
}

/* ---- the rules ---------------------------------------------------------------------------------- */

INLINE void NAME(sgd_at)(fc_update u, int64_t i, int lanes) {
    const fc_sgd rule = u.rule.sgd;
    float *const velocity = u.state[0];
    vfloat step = rule.learning_rate * NAME(gradient)(u, i, lanes);
    if (velocity) {
        const vfloat moved = rule.momentum * vload_lanes(velocity + i, lanes) - step;
        vstore_lanes(velocity + i, moved, lanes);
        step = rule.nesterov ? step - rule.momentum * moved : -moved;
    }
    NAME(move)(u, i, lanes, step);
}

INLINE void NAME(adagrad_at)(fc_update u, int64_t i, int lanes) {
    const fc_adagrad rule = u.rule.adagrad;
    const vfloat g = NAME(gradient)(u, i, lanes);
    const vfloat sum = vload_lanes(u.state[0] + i, lanes) + g * g;
    vstore_lanes(u.state[0] + i, sum, lanes);
    NAME(move)(u, i, lanes, rule.learning_rate * g / vsqrt(sum + rule.epsilon));
}

INLINE void NAME(rmsprop_at)(fc_update u, int64_t i, int lanes) {
    const fc_rmsprop rule = u.rule.rmsprop;
    float *const velocity = u.state[0], *const average_grad = u.state[1], *const momentum = u.state[2];
    const vfloat g = NAME(gradient)(u, i, lanes);
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
    NAME(move)(u, i, lanes, step);
}

INLINE void NAME(adam_at)(fc_update u, int64_t i, int lanes) {
    const fc_adam rule = u.rule.adam;
    float *const largest_square = u.state[2];
    const vfloat g = NAME(gradient)(u, i, lanes);
    const vfloat mean = NAME(move_mean)(u.state[0] + i, g, rule.m_rate, lanes);
    vfloat square = NAME(move_mean)(u.state[1] + i, g * g, rule.v_rate, lanes);
    if (largest_square) {
        const vfloat largest = vload_lanes(largest_square + i, lanes);
        square = vselect(largest > square, largest, square);
        vstore_lanes(largest_square + i, square, lanes);
    }
    NAME(move)(u, i, lanes, rule.learning_rate * mean / (vsqrt(square) + rule.epsilon));
}

INLINE void NAME(adamax_at)(fc_update u, int64_t i, int lanes) {
    const fc_adamax rule = u.rule.adamax;
    const vfloat g = NAME(gradient)(u, i, lanes);
    const vfloat mean = NAME(move_mean)(u.state[0] + i, g, rule.m_rate, lanes);
    const vfloat faded = rule.fading * vload_lanes(u.state[1] + i, lanes);
    const vfloat norm = vselect(faded > vabs(g), faded, vabs(g));
    vstore_lanes(u.state[1] + i, norm, lanes);
    NAME(move)(u, i, lanes, rule.learning_rate * mean / (norm + rule.epsilon));
}

INLINE void NAME(nadam_at)(fc_update u, int64_t i, int lanes) {
    const fc_nadam rule = u.rule.nadam;
    const vfloat g = NAME(gradient)(u, i, lanes);
    const vfloat mean = NAME(move_mean)(u.state[0] + i, g, rule.m_rate, lanes);
    const vfloat square = NAME(move_mean)(u.state[1] + i, g * g, rule.v_rate, lanes);
    NAME(move)(u, i, lanes,
               (rule.mean_part * mean + rule.grad_part * g) / (vsqrt(square * rule.v_scale) + rule.epsilon));
}

INLINE void NAME(adadelta_at)(fc_update u, int64_t i, int lanes) {
    const fc_adadelta rule = u.rule.adadelta;
    float *const squared_grads = u.state[0], *const squared_steps = u.state[1];
    const vfloat g = NAME(gradient)(u, i, lanes);
    const vfloat grads = rule.rho * vload_lanes(squared_grads + i, lanes) + rule.rate * (g * g);
    const vfloat steps = vload_lanes(squared_steps + i, lanes);
    const vfloat step = vsqrt(steps + rule.epsilon) * g / vsqrt(grads + rule.epsilon);
    vstore_lanes(squared_grads + i, grads, lanes);
    vstore_lanes(squared_steps + i, rule.rho * steps + rule.rate * (step * step), lanes);
    NAME(move)(u, i, lanes, rule.learning_rate * step);
}

/* ---- the ends alone, for rules that are not written in C ---------------------------------------- */

INLINE void NAME(prepare_step_at)(fc_update u, int64_t i, int lanes) {
    vstore_lanes(u.state[0] + i, NAME(gradient)(u, i, lanes), lanes);
    if (u.decay != 0) vstore_lanes(u.value + i, NAME(decayed)(u, i, lanes), lanes);
}

INLINE void NAME(average_step_at)(fc_update u, int64_t i, int lanes) {
    vstore_lanes(u.value + i, NAME(averaged)(u, i, lanes, vload_lanes(u.value + i, lanes)), lanes);
}

INLINE void NAME(gather_gradients_at)(fc_update u, int64_t i, int lanes) {
    vstore_lanes(u.gathered + i, vload_lanes(u.gathered + i, lanes) + vload_lanes(u.grad + i, lanes), lanes);
}

/* ---- along a block ------------------------------------------------------------------------------ */

static void NAME(sgd)(const fc_update *u, int64_t first, int64_t end) { NAME(over_block)(NAME(sgd_at), u, first, end); }
static void NAME(adagrad)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(adagrad_at), u, first, end);
}
static void NAME(rmsprop)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(rmsprop_at), u, first, end);
}
static void NAME(adam)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(adam_at), u, first, end);
}
static void NAME(adamax)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(adamax_at), u, first, end);
}
static void NAME(nadam)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(nadam_at), u, first, end);
}
static void NAME(adadelta)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(adadelta_at), u, first, end);
}
static void NAME(prepare_step)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(prepare_step_at), u, first, end);
}
static void NAME(average_step)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(average_step_at), u, first, end);
}
static void NAME(gather_gradients)(const fc_update *u, int64_t first, int64_t end) {
    NAME(over_block)(NAME(gather_gradients_at), u, first, end);
}

/* ---- norms -------------------------------------------------------------------------------------- */

/* In double precision, where the square of a float is exact and can neither overflow nor vanish: gradients
 * that explode are what a norm is clipped for. Four vectors of sums, so that additions need not wait. */
INLINE vdouble NAME(squares)(const float *grad, const float *gathered, int64_t i) {
    vdouble g = vload_doubles(grad + i);
    if (gathered) g += vload_doubles(gathered + i);
    return g * g;
}

static double NAME(sum_of_squares)(int64_t n, const float *grad, const float *gathered) {
    vdouble sums[4];
    for (int s = 0; s < 4; s++) sums[s] = (vdouble){0};
    int64_t i = 0;
    for (; i + 4 * DOUBLES <= n; i += 4 * DOUBLES) {
        for (int s = 0; s < 4; s++) sums[s] += NAME(squares)(grad, gathered, i + s * DOUBLES);
    }
    double sum = 0;
    for (; i < n; i++) {
        const double g = (double)grad[i] + (gathered ? gathered[i] : 0);
        sum += g * g;
    }
    const vdouble all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (int lane = 0; lane < DOUBLES; lane++) sum += LANE(all, lane);
    return sum;
}
