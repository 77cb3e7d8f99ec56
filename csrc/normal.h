/* normal.h - the normal distribution for a vector: its density, and how much of it lies below x.
 *
 *     density(x) = e^(-x^2 / 2) / sqrt(2 pi)
 *     below(x) = integral of the density from -infinity to x = erfc(-x / sqrt 2) / 2
 *
 * below(0) is 1/2 and the rest is symmetric: below(x) = 1 - below(-x). So only the tail is needed, below(-a) for
 * a >= 0. It falls like e^(-a^2 / 2), which takes all digits of a polynomial in a; what is left after division
 * by that is smooth and between 1/2 and 0 (Mills' ratio, but for a constant):
 *
 *     below(-a) = e^(-a^2 / 2) M(a),     M(a) (a + 4) = P(q),    q = (a - 4) / (a + 4) in [-1, 1)
 *
 * q takes the whole half-line to an interval, as Shepherd & Laframboise 1981 did, and P is a polynomial of
 * degree 9 whose largest relative error for a < 14.6, beyond which the tail is no float any more, is 9e-9.
 * (Found as the coefficients of exp.h.)
 *
 * e^(-a^2 / 2) has an argument up to 100, whose rounding alone would cost 100 units of the last place. So a is
 * cut in two: the upper 12 bits h, whose square is exact, and the rest:
 *
 *     a^2 = h^2 + (a - h)(a + h),     and the second term is small: a few terms of e^d = 1 + d + d^2/2 + ... do.
 *
 * Largest error found among 10 million floats, in units of the last place of x below(x), while that is above 1e-35: 7.1.
 */
#ifndef FASTCONV_NORMAL_H
#define FASTCONV_NORMAL_H

#include "exp.h"

/* e^(-x^2 / 2) */
INLINE vfloat vbell(vfloat x) {
    x = vabs(x);
    x = vselect(x > 16.0f, vbroadcast(16.0f), x); /* 0 from 14.5 on; infinity minus infinity would be NaN */
    const vfloat high = vfloat_of_bits(vbits(x) & ~0xfff);
    const vfloat d = -0.5f * (x - high) * (x + high);
    const vfloat correction = (((d * (1.0f / 24) + (1.0f / 6)) * d + 0.5f) * d + 1.0f) * d + 1.0f;
    return vexp(-0.5f * high * high) * correction;
}

/* below(x), given bell = vbell(x). */
INLINE vfloat vnormal_below(vfloat x, vfloat bell) {
    const vfloat r = 1.0f / (vabs(x) + 4.0f), q = 1.0f - 8.0f * r;
    vfloat P = -1.32431815e-4f * q + 1.78372677e-4f;
    P = P * q + 1.56958762e-3f;
    P = P * q - 3.51207936e-3f;
    P = P * q - 7.52500258e-3f;
    P = P * q + 6.04037642e-2f;
    P = P * q - 1.86523482e-1f;
    P = P * q + 3.87136906e-1f;
    P = P * q - 6.07896566e-1f;
    P = P * q + 7.55285144e-1f;
    const vfloat tail = bell * (P * r);
    return vselect(x < 0.0f, tail, 1.0f - tail);
}

#define NORMAL_DENSITY_AT_0 0.398942280f /* 1 / sqrt(2 pi) */

#endif
