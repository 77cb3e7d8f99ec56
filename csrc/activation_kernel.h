/* activation_kernel.h - y = phi(x) and dx = dy phi'(x), a vector at a time; the equations are in activation.c.
 *
 * Comparisons are arranged so that a NaN, for which all of them are false, takes the branch that returns it.
 */
#include "exp.h"
#include "normal.h"
#include "softplus.h"

/* The fixed point of Klambauer et al. 2017: mean 0 and variance 1 go in and come out. */
#define SELU_ALPHA 1.67326324f
#define SELU_SCALE 1.05070099f

/* LeCun et al. 1998: y = 1 for x = 1, where the slope bends most. */
#define SQUASH_HEIGHT 1.7159f
#define SQUASH_RATE 0.666666667f

/* ---- phi ---------------------------------------------------------------------------------------- */

INLINE vfloat NAME(between)(float least, float most, vfloat x) {
    x = vselect(x <= least, vbroadcast(least), x);
    return vselect(x >= most, vbroadcast(most), x);
}

INLINE vfloat NAME(elu)(vfloat x, float scale, float alpha) {
    return vselect(x >= 0.0f, scale * x, (scale * alpha) * vexpm1_below_zero(x));
}

INLINE vfloat NAME(hard_sigmoid)(vfloat x) { return NAME(between)(0, 6, x + 3.0f) / 6.0f; }

/* (1 + tanh u) / 2 is the sigmoid of 2u, whose left end does not cancel. 2 sqrt(2 / pi) (x + 0.044715 x^3): */
#define GELU_LINEAR 1.59576912f
#define GELU_CUBIC 0.0713548163f
INLINE vfloat NAME(gelu_gate)(vfloat x) { return x * (GELU_CUBIC * (x * x) + GELU_LINEAR); }

/* tanh(log(1 + e^x)) has no logarithm in it: it is (2e + e^2) / (2 + 2e + e^2) with e = e^x, or, so that nothing
 * overflows where x > 0, (1 + 2t) / (1 + 2t + 2t^2) with t = e^-x. */
typedef struct {
    vfloat above, below; /* the fraction's two parts */
} NAME(fraction);

INLINE NAME(fraction) NAME(tanh_of_softplus)(vfloat x, vfloat t) {
    const NAME(fraction) f = {vselect(x > 0.0f, 1.0f + 2.0f * t, t * (2.0f + t)),
                              vselect(x > 0.0f, 2.0f * t * (1.0f + t) + 1.0f, t * (2.0f + t) + 2.0f)};
    return f;
}

INLINE vfloat NAME(mish)(vfloat x) {
    const NAME(fraction) f = NAME(tanh_of_softplus)(x, vexp(-vabs(x)));
    return x * (f.above / f.below);
}

INLINE vfloat NAME(soft_shrink)(vfloat x, float threshold) {
    return vselect(vabs(x) <= threshold, vbroadcast(0), vselect(x > threshold, x - threshold, x + threshold));
}

/* 0 up to -1, x from 1 on, between them a parabola that touches both */
INLINE vfloat NAME(sparse_plus)(vfloat x) {
    const vfloat t = NAME(between)(0, 2, x + 1.0f);
    return vselect(x >= 1.0f, x, 0.25f * (t * t));
}

/* (x + sqrt(x^2 + b)) / 2; where x < 0 the same as a quotient, in which nothing cancels. The square root is |x| where
 * x^2 would be infinite. */
INLINE vfloat NAME(squareplus)(vfloat x, float b) {
    const vfloat size = vabs(x), root = vselect(size > 1e18f, size, vsqrt(x * x + b)), y = 0.5f * size + 0.5f * root;
    return vselect(x < 0.0f, (0.25f * b) / y, y);
}

/* x - tanh x, whose first digits cancel where x is small: there it is x^3 (1/3 - 2/15 x^2 + ...). The coefficients
 * below spread the error of six terms: they minimise the largest relative one, which is 5e-9. */
INLINE vfloat NAME(tanh_shrink)(vfloat x) {
    const vfloat w = x * x;
    vfloat p = -0.00228973804f * w + 0.00834098738f;
    p = p * w - 0.0217678975f;
    p = p * w + 0.0539591163f;
    p = p * w - 0.133333027f;
    p = p * w + 0.333333343f;
    return vselect(vabs(x) < 0.625f, x * w * p, x - vtanh(x));
}

