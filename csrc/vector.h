/* vector.h - a vector of VLEN floats that reads like arithmetic.
 *
 * GCC's and Clang's vector extensions give +, -, * and comparisons on whole vectors for any width the
 * target has: `acc += x * w` compiles to one fused multiply-add where there is one (-ffp-contract=fast).
 * No intrinsics, so the same kernel serves SSE2, AVX2, AVX-512 and NEON. Where a compiler has no
 * extensions, or an architecture is unknown, VLEN is 1 and a vector is a float.
 *
 * The file that includes this one has defined VLEN.
 */
#ifndef FASTCONV_VECTOR_H
#define FASTCONV_VECTOR_H

#include <stdint.h>
#include <string.h>

#if VLEN > 1
typedef float vfloat __attribute__((vector_size(4 * VLEN)));
typedef int32_t vint __attribute__((vector_size(4 * VLEN)));
/* The same vector at an address that is only a float's multiple: what arrays of any shape give us. */
typedef float vfloat_anywhere __attribute__((vector_size(4 * VLEN), aligned(4), may_alias));
#else
typedef float vfloat;
typedef int32_t vint;
typedef float vfloat_anywhere;
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline, unused))
/* Ask for the cache line at p before it is needed. Any address will do: none is read in the sense of C. */
#define PREFETCH(p) __builtin_prefetch(p)
#define PREFETCH_FOR_WRITING(p) __builtin_prefetch(p, 1)
#else
#define INLINE static inline
#define NOINLINE static
#define PREFETCH(p) ((void)(p))
#define PREFETCH_FOR_WRITING(p) ((void)(p))
#endif

INLINE vfloat vload(const float *p) { return *(const vfloat_anywhere *)p; }
INLINE void vstore(float *p, vfloat v) { *(vfloat_anywhere *)p = v; }
INLINE vfloat vbroadcast(float s) { return s - (vfloat){0}; } /* s - 0 keeps the sign of s = -0 */

/* What a compiler is not to know of a vector or of a pointer. A vector that several products share then stays in a
 * register, where it would rather be read from memory again for each of them: two loads start in a cycle, and as many
 * multiply-adds. And a pointer that walks down rows is one register, where the addresses of all pixels would be
 * computed ahead of a loop, more than there are registers, and fetched back from memory one by one. */
#if defined(__GNUC__) && defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#else
#define IN_REGISTER(v) ((void)(v))
#endif
#if defined(__GNUC__)
#define WALKING(p) __asm__("" : "+r"(p))
#else
#define WALKING(p) ((void)(p))
#endif

/* The first n < VLEN floats; the lanes beyond are zero and are not read from memory. */
#if VLEN > 1
/* n floats in pieces of 8, 4, 2 and 1, each a single instruction: quicker than memcpy of any number. Not
 * inlined, so that their arrays do not draw a tile's sums out of registers into memory. */
INLINE void vcopy_first(float *to, const float *from, int n) {
    int at = 0;
#pragma GCC unroll 4
    for (int piece = VLEN / 2; piece > 0; piece /= 2)
        if (n & piece) {
            memcpy(to + at, from + at, sizeof(float) * (size_t)piece);
            at += piece;
        }
}
NOINLINE vfloat vload_first(const float *p, int n) {
    float lane[VLEN] = {0};
    vfloat v;
    vcopy_first(lane, p, n);
    memcpy(&v, lane, sizeof v);
    return v;
}
NOINLINE void vstore_first(float *p, vfloat v, int n) {
    float lane[VLEN];
    memcpy(lane, &v, sizeof v);
    vcopy_first(p, lane, n);
}
#else
INLINE vfloat vload_first(const float *p, int n) { return n ? *p : 0; }
INLINE void vstore_first(float *p, vfloat v, int n) {
    if (n) *p = v;
}
#endif

/* Where the mask is set (all ones) take a, elsewhere b. A comparison of vectors makes such a mask. */
#if VLEN > 1
INLINE vfloat vselect(vint mask, vfloat a, vfloat b) { return (vfloat)(((vint)a & mask) | ((vint)b & ~mask)); }
#else
INLINE vfloat vselect(vint mask, vfloat a, vfloat b) { return mask ? a : b; }
#endif

#endif
