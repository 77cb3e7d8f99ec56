/* bundle_winograd_kernel.h - the transforms of lesson 4 for bundles: images in the lanes, see bundle_winograd.c.
 *
 * Six points serve kernels of 3x3 and 5x5 alike: B^T depends on the points alone. With 5 taps in place of 3 a tile
 * has 2 x 2 outputs in place of 4 x 4, A^T two rows fewer (infinity now stands in the row of p^1), and G two columns
 * more. `side` is 3 or 5, and a constant wherever arrays are to become registers.
 */
static const float winograd_G_of_5[6][5] = {
    {1.f / 4, 0, 0, 0, 0},
    {-1.f / 6, -1.f / 6, -1.f / 6, -1.f / 6, -1.f / 6},
    {-1.f / 6, 1.f / 6, -1.f / 6, 1.f / 6, -1.f / 6},
    {1.f / 24, 1.f / 12, 1.f / 6, 1.f / 3, 2.f / 3},
    {1.f / 24, -1.f / 12, 1.f / 6, -1.f / 3, 2.f / 3},
    {0, 0, 0, 0, 1},
};
static const float winograd_A_T_of_5[2][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}};

#define G_OF(side) ((side) == 3 ? winograd_G[0] : winograd_G_of_5[0])
#define A_T_OF(side) ((side) == 3 ? winograd_A_T[0] : winograd_A_T_of_5[0])

/* ---- from pixels to positions ------------------------------------------------------------------- */

/* Six numbers, and pixels, that are `step` floats apart. */
INLINE void NAME(store_row)(float *to, int64_t step, const vfloat *row) {
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++, to += step) {
        WALKING(to);
        vstore(to, row[i]);
    }
}
INLINE void NAME(load_row)(const float *from, int64_t step, vfloat *row) {
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++, from += step) {
        WALKING(from);
        row[i] = vload(from);
    }
}

/* Rows r and q of P (S x S pixels) P^T for all channels of a tile: twelve of the 36 positions. Twelve numbers stay in
 * the registers of AVX2, where 36, and as many addresses, would mostly be moved from and to memory.
 *
 * Row after row of pixels is added to the two rows: of a pair of points, which differ in the signs of every second
 * number, to their even or their odd part; of 0 and infinity, which share no number at all, to the one or the other.
 * So nothing is computed twice if pairs are computed one by one. */
INLINE void NAME(bundle_winograd_rows)(const float *P, const int turned, const int S, const int r, const int q,
                                       int64_t channels, const float *from, int64_t from_row, float *to_r, float *to_q,
                                       int64_t step) {
    const int64_t row = from_row * VLEN, column = channels * VLEN;
    for (int64_t c = 0; c < column; c += VLEN) {
        vfloat even[6], odd[6], result[6];
        int evens = 0, odds = 0;
        const float *pixels = from + c;
#pragma GCC unroll 6
        for (int i = 0; i < S; i++, pixels += row) {
            const float at_r = turned ? P[i * 6 + r] : P[r * S + i], at_q = turned ? P[i * 6 + q] : P[q * S + i];
            const int is_odd = r == 0 ? at_r == 0 : at_r != at_q;
            const float coefficient = at_r == 0 ? at_q : at_r;
            WALKING(pixels);
            if (coefficient == 0) continue;
#pragma GCC unroll 6
            for (int s = 0; s < S; s++) {
                int terms = is_odd ? odds : evens;
                NAME(winograd_term)(is_odd ? &odd[s] : &even[s], &terms, coefficient, vload(pixels + s * column));
            }
            if (is_odd) odds++;
            else evens++;
        }
#pragma GCC unroll 6
        for (int s = 0; r > 0 && s < S; s++) {
            const vfloat sum = even[s] + odd[s];
            odd[s] = even[s] - odd[s];
            even[s] = sum;
        }
        NAME(winograd_axis)(P, turned, 6, S, even, 1, result, 1);
        NAME(store_row)(to_r + c, step, result);
        NAME(winograd_axis)(P, turned, 6, S, odd, 1, result, 1);
        NAME(store_row)(to_q + c, step, result);
    }
}

