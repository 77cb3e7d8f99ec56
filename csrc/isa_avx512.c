/* isa_avx512.c - AVX-512: 16 floats a vector, 32 registers: 12 x 2 sums, 2 vectors of weights, a pixel. */
#if defined(__x86_64__) && defined(__GNUC__)
#define ISA avx512
#define VLEN 16
#define TILE_PIXELS 12
#define BUNDLE_PIXELS 4
#define BUNDLE_CHANNELS 6
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#include "isa.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