/* `kind` is a constant at every call. */
INLINE vfloat NAME(phi)(const fc_activation kind, float alpha, vfloat x) {
    switch (kind) {
        case FC_LINEAR: return x;
        case FC_RELU: return vselect(x <= 0.0f, vbroadcast(0), x);
        case FC_RELU6: return NAME(between)(0, 6, x);
        case FC_LEAKY_RELU: return vselect(x < 0.0f, alpha * x, x);
        case FC_SIGMOID: return vsigmoid(x);
        case FC_HARD_SIGMOID: return NAME(hard_sigmoid)(x);
        case FC_LOG_SIGMOID: return -vsoftplus(-x);
        case FC_TANH: return vtanh(x);
        case FC_SCALED_TANH: return SQUASH_HEIGHT * vtanh(SQUASH_RATE * x);
        case FC_HARD_TANH: return NAME(between)(-1, 1, x);
        case FC_ELU: return NAME(elu)(x, 1, alpha);
        case FC_CELU: return vselect(x >= 0.0f, x, alpha * vexpm1_below_zero(x / alpha));
        case FC_SELU: return NAME(elu)(x, SELU_SCALE, SELU_ALPHA);
        case FC_SOFTPLUS: return vsoftplus(x);
        case FC_SOFTSIGN: return x / (1.0f + vabs(x));
        case FC_EXPONENTIAL: return vexp(x);
        case FC_HARD_SHRINK: return vselect(vabs(x) <= alpha, vbroadcast(0), x);
        case FC_SOFT_SHRINK: return NAME(soft_shrink)(x, alpha);
        case FC_SPARSE_PLUS: return NAME(sparse_plus)(x);
        case FC_SPARSE_SIGMOID: return NAME(between)(0, 2, x + 1.0f) * 0.5f;
        case FC_SQUAREPLUS: return NAME(squareplus)(x, alpha);
        case FC_SILU: return x * vsigmoid(x);
        case FC_HARD_SILU: return x * NAME(hard_sigmoid)(x);
        case FC_GELU: return x * vnormal_below(x, vbell(x));
        case FC_GELU_TANH: return x * vsigmoid(NAME(gelu_gate)(x));
        case FC_MISH: return NAME(mish)(x);
        case FC_TANH_SHRINK: return NAME(tanh_shrink)(x);
    }
    return x;
}

/* ---- phi' --------------------------------------------------------------------------------------- */

INLINE vfloat NAME(one_between)(float least, float most, float one, vfloat v) {
    return vselect((v > least) & (v < most), vbroadcast(one), vbroadcast(0));
}

INLINE vfloat NAME(silu_slope)(vfloat x) {
    const vfloat s = vsigmoid(x);
    return s * (x * vsigmoid(-x) + 1.0f);
}

INLINE vfloat NAME(hard_silu_slope)(vfloat x) {
    return vselect(x >= 3.0f, vbroadcast(1), vselect(x <= -3.0f, vbroadcast(0), (2.0f * x + 3.0f) / 6.0f));
}

INLINE vfloat NAME(gelu_slope)(vfloat x) {
    const vfloat bell = vbell(x);
    return vnormal_below(x, bell) + x * (NORMAL_DENSITY_AT_0 * bell);
}

INLINE vfloat NAME(gelu_tanh_slope)(vfloat x) {
    x = NAME(between)(-16, 16, x); /* where the slope is 0 and 1, and x^2 no infinity */
    const vfloat gate = NAME(gelu_gate)(x), s = vsigmoid(gate);
    return s * (x * vsigmoid(-gate) * (3 * GELU_CUBIC * (x * x) + GELU_LINEAR) + 1.0f);
}

/* With the fraction above / below = y / x: 1 - (above / below)^2 times the sigmoid of x is 4 e (1 + e) / below^2,
 * or 4 t^2 (1 + t) / below^2. */
INLINE vfloat NAME(mish_slope)(vfloat x) {
    const vfloat t = vexp(-vabs(x));
    const NAME(fraction) f = NAME(tanh_of_softplus)(x, t);
    const vfloat bend = vselect(x > 0.0f, t * t, t) * (1.0f + t) * 4.0f;
    return f.above / f.below + x * (bend / (f.below * f.below));
}

/* y (y - x) = b / 4, and so the slope, y / sqrt(x^2 + b), is 1 / (1 + b / (4 y^2)). */
INLINE vfloat NAME(squareplus_slope)(vfloat y, float b) {
    const vfloat r = (0.5f * sqrtf(b)) / y;
    return vselect(y <= 0.0f, vbroadcast(0), 1.0f / (r * r + 1.0f));
}

