/* winograd_kernel.h - the transforms of conv2d_winograd.c: P X Q^T for the small matrices P and Q there.
 *
 * The matrices are known at compile time, so the sums along an axis unroll, products with 0 vanish and products with 1
 * become additions: 14 operations take 6 pixels to 6 positions. One pass goes down the columns of a tile, one along
 * its rows; each is a loop around those operations, so that tiles of all sixteen sizes share eight short loops.
 */

/* The matrices, see conv2d_winograd.c for where they come from. Rows are of the points 0, 1, -1, 2, -2, infinity. */
static const float winograd_B_T[6][6] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};
static const float winograd_G[6][3] = {
    {1.f / 4, 0, 0},           {-1.f / 6, -1.f / 6, -1.f / 6},  {-1.f / 6, 1.f / 6, -1.f / 6},
    {1.f / 24, 1.f / 12, 1.f / 6}, {1.f / 24, -1.f / 12, 1.f / 6}, {0, 0, 1},
};
static const float winograd_A_T[4][6] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1},
};

/* The same for the tiles at the edge, with 3, 2 or 1 outputs: fewer points, and all zeros where a point is left out. */
static const float winograd_B_T_to_3[6][5] = {
    {0, 0, 0, 0, 0},   {-4, -4, 1, 1, 0}, {-4, 4, 1, -1, 0},
    {-4, -2, 4, 2, 0}, {-4, 2, 4, -2, 0}, {4, 0, -5, 0, 1},
};
static const float winograd_A_T_to_3[3][6] = {{0, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 1}};
static const float winograd_B_T_to_2[6][4] = {
    {4, 0, -4, 0}, {0, -3, -3, 0}, {0, 3, -3, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, -1, 0, 1},
};
static const float winograd_A_T_to_2[2][6] = {{1, 1, 1, 0, 0, 0}, {0, 1, -1, 0, 0, 1}};
static const float winograd_B_T_to_1[6][3] = {
    {0, 0, 0}, {-3, -3, 0}, {-3, 3, 0}, {0, 0, 0}, {0, 0, 0}, {-1, 0, 1},
};
static const float winograd_A_T_to_1[1][6] = {{0, 1, 1, 0, 0, 1}};

/* sum += coefficient x, where the coefficient is known at compile time and most sums have no first term yet. */
INLINE void NAME(winograd_term)(vfloat *sum, int *terms, const float coefficient, vfloat x) {
    if (coefficient == 0) return;
    *sum = *terms ? *sum + coefficient * x : coefficient * x;
    ++*terms;
}

/* out = P in along one axis, for P of R x S or its transpose; in and out are steps apart.
 *
 * The points 1 and -1 (and 2 and -2) make two rows that differ only in the sign of every second number. So their
 * even and their odd part are summed once, and the two rows are even + odd and even - odd: 14 operations for
 * B^T, not 22. Turned round (A^T, G^T, B), two columns differ so, and the sum and the difference of what meets them
 * is all that is needed of it. */
#define AT(r, s) (turned ? P[(s) * R + (r)] : P[(r) * S + (s)])
INLINE void NAME(winograd_axis)(const float *P, const int turned, const int R, const int S, const vfloat *in,
                                const int in_step, vfloat *out, const int out_step) {
    const int rows_in_pairs = R == 6 && !(S == 6 && turned); /* of the two square ones B^T, and not B */
    if (rows_in_pairs) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) { /* row 0, rows 1 and 2, rows 3 and 4, row 5 */
            const int r = i ? 2 * i - 1 : 0, pair = r % 5 != 0;
            vfloat even = (vfloat){0}, odd = (vfloat){0};
            int evens = 0, odds = 0;
#pragma GCC unroll 6
            for (int s = 0; s < S; s++)
                if (pair && AT(r, s) != AT(r + 1, s)) NAME(winograd_term)(&odd, &odds, AT(r, s), in[s * in_step]);
                else NAME(winograd_term)(&even, &evens, AT(r, s), in[s * in_step]);
            if (!evens && !odds) continue; /* a point that is left out */
            out[r * out_step] = pair ? even + odd : even;
            if (pair) out[(r + 1) * out_step] = even - odd;
        }
    } else {
        vfloat sum[2], difference[2];
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            sum[i] = in[(2 * i + 1) * in_step] + in[(2 * i + 2) * in_step];
            difference[i] = in[(2 * i + 1) * in_step] - in[(2 * i + 2) * in_step];
        }
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            vfloat total = (vfloat){0};
            int terms = 0;
            NAME(winograd_term)(&total, &terms, AT(r, 0), in[0]);
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++)
                NAME(winograd_term)(&total, &terms, AT(r, 2 * i + 1),
                                    AT(r, 2 * i + 1) == AT(r, 2 * i + 2) ? sum[i] : difference[i]);
            NAME(winograd_term)(&total, &terms, AT(r, 5), in[5 * in_step]);
            out[r * out_step] = total;
        }
    }
}
#undef AT

