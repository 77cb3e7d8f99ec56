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

/* Element (r, s) of a matrix or, turned, of its transpose. */
#define ELEMENT(P, turned, r, s) ((turned) ? (P)[s][r] : (P)[r][s])

/* out (R x R) = P in (S x S) P^T, for P of R x S. */
#define SANDWICH(P, turned, R, S, in, out)                                                     \
    do {                                                                                       \
        vfloat half[R][S];                                                                     \
        _Pragma("GCC unroll 6") for (int s = 0; s < (S); s++)                                  \
        _Pragma("GCC unroll 6") for (int r = 0; r < (R); r++) {                                \
            vfloat sum = (vfloat){0};                                                          \
            _Pragma("GCC unroll 6") for (int i = 0; i < (S); i++)                              \
                if (ELEMENT(P, turned, r, i) != 0) sum += ELEMENT(P, turned, r, i) * (in)[i][s]; \
            half[r][s] = sum;                                                                  \
        }                                                                                      \
        _Pragma("GCC unroll 6") for (int r = 0; r < (R); r++)                                  \
        _Pragma("GCC unroll 6") for (int q = 0; q < (R); q++) {                                \
            vfloat sum = (vfloat){0};                                                          \
            _Pragma("GCC unroll 6") for (int i = 0; i < (S); i++)                              \
                if (ELEMENT(P, turned, q, i) != 0) sum += ELEMENT(P, turned, q, i) * half[r][i]; \
            (out)[r][q] = sum;                                                                 \
        }                                                                                      \
    } while (0)

/* From S x S pixels, each a pointer to C floats, to R x R numbers per channel, each `step` floats apart. */
#define PIXELS_TO_TRANSFORM(P, turned, R, S)                                                   \
    for (int64_t c = 0; c < C; c += VLEN) {                                                    \
        const int lanes = (int)(C - c < VLEN ? C - c : VLEN);                                  \
        vfloat in[S][S], out[R][R];                                                            \
        for (int i = 0; i < (S) * (S); i++)                                                    \
            in[i / (S)][i % (S)] = lanes == VLEN ? vload(pixel[i] + c) : vload_first(pixel[i] + c, lanes); \
        SANDWICH(P, turned, R, S, in, out);                                                    \
        for (int i = 0; i < (R) * (R); i++)                                                    \
            if (lanes == VLEN) vstore(to + i * step + c, out[i / (R)][i % (R)]);               \
            else vstore_first(to + i * step + c, out[i / (R)][i % (R)], lanes);                \
    }

/* V = B^T d B: 6x6 pixels of the input */
static void NAME(winograd_input)(const float *const *pixel, int64_t C, float *to, int64_t step) {
    PIXELS_TO_TRANSFORM(winograd_B_T, 0, 6, 6)
}

/* W = A dy A^T: 4x4 pixels of the output's gradient */
static void NAME(winograd_gradient)(const float *const *pixel, int64_t C, float *to, int64_t step) {
    PIXELS_TO_TRANSFORM(winograd_A_T, 1, 6, 4)
}

/* U = G g G^T: 3x3 taps, each a pointer to C floats */
static void NAME(winograd_weights)(const float *const *pixel, int64_t C, float *to, int64_t step) {
    PIXELS_TO_TRANSFORM(winograd_G, 0, 6, 3)
}

/* y = A^T M A + bias: 6x6 numbers per channel, `step` floats apart, to 4x4 pixels; pixels outside are NULL */
static void NAME(winograd_output)(const float *from, int64_t step, const float *bias, int channels,
                                  float *const *pixel) {
    for (int c = 0; c < channels; c += VLEN) {
        const int lanes = channels - c < VLEN ? channels - c : VLEN;
        vfloat in[6][6], out[4][4];
        for (int i = 0; i < 36; i++) in[i / 6][i % 6] = vload(from + i * step + c);
        SANDWICH(winograd_A_T, 0, 4, 6, in, out);
        const vfloat offset = vload(bias + c);
        for (int i = 0; i < 16; i++) {
            if (!pixel[i]) continue;
            if (lanes == VLEN)
                vstore(pixel[i] + c, out[i / 4][i % 4] + offset);
            else
                vstore_first(pixel[i] + c, out[i / 4][i % 4] + offset, lanes);
        }
    }
}

/* dg += G^T M G: 6x6 numbers per channel, `step` floats apart, to 3x3 taps */
static void NAME(winograd_weights_gradient)(const float *from, int64_t step, int channels, float *const *tap) {
    for (int c = 0; c < channels; c += VLEN) {
        const int lanes = channels - c < VLEN ? channels - c : VLEN;
        vfloat in[6][6], out[3][3];
        for (int i = 0; i < 36; i++) in[i / 6][i % 6] = vload(from + i * step + c);
        SANDWICH(winograd_G, 1, 3, 6, in, out);
        for (int i = 0; i < 9; i++) {
            float *to = tap[i] + c;
            if (lanes == VLEN)
                vstore(to, vload(to) + out[i / 3][i % 3]);
            else
                vstore_first(to, vload_first(to, lanes) + out[i / 3][i % 3], lanes);
        }
    }
}
#undef PIXELS_TO_TRANSFORM
#undef SANDWICH
#undef ELEMENT
