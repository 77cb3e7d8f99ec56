/* winograd_kernel.h - the transforms of conv2d_winograd.c: P X P^T for the small matrices P there.
 *
 * One function does them all. P is known at compile time, so the loops unroll, products with 0 vanish and
 * products with 1 become additions; what is left of B^T d B for a vector of channels is 264 multiply-adds,
 * which compute 6x6 numbers per channel that each meet C_out weights.
 */

/* The matrices, see conv2d_winograd.c for where they come from. */
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
 * B^T, not 22. Turned round, two columns differ so, and the sum and the difference of what meets them is all
 * that is needed of it. */
#define AT(r, s) (turned ? P[(s) * R + (r)] : P[(r) * S + (s)])
INLINE void NAME(winograd_axis)(const float *P, const int turned, const int R, const int S, const vfloat *in,
                                const int in_step, vfloat *out, const int out_step) {
    if (R == 6) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) { /* row 0, rows 1 and 2, rows 3 and 4, row 5 */
            const int r = i ? 2 * i - 1 : 0, pair = r % 5 != 0;
            vfloat even = (vfloat){0}, odd = (vfloat){0};
            int evens = 0, odds = 0;
#pragma GCC unroll 6
            for (int s = 0; s < S; s++)
                if (pair && AT(r, s) != AT(r + 1, s)) NAME(winograd_term)(&odd, &odds, AT(r, s), in[s * in_step]);
                else NAME(winograd_term)(&even, &evens, AT(r, s), in[s * in_step]);
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
#pragma GCC unroll 4
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

/* out (R x R) = P in (S x S) P^T: down every column, then along every row. */
INLINE void NAME(winograd_sandwich)(const float *P, const int turned, const int R, const int S, const vfloat *in,
                                    vfloat *out) {
    vfloat half[36];
#pragma GCC unroll 6
    for (int s = 0; s < S; s++) NAME(winograd_axis)(P, turned, R, S, in + s, S, half + s, S);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) NAME(winograd_axis)(P, turned, R, S, half + r * S, 1, out + r * R, 1);
}

/* From S x S pixels, each a pointer to C floats, to R x R numbers per channel, each `step` floats apart.
 *
 * What is read comes from 36 places and what is written goes to 36 others: more streams than the CPU's own
 * prefetcher follows, and waiting for them takes longer than the arithmetic. So memory is asked early for both:
 * for the pixels of a tile to come, `ahead`, and for where the next vectors will go. Measured, AVX-512, images
 * in memory and not in a cache: 1.1 to 1.2 times the convolutions per second. */
INLINE void NAME(winograd_from_pixels)(const float *P, const int turned, const int R, const int S,
                                       const float *const *pixel, const float *const *ahead, int64_t C, float *to,
                                       int64_t step) {
    for (int64_t c = 0; c < C; c += VLEN) {
        const int lanes = (int)(C - c < VLEN ? C - c : VLEN);
        vfloat in[36], out[36];
        for (int i = 0; i < S * S; i++)
            in[i] = lanes == VLEN ? vload(pixel[i] + c) : vload_first(pixel[i] + c, lanes);
        for (int i = 0; i < S * S; i++)
            if (i % S >= S - 4) PREFETCH(ahead[i] + c); /* its neighbour brings the first columns of 6 */
        NAME(winograd_sandwich)(P, turned, R, S, in, out);
        for (int i = 0; i < R * R; i++) PREFETCH_FOR_WRITING(to + i * step + c + 2 * VLEN);
        for (int i = 0; i < R * R; i++)
            if (lanes == VLEN) vstore(to + i * step + c, out[i]);
            else vstore_first(to + i * step + c, out[i], lanes);
    }
}

/* V = B^T d B: 6x6 pixels of the input */
static void NAME(winograd_input)(const float *const *pixel, const float *const *ahead, int64_t C, float *to,
                                 int64_t step) {
    NAME(winograd_from_pixels)(winograd_B_T[0], 0, 6, 6, pixel, ahead, C, to, step);
}

/* W = A dy A^T: 4x4 pixels of the output's gradient */
static void NAME(winograd_gradient)(const float *const *pixel, const float *const *ahead, int64_t C, float *to,
                                    int64_t step) {
    NAME(winograd_from_pixels)(winograd_A_T[0], 1, 6, 4, pixel, ahead, C, to, step);
}

/* U = G g G^T: 3x3 taps, each a pointer to C floats */
static void NAME(winograd_weights)(const float *const *tap, const float *const *ahead, int64_t C, float *to,
                                   int64_t step) {
    NAME(winograd_from_pixels)(winograd_G[0], 0, 6, 3, tap, ahead, C, to, step);
}

/* y = A^T M A + bias: 6x6 numbers per channel, `step` floats apart, to 4x4 pixels; those outside are NULL */
static void NAME(winograd_output)(const float *from, int64_t step, const float *bias, int channels,
                                  float *const *pixel, float *const *ahead) {
    for (int c = 0; c < channels; c += VLEN) {
        const int lanes = channels - c < VLEN ? channels - c : VLEN;
        vfloat in[36], out[16];
        for (int i = 0; i < 36; i++) in[i] = vload(from + i * step + c);
        for (int i = 0; i < 16; i++) PREFETCH_FOR_WRITING(ahead[i] + c);
        NAME(winograd_sandwich)(winograd_A_T[0], 0, 4, 6, in, out);
        const vfloat offset = vload(bias + c);
        for (int i = 0; i < 16; i++) {
            if (!pixel[i]) continue;
            if (lanes == VLEN)
                vstore(pixel[i] + c, out[i] + offset);
            else
                vstore_first(pixel[i] + c, out[i] + offset, lanes);
        }
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