/* v is the output y; from FC_FIRST_OF_INPUT on the input x. */
INLINE vfloat NAME(slope)(const fc_activation kind, float alpha, vfloat v) {
    const vfloat one = vbroadcast(1);
    switch (kind) {
        case FC_LINEAR: return one;
        case FC_RELU: return vselect(v > 0.0f, one, vbroadcast(0));
        case FC_RELU6: return NAME(one_between)(0, 6, 1, v);
        case FC_LEAKY_RELU: return vselect(v > 0.0f, one, vbroadcast(alpha));
        case FC_SIGMOID: return v * (1.0f - v);
        case FC_HARD_SIGMOID: return NAME(one_between)(0, 1, 1.0f / 6, v);
        case FC_LOG_SIGMOID: return -vexpm1_below_zero(v);
        case FC_TANH: return 1.0f - v * v;
        case FC_SCALED_TANH: return (SQUASH_RATE / SQUASH_HEIGHT) * ((SQUASH_HEIGHT - v) * (SQUASH_HEIGHT + v));
        case FC_HARD_TANH: return NAME(one_between)(-1, 1, 1, v);
        case FC_ELU: return vselect(v > 0.0f, one, v + alpha);
        case FC_CELU: return vselect(v > 0.0f, one, v / alpha + 1.0f);
        case FC_SELU: return vselect(v > 0.0f, vbroadcast(SELU_SCALE), v + SELU_SCALE * SELU_ALPHA);
        case FC_SOFTPLUS: return -vexpm1_below_zero(-v);
        case FC_SOFTSIGN: return (1.0f - vabs(v)) * (1.0f - vabs(v));
        case FC_EXPONENTIAL: return v;
        case FC_HARD_SHRINK: return vselect(vabs(v) <= alpha, vbroadcast(0), one);
        case FC_SOFT_SHRINK: return vselect(v == 0.0f, vbroadcast(0), one);
        case FC_SPARSE_PLUS: return vsqrt(NAME(between)(0, 1, v));
        case FC_SPARSE_SIGMOID: return NAME(one_between)(0, 1, 0.5f, v);
        case FC_SQUAREPLUS: return NAME(squareplus_slope)(v, alpha);
        case FC_SILU: return NAME(silu_slope)(v);
        case FC_HARD_SILU: return NAME(hard_silu_slope)(v);
        case FC_GELU: return NAME(gelu_slope)(v);
        case FC_GELU_TANH: return NAME(gelu_tanh_slope)(v);
        case FC_MISH: return NAME(mish_slope)(v);
        case FC_TANH_SHRINK: return vtanh(v) * vtanh(v);
    }
    return one;
}

/* ---- over an array ------------------------------------------------------------------------------ */

INLINE void NAME(activate_as)(const fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, NAME(phi)(kind, alpha, vload(x + i)));
    const int rest = vlanes(i, n);
    if (rest) vstore_lanes(y + i, NAME(phi)(kind, alpha, vload_lanes(x + i, rest)), rest);
}

INLINE void NAME(activate_backward_as)(const fc_activation kind, float alpha, int64_t n, const float *dy,
                                       const float *kept, float *dx) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(dx + i, vload(dy + i) * NAME(slope)(kind, alpha, vload(kept + i)));
    const int rest = vlanes(i, n);
    if (rest) {
        const vfloat slope = NAME(slope)(kind, alpha, vload_lanes(kept + i, rest));
        vstore_lanes(dx + i, vload_lanes(dy + i, rest) * slope, rest);
    }
}

#define EACH_ACTIVATION(CASE)                                                                                    \
    CASE(FC_LINEAR) CASE(FC_RELU) CASE(FC_RELU6) CASE(FC_LEAKY_RELU) CASE(FC_SIGMOID) CASE(FC_HARD_SIGMOID)      \
    CASE(FC_LOG_SIGMOID) CASE(FC_TANH) CASE(FC_SCALED_TANH) CASE(FC_HARD_TANH) CASE(FC_ELU) CASE(FC_CELU)        \
    CASE(FC_SELU) CASE(FC_SOFTPLUS) CASE(FC_SOFTSIGN) CASE(FC_EXPONENTIAL) CASE(FC_HARD_SHRINK)               \
    CASE(FC_SOFT_SHRINK) CASE(FC_SPARSE_PLUS) CASE(FC_SPARSE_SIGMOID) CASE(FC_SQUAREPLUS) CASE(FC_SILU)          \
    CASE(FC_HARD_SILU) CASE(FC_GELU) CASE(FC_GELU_TANH) CASE(FC_MISH) CASE(FC_TANH_SHRINK)

static void NAME(activate)(fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
#define LOOP(KIND) case KIND: NAME(activate_as)(KIND, alpha, n, x, y); break;
    switch (kind) { EACH_ACTIVATION(LOOP) }
#undef LOOP
}

static void NAME(activate_backward)(fc_activation kind, float alpha, int64_t n, const float *dy, const float *kept,
                                    float *dx) {
#define LOOP(KIND) case KIND: NAME(activate_backward_as)(KIND, alpha, n, dy, kept, dx); break;
    switch (kind) { EACH_ACTIVATION(LOOP) }
#undef LOOP
}
#undef EACH_ACTIVATION
#undef GELU_LINEAR
#undef GELU_CUBIC
#undef SELU_ALPHA
#undef SELU_SCALE
#undef SQUASH_HEIGHT
#undef SQUASH_RATE
