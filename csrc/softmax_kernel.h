/* softmax_kernel.h - rows of scores as probabilities, and the price of a wrong one.
 *
 *     p[k] = e^(x[k] - max x) / sum,    sum = sum over j of e^(x[j] - max x),    log p[k] = x[k] - max x - log sum
 *
 * Three passes over a row, which is in the first-level cache after the first: the largest score, the
 * exponentials and their sum, the division. Taking the largest off changes nothing, and keeps e^x from
 * overflowing. Lanes past the end of a row hold -infinity: it is no maximum, and its exponential is 0.
 */
#include "exp.h"

INLINE vfloat NAME(scores)(const float *x, int64_t k, int64_t C) {
    const int lanes = vlanes(k, C);
    if (lanes == VLEN) return vload(x + k);
    return vselect(vlane_index() < lanes, vload_first(x + k, lanes), vbroadcast(-INFINITY));
}

/* A NaN is no maximum here, but it is in the sum of exponentials, and so in every probability. */
INLINE float NAME(largest)(const float *x, int64_t C) {
    vfloat largest = vbroadcast(-INFINITY);
    for (int64_t k = 0; k < C; k += VLEN) {
        const vfloat score = NAME(scores)(x, k, C);
        largest = vselect(score > largest, score, largest);
    }
    return vmax_lanes(largest);
}

/* e^(x - largest) into y; returns their sum. */
INLINE float NAME(exponentials)(const float *x, float largest, int64_t C, float *y) {
    vfloat sum = vbroadcast(0);
    for (int64_t k = 0; k < C; k += VLEN) {
        const vfloat e = vexp(NAME(scores)(x, k, C) - largest);
        vstore_lanes(y + k, e, vlanes(k, C));
        sum += e;
    }
    return vsum_lanes(sum);
}

static void NAME(softmax)(int64_t rows, int64_t C, const float *x, float *p) {
    for (int64_t r = 0; r < rows; r++, x += C, p += C) {
        const float sum = NAME(exponentials)(x, NAME(largest)(x, C), C, p);
        for (int64_t k = 0; k < C; k += VLEN)
            vstore_lanes(p + k, vload_lanes(p + k, vlanes(k, C)) / sum, vlanes(k, C));
    }
}

/* dx[k] = p[k] (dp[k] - sum over j of dp[j] p[j]) */
static void NAME(softmax_backward)(int64_t rows, int64_t C, const float *dp, const float *p, float *dx) {
    for (int64_t r = 0; r < rows; r++, dp += C, p += C, dx += C) {
        vfloat products = vbroadcast(0);
        for (int64_t k = 0; k < C; k += VLEN)
            products += vload_lanes(dp + k, vlanes(k, C)) * vload_lanes(p + k, vlanes(k, C));
        const float mean = vsum_lanes(products);
        for (int64_t k = 0; k < C; k += VLEN) {
            const int lanes = vlanes(k, C);
            vstore_lanes(dx + k, vload_lanes(p + k, lanes) * (vload_lanes(dp + k, lanes) - mean), lanes);
        }
    }
}

static void NAME(log_softmax)(int64_t rows, int64_t C, const float *x, float *y) {
    for (int64_t r = 0; r < rows; r++, x += C, y += C) {
        const float largest = NAME(largest)(x, C);
        vfloat sum = vbroadcast(0);
        for (int64_t k = 0; k < C; k += VLEN) sum += vexp(NAME(scores)(x, k, C) - largest);
        const float log_sum = logf(vsum_lanes(sum));
        for (int64_t k = 0; k < C; k += VLEN)
            vstore_lanes(y + k, NAME(scores)(x, k, C) - largest - log_sum, vlanes(k, C));
    }
}

/* dx[k] = dy[k] - e^y[k] sum over j of dy[j] */
static void NAME(log_softmax_backward)(int64_t rows, int64_t C, const float *dy, const float *y, float *dx) {
    for (int64_t r = 0; r < rows; r++, dy += C, y += C, dx += C) {
        vfloat sum = vbroadcast(0);
        for (int64_t k = 0; k < C; k += VLEN) sum += vload_lanes(dy + k, vlanes(k, C));
        const float total = vsum_lanes(sum);
        for (int64_t k = 0; k < C; k += VLEN) {
            const int lanes = vlanes(k, C);
            vstore_lanes(dx + k, vload_lanes(dy + k, lanes) - vexp(vload_lanes(y + k, lanes)) * total, lanes);
        }
    }
}

/* The loss of every row, not yet weighted, and its gradient times `scale` and the row's weight. */
static void NAME(cross_entropy)(int64_t rows, int64_t C, const float *logits, fc_targets targets, float scale,
                                fc_limits limits, float *losses, float *dlogits) {
    for (int64_t r = 0; r < rows; r++, logits += C, dlogits += C) {
        const float row_scale = targets.weights ? scale * targets.weights[r] : scale;
        const float largest = NAME(largest)(logits, C);
        const float sum = NAME(exponentials)(logits, largest, C, dlogits), log_sum = logf(sum);

        if (targets.labels) { /* t is 1 at the label, 0 elsewhere */
            const int64_t label = targets.labels[r];
            const float loss = log_sum - (logits[label] - largest); /* a NaN is not limited */
            losses[r] = loss < limits.least ? limits.least : loss > limits.most ? limits.most : loss;
            for (int64_t k = 0; k < C; k += VLEN)
                vstore_lanes(dlogits + k, vload_lanes(dlogits + k, vlanes(k, C)) / sum * row_scale, vlanes(k, C));
            dlogits[label] -= row_scale;
            continue;
        }
        const float *t = targets.rows + r * C;
        vfloat loss = vbroadcast(0), total = vbroadcast(0);
        for (int64_t k = 0; k < C; k += VLEN) {
            const vfloat target = vload_lanes(t + k, vlanes(k, C));
            /* 0 log 0 is 0: an impossible class that is not the answer costs nothing. */
            const vfloat cost = vwithin(log_sum - (NAME(scores)(logits, k, C) - largest), limits.least, limits.most);
            loss += vselect(target == 0.0f, vbroadcast(0), target * cost);
            total += target;
        }
        losses[r] = vsum_lanes(loss);
        const float certainty = vsum_lanes(total) / sum;
        for (int64_t k = 0; k < C; k += VLEN) {
            const int lanes = vlanes(k, C);
            const vfloat difference = vload_lanes(dlogits + k, lanes) * certainty - vload_lanes(t + k, lanes);
            vstore_lanes(dlogits + k, difference * row_scale, lanes);
        }
    }
}
