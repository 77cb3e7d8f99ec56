/* exp.h - e^x for a vector, made of additions and multiplications.
 *
 *     x = k ln 2 + r,  k whole,  |r| <= ln 2 / 2        so that        e^x = 2^k e^r
 *
 * 2^k is exact: it is written into a float's exponent. What is left is e^r on a short interval around
 * zero, where e^r - 1 = r + r^2 q(r) with a polynomial q.
 *
 * k is the nearest whole number to x / ln 2. Adding 1.5 * 2^23 rounds to whole numbers, because floats
 * of that size have no fraction bits; the sum's low bits are then k itself.
 *
 * r = x - k ln 2 loses nearly all its digits if ln 2 is a float. So ln 2 is cut in two (Cody & Waite 1980):
 * LN2_HIGH = 0x1.62e4p-1 has 15 significant bits, so that k * LN2_HIGH is exact for every k that occurs
 * (at most 8 bits) and so is its difference from x; LN2_LOW is the rest.
 *
 * q(r) is 1/2 + r/6 + r^2/24 + ... cut off after r^4. The Taylor coefficients would be right at r = 0 and
 * wrong by 1e-7 at the ends; those below spread the error evenly over the interval. They minimise the
 * largest |r^2 dq(r) / (e^r - 1)|, which is 1.5e-8 (a quarter of what rounding to a float costs), under
 * the condition that the first one is 1/2. (Found by iteratively reweighted least squares.)
 *
 * Largest errors found among 28 million floats of every size, in units of the last place: e^x and e^x - 1
 * 1.03, sigmoid 2.4, tanh 2.5, with and without fused multiply-add.
 */
#ifndef FASTCONV_EXP_H
#define FASTCONV_EXP_H

#include "lanes.h"

/* e^r - 1; and k. A NaN in x comes out as NaN, with some k. */
INLINE vfloat vexp_reduced(vfloat x, vint *k) {
    const float LOG2_E = 1.44269504f, LN2_HIGH = 0x1.62e4p-1f, LN2_LOW = 1.42860682e-6f;
    const float ROUND = 0x1.8p23f;
    const vfloat rounded = x * LOG2_E + ROUND;
    const vfloat whole = rounded - ROUND;
    *k = vbits(rounded) - vbits(vbroadcast(ROUND));

    const vfloat r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    const vfloat q = (((1.3898232e-3f * r + 8.3660670e-3f) * r + 4.1666854e-2f) * r + 0.16666548f) * r + 0.5f;
    return r * r * q + r;
}

/* e^x. Beyond the range of floats: infinity, or 0 by way of the denormals. */
INLINE vfloat vexp(vfloat x) {
    /* e^89 is too large for a float and e^-104 rounds to 0: no need to go further. NaN compares false. */
    x = vselect(x > 89.0f, vbroadcast(89.0f), x);
    x = vselect(x < -104.0f, vbroadcast(-104.0f), x);
    vint k;
    const vfloat less_one = vexp_reduced(x, &k);
    /* k is in [-150, 128], more than one exponent holds: half of it first, exactly, then the rest. */
    const vint half = k >> 1;
    return (less_one + 1.0f) * vpower_of_two(half) * vpower_of_two(k - half);
}

/* e^x - 1 for x <= 0, with all its digits near 0, where e^x - 1 computed from e^x has none:
 *     2^k e^r - 1 = 2^k (e^r - 1) + (2^k - 1) */
INLINE vfloat vexpm1_below_zero(vfloat x) {
    x = vselect(x < -64.0f, vbroadcast(-64.0f), x); /* -1 to the last digit, and 2^k fits an exponent */
    vint k;
    const vfloat less_one = vexp_reduced(x, &k);
    const vfloat power = vpower_of_two(k);
    return power * less_one + (power - 1.0f);
}

/* 1 / (1 + e^-x), and e^x / (1 + e^x) where x < 0: the exponential never overflows. */
INLINE vfloat vsigmoid(vfloat x) {
    const vfloat e = vexp(-vabs(x));
    return vselect(x < 0.0f, e, vbroadcast(1.0f)) / (1.0f + e);
}

/* tanh |x| = -t / (2 + t) where t = e^(-2|x|) - 1: nothing cancels. */
INLINE vfloat vtanh(vfloat x) {
    const vfloat t = vexpm1_below_zero(-2.0f * vabs(x));
    return vcopysign(t / (2.0f + t), x);
}

#endif