/* ---- tiles of any size -------------------------------------------------------------------------- */

/* B^T and A^T of a tile's axis. */
INLINE const float *NAME(winograd_B_T_to)(const int outputs) {
    if (outputs == 4) return winograd_B_T[0];
    return outputs == 3 ? winograd_B_T_to_3[0] : outputs == 2 ? winograd_B_T_to_2[0] : winograd_B_T_to_1[0];
}
INLINE const float *NAME(winograd_A_T_to)(const int outputs) {
    if (outputs == 4) return winograd_A_T[0];
    return outputs == 3 ? winograd_A_T_to_3[0] : outputs == 2 ? winograd_A_T_to_2[0] : winograd_A_T_to_1[0];
}

/* DO(outputs), the number a constant there. */
#define WITH_OUTPUTS(outputs, DO) \
    switch (outputs) {            \
        case 1: DO(1); break;     \
        case 2: DO(2); break;     \
        case 3: DO(3); break;     \
        default: DO(4); break;    \
    }

/* To positions from `pixels` along an axis: of the input, or (B^T for A) of the output's gradient. */
INLINE void NAME(winograd_to_positions)(const int gradient, const int outputs, const vfloat *in, vfloat *out) {
    if (gradient) NAME(winograd_axis)(NAME(winograd_A_T_to)(outputs), 1, 6, outputs, in, 1, out, 1);
    else NAME(winograd_axis)(NAME(winograd_B_T_to)(outputs), 0, 6, outputs + 2, in, 1, out, 1);
}

/* half[i][s]: every column of the tile's pixels, `width` to a row, to positions. */
INLINE void NAME(winograd_down)(const int gradient, const int outputs, int columns, const float *const *pixel,
                                const int width, int64_t c, const int lanes, vfloat (*half)[6]) {
    const int S = gradient ? outputs : outputs + 2;
    for (int s = 0; s < columns; s++) {
        vfloat column[6], positions[6];
#pragma GCC unroll 6
        for (int r = 0; r < S; r++) column[r] = vload_lanes(pixel[r * width + s] + c, lanes);
        NAME(winograd_to_positions)(gradient, outputs, column, positions);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            if (fc_winograd_has(outputs, i)) half[i][s] = positions[i];
    }
}

/* to[i][j]: every row of half, of those that a tile of `rows` outputs has. */
INLINE void NAME(winograd_along)(const int gradient, const int outputs, int rows, vfloat (*half)[6], const int lanes,
                                 float *to, int64_t step) {
    for (int i = 0; i < 6; i++) {
        if (!fc_winograd_has(rows, i)) continue;
        vfloat positions[6];
        NAME(winograd_to_positions)(gradient, outputs, half[i], positions);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++)
            if (fc_winograd_has(outputs, j)) vstore_lanes(to + (i * 6 + j) * step, positions[j], lanes);
    }
}

