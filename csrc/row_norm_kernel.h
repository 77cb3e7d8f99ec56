/* row_norm_kernel.h - rows of numbers shifted and scaled, each by its own mean and size; equations in row_norm.c.
 *
 * Sums go down the lanes for at most ROW_RUN numbers and are then added up in double precision. Of short rows there is
 * one in each lane.
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

/* ---- short rows: as many as a vector has lanes, one in each, so that no sum has to cross the lanes -------- */

/* to (W, VLEN) from `count` rows; 0 in lanes that have none. */
INLINE void NAME(rows_to_lanes)(int64_t count, int64_t W, const float *from, float *to) {
    if (count == VLEN && W >= VLEN) {
        NAME(transpose)(VLEN, VLEN, W, from, W, to, VLEN);
        return;
    }
    if (count < VLEN) memset(to, 0, sizeof(float) * (size_t)(W * VLEN));
    for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < W; j++) to[j * VLEN + r] = from[r * W + j];
}
INLINE void NAME(lanes_to_rows)(int64_t count, int64_t W, const float *from, float *to) {
    if (W >= VLEN)
        NAME(untranspose)((int)count, W, from, VLEN, to, W);
    else
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < W; j++) to[r * W + j] = from[j * VLEN + r];
}

static void NAME(normalise_short_rows)(const fc_row_norm *norm, int64_t count, const float *x, const float *gamma,
                                       const float *beta, float *y, float *mean, float *inverse) {
    float block[FC_SHORT_ROW * VLEN];
    const int64_t W = norm->W;
    const float epsilon = (float)norm->epsilon;
    NAME(rows_to_lanes)(count, W, x, block);
    vfloat center = vbroadcast(0), s = center, q = center;
    if (norm->kind == FC_LAYER_NORM) {
        const vfloat first = vload(block);
        for (int64_t j = 0; j < W; j++) s += vload(block + j * VLEN) - first;
        center = first + s / (float)W;
        s = vbroadcast(0);
    }
    for (int64_t j = 0; j < W; j++) {
        const vfloat d = vload(block + j * VLEN) - center;
        s += d, q += d * d;
    }
    vfloat scale;
    if (norm->kind == FC_UNIT_NORM) {
        const vfloat length = vsqrt(q);
        const vfloat most = vbroadcast((float)(1 / norm->epsilon));
        scale = vselect(length <= epsilon, most, 1.0f / length);
    } else {
        const vfloat offset = norm->kind == FC_LAYER_NORM ? s / (float)W : vbroadcast(0);
        const vfloat variance = q / (float)W - offset * offset;
        scale = 1.0f / vsqrt(vselect(variance < 0.0f, vbroadcast(0), variance) + epsilon);
    }
    vstore_lanes(inverse, scale, (int)count);
    if (norm->kind == FC_LAYER_NORM) vstore_lanes(mean, center, (int)count);
    for (int64_t j = 0; j < W; j++) {
        vfloat v = (vload(block + j * VLEN) - center) * scale;
        if (gamma) v *= vbroadcast(gamma[j]);
        if (beta) v += vbroadcast(beta[j]);
        vstore(block + j * VLEN, v);
    }
    NAME(lanes_to_rows)(count, W, block, y);
}

/* dgamma and dbeta are (W, VLEN): what their lanes add up to is the sum over rows. */
static void NAME(normalise_short_rows_backward)(const fc_row_norm *norm, int64_t count, const float *dy,
                                                const float *x, const float *mean, const float *inverse,
                                                const float *gamma, float *dx, float *dgamma, float *dbeta) {
    float of_dy[FC_SHORT_ROW * VLEN], of_x[FC_SHORT_ROW * VLEN];
    const int64_t W = norm->W;
    NAME(rows_to_lanes)(count, W, dy, of_dy);
    NAME(rows_to_lanes)(count, W, x, of_x);
    const vfloat scale = vload_lanes(inverse, (int)count), nothing = vbroadcast(0);
    const vfloat center = mean ? vload_lanes(mean, (int)count) : nothing;
    vfloat s = nothing, q = nothing;
    for (int64_t j = 0; j < W; j++) {
        const vfloat gradient = vload(of_dy + j * VLEN), d = vload(of_x + j * VLEN) - center;
        const vfloat g = gamma ? gradient * vbroadcast(gamma[j]) : gradient;
        s += g, q += g * d;
        if (dgamma) vstore(dgamma + j * VLEN, vload(dgamma + j * VLEN) + gradient * d * scale);
        if (dbeta) vstore(dbeta + j * VLEN, vload(dbeta + j * VLEN) + gradient);
        vstore(of_dy + j * VLEN, g);
        vstore(of_x + j * VLEN, d);
    }
    const vfloat shift = norm->kind == FC_LAYER_NORM ? s / (float)W : nothing;
    vfloat slope = scale * scale * q;
    if (norm->kind != FC_UNIT_NORM) slope /= (float)W;
    else slope = vselect(scale >= (float)(1 / norm->epsilon), nothing, slope);
    for (int64_t j = 0; j < W; j++)
        vstore(of_x + j * VLEN, (vload(of_dy + j * VLEN) - shift - vload(of_x + j * VLEN) * slope) * scale);
    NAME(lanes_to_rows)(count, W, of_x, dx);
}

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
