/* activation_kernel.h - y = phi(x), and dx = dy phi'(x) with phi' written in terms of y, a vector at a time.
 *
 * Comparisons are arranged so that a NaN, for which all of them are false, takes the branch that returns it.
 */
#include "exp.h"

/* The fixed point of Klambauer et al. 2017: mean 0 and variance 1 go in and come out. */
#define SELU_ALPHA 1.67326324f
#define SELU_SCALE 1.05070099f

INLINE vfloat NAME(elu)(vfloat x, float scale, float alpha) {
    return vselect(x >= 0.0f, scale * x, (scale * alpha) * vexpm1_below_zero(x));
}

/* `kind` is a constant at every call. */
INLINE vfloat NAME(phi)(const fc_activation kind, float alpha, vfloat x) {
    switch (kind) {
        case FC_LINEAR: return x;
        case FC_RELU: return vselect(x <= 0.0f, vbroadcast(0), x);
        case FC_LEAKY_RELU: return vselect(x < 0.0f, alpha * x, x);
        case FC_SIGMOID: return vsigmoid(x);
        case FC_TANH: return vtanh(x);
        case FC_ELU: return NAME(elu)(x, 1, alpha);
        case FC_SELU: return NAME(elu)(x, SELU_SCALE, SELU_ALPHA);
    }
    return x;
}

INLINE vfloat NAME(slope)(const fc_activation kind, float alpha, vfloat y) {
    const vfloat one = vbroadcast(1);
    switch (kind) {
        case FC_LINEAR: return one;
        case FC_RELU: return vselect(y > 0.0f, one, vbroadcast(0));
        case FC_LEAKY_RELU: return vselect(y > 0.0f, one, vbroadcast(alpha));
        case FC_SIGMOID: return y * (1.0f - y);
        case FC_TANH: return 1.0f - y * y;
        case FC_ELU: return vselect(y > 0.0f, one, y + alpha);
        case FC_SELU: return vselect(y > 0.0f, vbroadcast(SELU_SCALE), y + SELU_SCALE * SELU_ALPHA);
    }
    return one;
}

INLINE void NAME(activate_as)(const fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, NAME(phi)(kind, alpha, vload(x + i)));
    const int rest = vlanes(i, n);
    if (rest) vstore_lanes(y + i, NAME(phi)(kind, alpha, vload_lanes(x + i, rest)), rest);
}

INLINE void NAME(activate_backward_as)(const fc_activation kind, float alpha, int64_t n, const float *dy,
                                       const float *y, float *dx) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(dx + i, vload(dy + i) * NAME(slope)(kind, alpha, vload(y + i)));
    const int rest = vlanes(i, n);
    if (rest) {
        const vfloat slope = NAME(slope)(kind, alpha, vload_lanes(y + i, rest));
        vstore_lanes(dx + i, vload_lanes(dy + i, rest) * slope, rest);
    }
}

#define EACH_ACTIVATION(CASE) \
    CASE(FC_LINEAR) CASE(FC_RELU) CASE(FC_LEAKY_RELU) CASE(FC_SIGMOID) CASE(FC_TANH) CASE(FC_ELU) CASE(FC_SELU)

static void NAME(activate)(fc_activation kind, float alpha, int64_t n, const float *x, float *y) {
#define LOOP(KIND) case KIND: NAME(activate_as)(KIND, alpha, n, x, y); break;
    switch (kind) { EACH_ACTIVATION(LOOP) }
#undef LOOP
}

static void NAME(activate_backward)(fc_activation kind, float alpha, int64_t n, const float *dy, const float *y,
                                    float *dx) {
#define LOOP(KIND) case KIND: NAME(activate_backward_as)(KIND, alpha, n, dy, y, dx); break;
    switch (kind) { EACH_ACTIVATION(LOOP) }
#undef LOOP
}
#undef EACH_ACTIVATION
#undef SELU_ALPHA
#undef SELU_SCALE