INLINE void NAME(winograd_vector)(const int gradient, fc_winograd_tile tile, const float *const *pixel,
                                  const float *const *ahead, int64_t c, const int lanes, float *to, int64_t step) {
    const int width = gradient ? 4 : 6, columns = gradient ? tile.columns : tile.columns + 2;
    vfloat half[6][6];
    for (int i = 0; i < width * width; i++)
        if (i % width >= width - 4) PREFETCH(ahead[i] + c); /* its neighbour brings the first columns of 6 */
#define DOWN(outputs) NAME(winograd_down)(gradient, outputs, columns, pixel, width, c, lanes, half)
    WITH_OUTPUTS(tile.rows, DOWN)
#undef DOWN
    for (int i = 0; i < 36; i++) PREFETCH_FOR_WRITING(to + i * step + c + 2 * VLEN);
#define ALONG(outputs) NAME(winograd_along)(gradient, outputs, tile.rows, half, lanes, to + c, step)
    WITH_OUTPUTS(tile.columns, ALONG)
#undef ALONG
}

/* From a tile's pixels, each a pointer to C floats, to its positions' numbers per channel, `step` floats apart.
 *
 * What is read comes from 36 places and what is written goes to 36 others: more streams than the CPU's own
 * prefetcher follows, and waiting for them takes longer than the arithmetic. So memory is asked early for both:
 * for the pixels of a tile to come, `ahead`, and for where the next vectors will go. Measured, AVX-512, images
 * in memory and not in a cache: 1.1 to 1.2 times the convolutions per second. */
INLINE void NAME(winograd_from_pixels)(const int gradient, fc_winograd_tile tile, const float *const *pixel,
                                       const float *const *ahead, int64_t C, float *to, int64_t step) {
    int64_t c = 0;
    for (; c + VLEN <= C; c += VLEN) NAME(winograd_vector)(gradient, tile, pixel, ahead, c, VLEN, to, step);
    if (c < C) NAME(winograd_vector)(gradient, tile, pixel, ahead, c, (int)(C - c), to, step);
}

/* V = B^T d B: the pixels of the input under a tile, 6 to a row */
static void NAME(winograd_input)(fc_winograd_tile tile, const float *const *pixel, const float *const *ahead,
                                 int64_t C, float *to, int64_t step) {
    NAME(winograd_from_pixels)(0, tile, pixel, ahead, C, to, step);
}

/* W = A dy A^T: the pixels of the output's gradient in a tile, 4 to a row */
static void NAME(winograd_gradient)(fc_winograd_tile tile, const float *const *pixel, const float *const *ahead,
                                    int64_t C, float *to, int64_t step) {
    NAME(winograd_from_pixels)(1, tile, pixel, ahead, C, to, step);
}

/* half[a][j]: every column of positions, of those that a tile of `columns` outputs has, to outputs. */
INLINE void NAME(winograd_down_to_outputs)(const int outputs, int columns, const float *from, int64_t step,
                                           vfloat (*half)[6]) {
    for (int j = 0; j < 6; j++) {
        if (!fc_winograd_has(columns, j)) continue;
        vfloat positions[6] = {{0}}, sums[4];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            if (fc_winograd_has(outputs, i)) positions[i] = vload(from + (i * 6 + j) * step);
        NAME(winograd_axis)(NAME(winograd_A_T_to)(outputs), 0, outputs, 6, positions, 1, sums, 1);
#pragma GCC unroll 4
        for (int a = 0; a < outputs; a++) half[a][j] = sums[a];
    }
}

/* pixel[a][b] = every row of half, to outputs, + bias */
INLINE void NAME(winograd_along_to_outputs)(const int outputs, int rows, vfloat (*half)[6], vfloat bias, int64_t c,
                                            const int lanes, float *const *pixel) {
    for (int a = 0; a < rows; a++) {
        vfloat sums[4];
        NAME(winograd_axis)(NAME(winograd_A_T_to)(outputs), 0, outputs, 6, half[a], 1, sums, 1);
#pragma GCC unroll 4
        for (int b = 0; b < outputs; b++) vstore_lanes(pixel[a * 4 + b] + c, sums[b] + bias, lanes);
    }
}

