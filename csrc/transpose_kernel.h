/* transpose_kernel.h - squares of VLEN x VLEN floats turned over their diagonal, in registers (lanes.h).
 *
 *     transpose    to[j, i] = from[i, j]     images into a bundle's lanes, a kernel turned round, weights into panels
 *     untranspose  to[i, j] = from[j, i]     and a bundle back to images
 *     sum_lanes    sums[i] += the lanes of vector i, added up
 *     dot_rows     y[c] = sum over k of w[c, k] x[k]
 *
 * Adding up the lanes of VLEN vectors is turning the square over and adding up the vectors.
 */
#include "lanes.h"

/* The last square of many overlaps the one before rather than be cut off: whole vectors are quicker. */
INLINE int64_t NAME(square_at)(int64_t at, int64_t columns) {
    return columns >= VLEN && at + VLEN > columns ? columns - VLEN : at;
}

/* Inlined twice: where all squares are whole, as is known when compiling, they stay in registers. */
INLINE void NAME(transpose_squares)(const int whole, const int rows, const int width, int64_t columns,
                                    const float *from, int64_t from_step, float *to, int64_t to_step) {
    for (int64_t at = 0; at < columns; at += VLEN) {
        const int64_t j = NAME(square_at)(at, columns);
        const int floats = whole ? VLEN : vlanes(j, columns);
        vfloat square[VLEN];
#pragma GCC unroll 16
        for (int i = 0; i < VLEN; i++)
            square[i] = i < rows ? vload_lanes(from + i * from_step + j, floats) : (vfloat){0};
        vtranspose(square);
#pragma GCC unroll 16
        for (int i = 0; i < VLEN; i++)
            if (i < floats) vstore_lanes(to + (j + i) * to_step, square[i], width);
    }
}

static void NAME(transpose)(int rows, int width, int64_t columns, const float *from, int64_t from_step, float *to,
                            int64_t to_step) {
    if (rows == VLEN && width == VLEN && columns >= VLEN)
        NAME(transpose_squares)(1, VLEN, VLEN, columns, from, from_step, to, to_step);
    else
        NAME(transpose_squares)(0, rows, width, columns, from, from_step, to, to_step);
}

static void NAME(untranspose)(int rows, int64_t columns, const float *from, int64_t from_step, float *to,
                              int64_t to_step) {
    for (int64_t at = 0; at < columns; at += VLEN) {
        const int64_t j = NAME(square_at)(at, columns);
        const int floats = vlanes(j, columns);
        vfloat square[VLEN];
        for (int i = 0; i < VLEN; i++) square[i] = i < floats ? vload(from + (j + i) * from_step) : (vfloat){0};
        vtranspose(square);
        for (int i = 0; i < rows; i++) vstore_lanes(to + i * to_step + j, square[i], floats);
    }
}

static void NAME(dot_rows)(int rows, int64_t K, const float *w, int64_t w_step, const float *x, float *y) {
    vfloat sum[VLEN] = {(vfloat){0}};
    if (rows == VLEN) {
        int64_t k = 0;
        for (; k + VLEN <= K; k += VLEN) {
            const vfloat part = vload(x + k);
            for (int i = 0; i < VLEN; i++) sum[i] += part * vload(w + i * w_step + k);
        }
        if (k < K) {
            const int rest = (int)(K - k);
            const vfloat part = vload_first(x + k, rest);
            for (int i = 0; i < VLEN; i++) sum[i] += part * vload_first(w + i * w_step + k, rest);
        }
    } else {
        for (int i = 0; i < rows; i++)
            for (int64_t k = 0; k < K; k += VLEN)
                sum[i] += vload_lanes(x + k, vlanes(k, K)) * vload_lanes(w + i * w_step + k, vlanes(k, K));
    }
    vstore_lanes(y, vsum_square(sum), rows);
}

static void NAME(sum_lanes)(int64_t n, const float *vectors, float *sums) {
    vfloat square[VLEN];
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN, vectors += VLEN * VLEN) {
#pragma GCC unroll 16
        for (int j = 0; j < VLEN; j++) square[j] = vload(vectors + j * VLEN);
        vstore(sums + i, vload(sums + i) + vsum_square(square));
    }
    if (i == n) return;
    const int rest = (int)(n - i);
    for (int j = 0; j < VLEN; j++) square[j] = j < rest ? vload(vectors + j * VLEN) : (vfloat){0};
    vstore_first(sums + i, vload_first(sums + i, rest) + vsum_square(square), rest);
}
