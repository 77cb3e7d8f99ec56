/* lanes.h - what arithmetic on vectors leaves out: the ends of arrays, a look across the lanes, bits.
 *
 * No intrinsics here either: compilers turn these short loops over lanes into single instructions.
 */
#ifndef FASTCONV_LANES_H
#define FASTCONV_LANES_H

#include <math.h>

#include "vector.h"

#if VLEN > 1
typedef uint32_t vuint __attribute__((vector_size(4 * VLEN)));
#define LANE(v, i) (v)[i]
#else
typedef uint32_t vuint;
#define LANE(v, i) (v)
#endif

/* ---- the ends of arrays: n lanes, all of them or the first few ---------------------------------- */

/* How many lanes a vector beginning at element i of n has. */
INLINE int vlanes(int64_t i, int64_t n) { return (int)(n - i < VLEN ? n - i : VLEN); }

/* Where n is the constant VLEN these are a single load or store; memcpy is for an array's last lanes. */
INLINE vfloat vload_lanes(const float *p, int n) { return n == VLEN ? vload(p) : vload_first(p, n); }
INLINE void vstore_lanes(float *p, vfloat v, int n) {
    if (n == VLEN)
        vstore(p, v);
    else
        vstore_first(p, v, n);
}

/* Whole numbers, kept in memory in 16 or in 32 bits. */
#if VLEN > 1
typedef uint16_t vuint16_anywhere __attribute__((vector_size(2 * VLEN), aligned(2), may_alias));
typedef int32_t vint_anywhere __attribute__((vector_size(4 * VLEN), aligned(4), may_alias));

INLINE vint vload_uint16(const uint16_t *p, int n) {
    vuint16_anywhere v = (vuint16_anywhere){0};
    if (n == VLEN)
        v = *(const vuint16_anywhere *)p;
    else
        memcpy(&v, p, sizeof(uint16_t) * (size_t)n);
    return __builtin_convertvector(v, vint);
}
INLINE void vstore_uint16(uint16_t *p, vint i, int n) {
    const vuint16_anywhere v = __builtin_convertvector(i, vuint16_anywhere);
    if (n == VLEN)
        *(vuint16_anywhere *)p = v;
    else
        memcpy(p, &v, sizeof(uint16_t) * (size_t)n);
}
INLINE vint vload_int32(const int32_t *p, int n) {
    vint i = (vint){0};
    if (n == VLEN) return *(const vint_anywhere *)p;
    memcpy(&i, p, sizeof(int32_t) * (size_t)n);
    return i;
}
INLINE void vstore_int32(int32_t *p, vint i, int n) {
    if (n == VLEN)
        *(vint_anywhere *)p = i;
    else
        memcpy(p, &i, sizeof(int32_t) * (size_t)n);
}
#else
INLINE vint vload_uint16(const uint16_t *p, int n) { return n ? *p : 0; }
INLINE vint vload_int32(const int32_t *p, int n) { return n ? *p : 0; }
INLINE void vstore_uint16(uint16_t *p, vint i, int n) {
    if (n) *p = (uint16_t)i;
}
INLINE void vstore_int32(int32_t *p, vint i, int n) {
    if (n) *p = i;
}
#endif

/* ---- lane by lane, and all lanes together ------------------------------------------------------- */

INLINE vint vlane_index(void) {
    vint index = (vint){0};
    for (int i = 0; i < VLEN; i++) LANE(index, i) = i;
    return index;
}
/* Lanes below `least` or above `most` become these; a NaN stays one. */
INLINE vfloat vwithin(vfloat v, float least, float most) {
    v = vselect(v < least, vbroadcast(least), v);
    return vselect(v > most, vbroadcast(most), v);
}
INLINE vfloat vsqrt(vfloat v) {
    for (int i = 0; i < VLEN; i++) LANE(v, i) = sqrtf(LANE(v, i));
    return v;
}
/* The upper half of the lanes is folded onto the lower half until one lane is left. */
INLINE float vsum_lanes(vfloat v) {
    float lane[VLEN];
    memcpy(lane, &v, sizeof v);
    for (int half = VLEN / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}
INLINE float vmax_lanes(vfloat v) {
    float lane[VLEN];
    memcpy(lane, &v, sizeof v);
    for (int half = VLEN / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
    return lane[0];
}

/* Two vectors shuffled by constants. These are written out: what GCC only finds to be constant after unrolling a loop
 * it has already made into numbers put together lane by lane, and general shuffles. Measured, AVX2: transposing takes
 * 0.3 of the time, and adding up squares, below, 0.2. */
#if VLEN == 4
#define EVERY_LANE(F, half) F(0, half), F(1, half), F(2, half), F(3, half)
#define EVERY_HALF(ROUND) ROUND(2) ROUND(1)
#define EVERY_HALF_BY_FOURS(ROUND) ROUND(2) ROUND(1)
#elif VLEN == 8
#define EVERY_LANE(F, half) \
    F(0, half), F(1, half), F(2, half), F(3, half), F(4, half), F(5, half), F(6, half), F(7, half)
#define EVERY_HALF(ROUND) ROUND(4) ROUND(2) ROUND(1)
#define EVERY_HALF_BY_FOURS(ROUND) ROUND(2) ROUND(1) ROUND(4)
#elif VLEN == 16
#define EVERY_LANE(F, half)                                                                            \
    F(0, half), F(1, half), F(2, half), F(3, half), F(4, half), F(5, half), F(6, half), F(7, half),    \
        F(8, half), F(9, half), F(10, half), F(11, half), F(12, half), F(13, half), F(14, half), F(15, half)
#define EVERY_HALF(ROUND) ROUND(8) ROUND(4) ROUND(2) ROUND(1)
#define EVERY_HALF_BY_FOURS(ROUND) ROUND(2) ROUND(1) ROUND(4) ROUND(8)
#else
#define EVERY_HALF(ROUND)
#define EVERY_HALF_BY_FOURS(ROUND)
#endif
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vint){__VA_ARGS__})
#endif
/* Of two rows that are `half` apart in a square, what goes to the first and what to the second: the right upper and
 * left lower quarters of all squares of 2 half x 2 half change places. */