/* The way back of V = B^T d B is dd += B dV B^T: what two rows of positions add to the gradients of 6 x 6 pixels, of
 * which those inside the image are pixels of dx. The numbers of a pair are added and subtracted first, for B's columns
 * differ as B^T's rows do. */
INLINE void NAME(bundle_winograd_scatter)(const int r, const int q, const int inside, const fc_bundle_patch *patch,
                                          const float *from_r, const float *from_q, int64_t step, float *dx) {
    const float *P = winograd_B_T[0];
    const int64_t row = patch->dx_row * VLEN, column = patch->C * VLEN;
    for (int64_t c = 0; c < patch->C; c++) {
        vfloat in[6], of_r[6], of_q[6];
        NAME(load_row)(from_r + c * VLEN, step, in);
        NAME(winograd_axis)(P, 1, 6, 6, in, 1, of_r, 1);
        NAME(load_row)(from_q + c * VLEN, step, in);
        NAME(winograd_axis)(P, 1, 6, 6, in, 1, of_q, 1);
#pragma GCC unroll 6
        for (int j = 0; r > 0 && j < 6; j++) {
            const vfloat sum = of_r[j] + of_q[j];
            of_q[j] = of_r[j] - of_q[j];
            of_r[j] = sum;
        }
        float *pixels = dx + c * VLEN;
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++, pixels += row) {
            const float at_r = P[r * 6 + i], at_q = P[q * 6 + i];
            WALKING(pixels);
            if (at_r == 0 && at_q == 0) continue;
            if (!inside && (i < patch->first_row || i >= patch->end_row)) continue;
            const float coefficient = at_r == 0 ? at_q : at_r;
            const int of_second = r > 0 ? at_r != at_q : at_r == 0;
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) {
                if (!inside && (j < patch->first_column || j >= patch->end_column)) continue;
                float *to = pixels + j * column;
                vstore(to, vload(to) + coefficient * (of_second ? of_q[j] : of_r[j]));
            }
        }
    }
}

static void NAME(bundle_winograd_input_gradient)(int pair, const fc_bundle_patch *patch, const float *from_r,
                                                 const float *from_q, int64_t step, float *dx) {
    const int inside = patch->first_row <= 0 && patch->first_column <= 0 && patch->end_row >= 6 &&
                       patch->end_column >= 6;
#define SCATTER(r, q)                                                                    \
    if (inside) NAME(bundle_winograd_scatter)(r, q, 1, patch, from_r, from_q, step, dx); \
    else NAME(bundle_winograd_scatter)(r, q, 0, patch, from_r, from_q, step, dx);
    switch (pair) {
        case 0: SCATTER(0, 5) break;
        case 1: SCATTER(1, 2) break;
        case 2: SCATTER(3, 4) break;
    }
#undef SCATTER
}

#define PAIRS(P, turned, S, ...)                                                 \
    switch (pair) {                                                              \
        case 0: NAME(bundle_winograd_rows)(P, turned, S, 0, 5, __VA_ARGS__); break; \
        case 1: NAME(bundle_winograd_rows)(P, turned, S, 1, 2, __VA_ARGS__); break; \
        case 2: NAME(bundle_winograd_rows)(P, turned, S, 3, 4, __VA_ARGS__); break; \
    }

/* V = B^T d B of one tile, 6 x 6 pixels of C vectors: two rows of positions, `step` floats from one to the next */
static void NAME(bundle_winograd_input)(int pair, int64_t C, const float *x, int64_t x_row, float *to_r, float *to_q,
                                        int64_t step) {
    PAIRS(winograd_B_T[0], 0, 6, C, x, x_row, to_r, to_q, step)
}

/* W = A dy A^T of one tile, the same */
static void NAME(bundle_winograd_gradient)(int side, int pair, int64_t K, const float *dy, int64_t dy_row, float *to_r,
                                           float *to_q, int64_t step) {
    if (side == 3) PAIRS(A_T_OF(3), 1, 4, K, dy, dy_row, to_r, to_q, step)
    else PAIRS(A_T_OF(5), 1, 2, K, dy, dy_row, to_r, to_q, step)
}
#undef PAIRS

