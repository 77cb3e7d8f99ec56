/* row_norm_kernel.h - rows of numbers shifted and scaled, each by its own mean and size; equations in row_norm.c.
 *
 * Sums go down the lanes for at most ROW_RUN numbers and are then added up in double precision.
 */
#include "lanes.h"

#define ROW_RUN 1024

/* x - from, and 0 in lanes that are not there. */
INLINE vfloat NAME(distance)(const float *x, vfloat from, int lanes) {
    if (lanes == VLEN) return vload(x) - from;
    return vselect(vlane_index() < vbroadcast_int(lanes), vload_first(x, lanes) - from, vbroadcast(0));
}

/* sums[0] = the sum of x - from, sums[1] = that of the squares */
static void NAME(row_squares)(int64_t n, const float *x, float from, double sums[2]) {
    sums[0] = sums[1] = 0;
    const vfloat zero = vbroadcast(from);
    for (int64_t i = 0; i < n;) {
        const int64_t end = fc_min(i + ROW_RUN, n);
        vfloat s = vbroadcast(0), q = vbroadcast(0), s2 = s, q2 = q;
        for (; i + 2 * VLEN <= end; i += 2 * VLEN) {
            const vfloat d = vload(x + i) - zero, d2 = vload(x + i + VLEN) - zero;
            s += d, q += d * d;
            s2 += d2, q2 += d2 * d2;
        }
        for (; i < end; i += VLEN) {
            const vfloat d = NAME(distance)(x + i, zero, vlanes(i, end));
            s += d, q += d * d;
        }
        i = end;
        sums[0] += (double)vsum_lanes(s + s2);
        sums[1] += (double)vsum_lanes(q + q2);
    }
}

/* y = (x - mean) inverse gamma + beta; which of them are there are constants */
INLINE void NAME(normalise_vector)(const int scaled, const int shifted, int lanes, const float *x, vfloat mean,
                                   vfloat inverse, const float *gamma, const float *beta, float *y) {
    vfloat v = (vload_lanes(x, lanes) - mean) * inverse;
    if (scaled) v *= vload_lanes(gamma, lanes);
    if (shifted) v += vload_lanes(beta, lanes);
    vstore_lanes(y, v, lanes);
}
INLINE void NAME(normalise_row_of)(const int scaled, const int shifted, int64_t n, const float *x, float mean,
                                   float inverse, const float *gamma, const float *beta, float *y) {
    const vfloat zero = vbroadcast(mean), scale = vbroadcast(inverse);
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        NAME(normalise_vector)(scaled, shifted, VLEN, x + i, zero, scale, scaled ? gamma + i : NULL,
                               shifted ? beta + i : NULL, y + i);
    if (i < n)
        NAME(normalise_vector)(scaled, shifted, vlanes(i, n), x + i, zero, scale, scaled ? gamma + i : NULL,
                               shifted ? beta + i : NULL, y + i);
}
static void NAME(normalise_row)(int64_t n, const float *x, float mean, float inverse, const float *gamma,
                                const float *beta, float *y) {
    if (gamma && beta) NAME(normalise_row_of)(1, 1, n, x, mean, inverse, gamma, beta, y);
    else if (gamma) NAME(normalise_row_of)(1, 0, n, x, mean, inverse, gamma, beta, y);
    else if (beta) NAME(normalise_row_of)(0, 1, n, x, mean, inverse, gamma, beta, y);
    else NAME(normalise_row_of)(0, 0, n, x, mean, inverse, gamma, beta, y);
}

/* sums[0] = the sum of g = dy gamma, sums[1] = that of g (x - mean); dgamma += dy (x - mean) inverse, dbeta += dy */
static void NAME(row_gradient_sums)(int64_t n, const float *dy, const float *x, float mean, float inverse,
                                    const float *gamma, double sums[2], float *dgamma, float *dbeta) {
    sums[0] = sums[1] = 0;
    const vfloat zero = vbroadcast(mean), scale = vbroadcast(inverse);
    for (int64_t i = 0; i < n;) {
        const int64_t end = fc_min(i + ROW_RUN, n);
        vfloat s = vbroadcast(0), q = vbroadcast(0);
        for (; i < end; i += VLEN) {
            const int lanes = vlanes(i, end);
            const vfloat gradient = vload_lanes(dy + i, lanes), d = NAME(distance)(x + i, zero, lanes);
            const vfloat g = gamma ? gradient * vload_lanes(gamma + i, lanes) : gradient;
            s += g, q += g * d;
            if (dgamma) vstore_lanes(dgamma + i, vload_lanes(dgamma + i, lanes) + gradient * d * scale, lanes);
            if (dbeta) vstore_lanes(dbeta + i, vload_lanes(dbeta + i, lanes) + gradient, lanes);
        }
        i = end;
        sums[0] += (double)vsum_lanes(s);
        sums[1] += (double)vsum_lanes(q);
    }
}

/* dx = inverse (dy gamma - shift - (x - mean) slope) */
static void NAME(normalise_row_backward)(int64_t n, const float *dy, const float *x, float mean, float inverse,
                                         const float *gamma, float shift, float slope, float *dx) {
    const vfloat zero = vbroadcast(mean), scale = vbroadcast(inverse), a = vbroadcast(shift), b = vbroadcast(slope);
    for (int64_t i = 0; i < n; i += VLEN) {
        const int lanes = vlanes(i, n);
        vfloat g = vload_lanes(dy + i, lanes);
        if (gamma) g *= vload_lanes(gamma + i, lanes);
        vstore_lanes(dx + i, (g - a - (vload_lanes(x + i, lanes) - zero) * b) * scale, lanes);
    }
}
#undef ROW_RUN

/* Rows of C channels: dx = dy scale - shift - (x - mean) slope, each channel with numbers of its own. */
static void NAME(normalise_group_backward)(int64_t rows, int64_t C, const float *dy, const float *x,
                                           const fc_norm_gradient *channels, float *dx) {
    const fc_norm_gradient of = *channels;
    for (int64_t r = 0; r < rows; r++, dy += C, x += C, dx += C)
        for (int64_t c = 0; c < C; c += VLEN) {
            const int lanes = vlanes(c, C);
            const vfloat distance = vload_lanes(x + c, lanes) - vload_lanes(of.mean + c, lanes);
            vstore_lanes(dx + c, vload_lanes(dy + c, lanes) * vload_lanes(of.scale + c, lanes) -
                                     vload_lanes(of.mean_dy + c, lanes) - distance * vload_lanes(of.slope + c, lanes),
                         lanes);
        }
}