#define TO_FIRST(lane, half) ((lane) & (half) ? VLEN + (lane) - (half) : (lane))
#define TO_SECOND(lane, half) ((lane) & (half) ? VLEN + (lane) : (lane) + (half))

/* A square of VLEN x VLEN floats turned over its diagonal, in log2(VLEN) rounds. */
INLINE void vtranspose(vfloat *rows) {
#define ROUND(half)                                                                 \
    _Pragma("GCC unroll 16") for (int i = 0; i < VLEN; i++) {                       \
        if (i & half) continue;                                                     \
        const vfloat a = rows[i], b = rows[i + half];                               \
        rows[i] = SHUFFLE(a, b, EVERY_LANE(TO_FIRST, half));                        \
        rows[i + half] = SHUFFLE(a, b, EVERY_LANE(TO_SECOND, half));                \
    }
    EVERY_HALF(ROUND)
#undef ROUND
    (void)rows;
}

/* Lane i of the result is the sum of the lanes of rows[i]; rows is used up. Each round turns the square as above and adds
 * up what will meet, so half as many rows are left. Fours of neighbours are added up first, then pairs of fours, and so
 * on: where lanes are images, they are the lowest levels of the tree that sums a batch (tree.h). */
INLINE vfloat vsum_square(vfloat *rows) {
#define ROUND(half)                                                                                       \
    _Pragma("GCC unroll 16") for (int i = 0; i < VLEN; i++) {                                             \
        if (i & ((half) | ((half) == 1 ? 2 : (half) == 2 ? 0 : (half) - 1))) continue;                    \
        const vfloat a = rows[i], b = rows[i + half];                                                     \
        rows[i] = SHUFFLE(a, b, EVERY_LANE(TO_FIRST, half)) + SHUFFLE(a, b, EVERY_LANE(TO_SECOND, half)); \
    }
    EVERY_HALF_BY_FOURS(ROUND)
#undef ROUND
    return rows[0];
}

/* A vector of doubles, half as many as floats, for sums that must lose nothing. */
#if VLEN > 1
#define DOUBLES (VLEN / 2)
typedef double vdouble __attribute__((vector_size(8 * DOUBLES)));
typedef float vhalf_anywhere __attribute__((vector_size(4 * DOUBLES), aligned(4), may_alias));
INLINE vdouble vload_doubles(const float *p) { return __builtin_convertvector(*(const vhalf_anywhere *)p, vdouble); }
#else
#define DOUBLES 1
typedef double vdouble;
INLINE vdouble vload_doubles(const float *p) { return *p; }
#endif

/* ---- the bits of a float: sign 1, exponent 8, fraction 23 --------------------------------------- */

INLINE vint vbits(vfloat v) {
    vint bits;
    memcpy(&bits, &v, sizeof v);
    return bits;
}
INLINE vfloat vfloat_of_bits(vint bits) {
    vfloat v;
    memcpy(&v, &bits, sizeof bits);
    return v;
}
INLINE vfloat vabs(vfloat v) { return vfloat_of_bits(vbits(v) & 0x7fffffff); }
INLINE vfloat vcopysign(vfloat magnitude, vfloat sign) {
    return vfloat_of_bits((vbits(magnitude) & 0x7fffffff) | (vbits(sign) & ~0x7fffffff));
}
/* 2^k for -126 <= k <= 127: a float whose exponent is k and whose fraction is zero. */
INLINE vfloat vpower_of_two(vint k) { return vfloat_of_bits((vint)(((vuint)k + 127u) << 23)); }

INLINE vint vbroadcast_int(int32_t i) { return (vint){0} + i; }
INLINE vint vselect_int(vint mask, vint a, vint b) {
#if VLEN > 1
    return (a & mask) | (b & ~mask);
#else
    return mask ? a : b;
#endif
}

#endif