/* ---- from positions to pixels ------------------------------------------------------------------- */

/* y = A^T M A + bias of one tile, its first rows x columns pixels: down every column, then along every row */
INLINE void NAME(bundle_winograd_pixels)(const int side, const fc_bundle_tile *tile, const float *from, int64_t step,
                                         const float *bias, float *y) {
    const int size = 7 - side;
    for (int64_t k = 0; k < tile->K; k++) {
        vfloat half[4][6], line[6], result[4];
#pragma GCC unroll 1
        for (int s = 0; s < 6; s++) {
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++) line[i] = vload(from + (6 * i + s) * step + k * VLEN);
            NAME(winograd_axis)(A_T_OF(side), 0, size, 6, line, 1, result, 1);
#pragma GCC unroll 4
            for (int r = 0; r < size; r++) half[r][s] = result[r];
        }
        const vfloat offset = vbroadcast(bias ? bias[k] : 0);
        for (int r = 0; r < size && r < tile->rows; r++) {
            NAME(winograd_axis)(A_T_OF(side), 0, size, 6, half[r], 1, result, 1);
#pragma GCC unroll 4
            for (int i = 0; i < size; i++)
                if (i < tile->columns) vstore(y + (r * tile->y_row + i * tile->K + k) * VLEN, result[i] + offset);
        }
    }
}

static void NAME(bundle_winograd_output)(int side, const fc_bundle_tile *tile, const float *from, int64_t step,
                                         const float *bias, float *y) {
    if (side == 3) NAME(bundle_winograd_pixels)(3, tile, from, step, bias, y);
    else NAME(bundle_winograd_pixels)(5, tile, from, step, bias, y);
}

/* ---- kernels ------------------------------------------------------------------------------------ */

/* U = G g G^T for channels [0, K) of side x side taps, `tap` floats apart; here channels are in the lanes */
INLINE void NAME(bundle_winograd_weights_of)(const int side, int64_t K, const float *kernel, int64_t tap, float *to,
                                             int64_t step) {
    for (int64_t k = 0; k < K; k += VLEN) {
        const int lanes = vlanes(k, K);
        vfloat in[25], out[36];
        for (int i = 0; i < side * side; i++) in[i] = vload_lanes(kernel + i * tap + k, lanes);
        NAME(winograd_sandwich)(G_OF(side), 0, 6, side, in, out);
        for (int i = 0; i < 36; i++) vstore_lanes(to + i * step + k, out[i], lanes);
    }
}

static void NAME(bundle_winograd_weights)(int side, int64_t K, const float *kernel, int64_t tap, float *to,
                                          int64_t step) {
    if (side == 3) NAME(bundle_winograd_weights_of)(3, K, kernel, tap, to, step);
    else NAME(bundle_winograd_weights_of)(5, K, kernel, tap, to, step);
}

/* dg = G^T M G, the adjoint */
INLINE void NAME(bundle_winograd_weights_gradient_of)(const int side, int64_t K, const float *from, int64_t step,
                                                      float *dkernel, int64_t tap) {
    for (int64_t k = 0; k < K; k += VLEN) {
        const int lanes = vlanes(k, K);
        vfloat in[36], out[25];
        for (int i = 0; i < 36; i++) in[i] = vload_lanes(from + i * step + k, lanes);
        NAME(winograd_sandwich)(G_OF(side), 1, side, 6, in, out);
        for (int i = 0; i < side * side; i++) vstore_lanes(dkernel + i * tap + k, out[i], lanes);
    }
}

static void NAME(bundle_winograd_weights_gradient)(int side, int64_t K, const float *from, int64_t step,
                                                   float *dkernel, int64_t tap) {
    if (side == 3) NAME(bundle_winograd_weights_gradient_of)(3, K, from, step, dkernel, tap);
    else NAME(bundle_winograd_weights_gradient_of)(5, K, from, step, dkernel, tap);
}
#undef G_OF
#undef A_T_OF