INLINE void NAME(winograd_output_vector)(fc_winograd_tile tile, const float *from, int64_t step, const float *bias,
                                         int64_t c, const int lanes, float *const *pixel, float *const *ahead) {
    vfloat half[4][6];
    for (int i = 0; i < 16; i++) PREFETCH_FOR_WRITING(ahead[i] + c);
#define DOWN(outputs) NAME(winograd_down_to_outputs)(outputs, tile.columns, from + c, step, half)
    WITH_OUTPUTS(tile.rows, DOWN)
#undef DOWN
#define ALONG(outputs) NAME(winograd_along_to_outputs)(outputs, tile.rows, half, vload(bias + c), c, lanes, pixel)
    WITH_OUTPUTS(tile.columns, ALONG)
#undef ALONG
}

/* y = A^T M A + bias: positions' numbers per channel, `step` floats apart, to a tile's pixels, 4 to a row */
static void NAME(winograd_output)(fc_winograd_tile tile, const float *from, int64_t step, const float *bias,
                                  int channels, float *const *pixel, float *const *ahead) {
    int c = 0;
    for (; c + VLEN <= channels; c += VLEN)
        NAME(winograd_output_vector)(tile, from, step, bias, c, VLEN, pixel, ahead);
    if (c < channels) NAME(winograd_output_vector)(tile, from, step, bias, c, channels - c, pixel, ahead);
}
#undef WITH_OUTPUTS

/* ---- weights ------------------------------------------------------------------------------------ */

/* out (R x R) = P in (S x S) P^T: down every column, then along every row. */
INLINE void NAME(winograd_sandwich)(const float *P, const int turned, const int R, const int S, const vfloat *in,
                                    vfloat *out) {
    vfloat half[36];
#pragma GCC unroll 6
    for (int s = 0; s < S; s++) NAME(winograd_axis)(P, turned, R, S, in + s, S, half + s, S);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) NAME(winograd_axis)(P, turned, R, S, half + r * S, 1, out + r * R, 1);
}

/* U = G g G^T: 3x3 taps, each a pointer to C floats */
static void NAME(winograd_weights)(const float *const *tap, const float *const *ahead, int64_t C, float *to,
                                   int64_t step) {
    for (int64_t c = 0; c < C; c += VLEN) {
        const int lanes = (int)(C - c < VLEN ? C - c : VLEN);
        vfloat in[9], out[36];
        for (int i = 0; i < 9; i++) in[i] = lanes == VLEN ? vload(tap[i] + c) : vload_first(tap[i] + c, lanes);
        for (int i = 0; i < 9; i++) PREFETCH(ahead[i] + c);
        NAME(winograd_sandwich)(winograd_G[0], 0, 6, 3, in, out);
        for (int i = 0; i < 36; i++) PREFETCH_FOR_WRITING(to + i * step + c + 2 * VLEN);
        for (int i = 0; i < 36; i++)
            if (lanes == VLEN) vstore(to + i * step + c, out[i]);
            else vstore_first(to + i * step + c, out[i], lanes);
    }
}

/* dg += G^T M G, or = where fresh: 6x6 numbers per channel, `step` floats apart, to 3x3 taps */
static void NAME(winograd_weights_gradient)(const float *from, int64_t step, int channels, float *const *tap,
                                            float *const *ahead, int fresh) {
    for (int c = 0; c < channels; c += VLEN) {
        const int lanes = channels - c < VLEN ? channels - c : VLEN;
        vfloat in[36], out[9];
        for (int i = 0; i < 36; i++) in[i] = vload(from + i * step + c);
        for (int i = 0; i < 9; i++) PREFETCH_FOR_WRITING(ahead[i] + c);
        NAME(winograd_sandwich)(winograd_G[0], 1, 3, 6, in, out);
        for (int i = 0; i < 9; i++) {
            float *to = tap[i] + c;
            if (!fresh) out[i] += lanes == VLEN ? vload(to) : vload_first(to, lanes);
            if (lanes == VLEN) vstore(to, out[i]);
            else vstore_first(to, out[i], lanes);
        }
    }
}
