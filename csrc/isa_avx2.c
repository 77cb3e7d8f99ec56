/* isa_avx2.c - AVX2 and FMA: 8 floats a vector, 16 registers: 6 x 2 sums, 2 vectors of weights, a pixel. */
#if defined(__x86_64__) && defined(__GNUC__)
#define ISA avx2
#define VLEN 8
#define TILE_PIXELS 6
#define BUNDLE_PIXELS 3
#define BUNDLE_CHANNELS 4
#define BUNDLE_WIDE_PIXELS 2
#define BUNDLE_WIDE_CHANNELS 6
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "isa.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
