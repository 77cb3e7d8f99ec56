/* elementwise_kernel.h - n numbers of two arrays, one of which may be a single number, or of one array; the equations are
 * in elementwise.c. */
#include "lanes.h"

INLINE vfloat NAME(combined)(const fc_elementwise kind, vfloat a, vfloat b) {
    switch (kind) {
    case FC_ADD: return a + b;
    case FC_SUBTRACT: return a - b;
    case FC_MULTIPLY: return a * b;
    case FC_DIVIDE: return a / b;
    case FC_AVERAGE: return (a + b) * 0.5f;
    case FC_MAXIMUM: return vselect((a > b) | (a != a), a, b);
    default: return vselect((a < b) | (a != a), a, b);
    }
}

/* dy times the derivative by b where `second`, else by a. */
INLINE vfloat NAME(combined_gradient)(const fc_elementwise kind, const int second, vfloat dy, vfloat a, vfloat b) {
    switch (kind) {
    case FC_ADD: return dy;
    case FC_SUBTRACT: return second ? -dy : dy;
    case FC_MULTIPLY: return dy * (second ? a : b);
    case FC_DIVIDE: return second ? -dy * (a / b) / b : dy / b;
    case FC_AVERAGE: return dy * 0.5f;
    default: {
        const vfloat y = NAME(combined)(kind, a, b), nothing = vbroadcast(0);
        const vfloat share = vselect(a == b, vbroadcast(0.5f), vbroadcast(1.0f));
        return dy * vselect((second ? b : a) == y, share, nothing);
    }
    }
}

#define OPERAND(p, step, i, lanes) ((step) ? vload_lanes((p) + (i), lanes) : vbroadcast(*(p)))

/* kind and the steps are constants */
INLINE void NAME(combine_row)(const fc_elementwise kind, const int a_step, const int b_step, int64_t n, const float *a,
                              const float *b, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        vstore(y + i, NAME(combined)(kind, OPERAND(a, a_step, i, VLEN), OPERAND(b, b_step, i, VLEN)));
    const int rest = vlanes(i, n);
    if (rest)
        vstore_first(y + i, NAME(combined)(kind, OPERAND(a, a_step, i, rest), OPERAND(b, b_step, i, rest)), rest);
}

INLINE void NAME(combine_gradient_row)(const fc_elementwise kind, const int second, const int a_step, const int b_step,
                                       int64_t n, const float *dy, const float *a, const float *b, float *to) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        vstore(to + i, NAME(combined_gradient)(kind, second, vload(dy + i), OPERAND(a, a_step, i, VLEN),
                                               OPERAND(b, b_step, i, VLEN)));
    const int rest = vlanes(i, n);
    if (rest)
        vstore_first(to + i, NAME(combined_gradient)(kind, second, vload_first(dy + i, rest),
                                                     OPERAND(a, a_step, i, rest), OPERAND(b, b_step, i, rest)), rest);
}

#define EACH_KIND(KIND) \
    KIND(FC_ADD) KIND(FC_SUBTRACT) KIND(FC_MULTIPLY) KIND(FC_DIVIDE) KIND(FC_AVERAGE) KIND(FC_MAXIMUM) KIND(FC_MINIMUM)

static void NAME(combine)(fc_elementwise kind, int64_t n, const float *a, int64_t a_step, const float *b,
                          int64_t b_step, float *y) {
    switch (kind) {
#define KIND(name)                                                  \
    case name:                                                      \
        if (!a_step) NAME(combine_row)(name, 0, 1, n, a, b, y);     \
        else if (!b_step) NAME(combine_row)(name, 1, 0, n, a, b, y); \
        else NAME(combine_row)(name, 1, 1, n, a, b, y);             \
        break;
        EACH_KIND(KIND)
#undef KIND
    }
}

static void NAME(combine_gradient)(fc_elementwise kind, int second, int64_t n, const float *dy, const float *a,
                                   int64_t a_step, const float *b, int64_t b_step, float *to) {
    switch (kind) {
#define KIND(name)                                                                         \
    case name:                                                                             \
        if (!a_step && second) NAME(combine_gradient_row)(name, 1, 0, 1, n, dy, a, b, to);  \
        else if (!a_step) NAME(combine_gradient_row)(name, 0, 0, 1, n, dy, a, b, to);       \
        else if (!b_step && second) NAME(combine_gradient_row)(name, 1, 1, 0, n, dy, a, b, to); \
        else if (!b_step) NAME(combine_gradient_row)(name, 0, 1, 0, n, dy, a, b, to);       \
        else if (second) NAME(combine_gradient_row)(name, 1, 1, 1, n, dy, a, b, to);        \
        else NAME(combine_gradient_row)(name, 0, 1, 1, n, dy, a, b, to);                    \
        break;
        EACH_KIND(KIND)
#undef KIND
    }
}
#undef EACH_KIND
#undef OPERAND

static void NAME(scale_shift)(int64_t n, float scale, float shift, const float *x, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, scale * vload(x + i) + shift);
    const int rest = vlanes(i, n);
    if (rest) vstore_first(y + i, scale * vload_first(x + i, rest) + shift, rest);
}
