/* memory.h - scratch memory, aligned to a cache line so that whole vectors never straddle two. */
#ifndef FASTCONV_MEMORY_H
#define FASTCONV_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { FC_CACHE_LINE = 64 };

static inline int64_t fc_round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int64_t fc_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fc_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* NULL if there is no memory; give back with fc_free. */
static inline float *fc_floats(int64_t count) {
    size_t bytes = (size_t)fc_round_up(fc_max(count, 1) * (int64_t)sizeof(float), FC_CACHE_LINE);
#if defined(_MSC_VER)
    return _aligned_malloc(bytes, FC_CACHE_LINE);
#else
    return aligned_alloc(FC_CACHE_LINE, bytes);
#endif
}

static inline void fc_free(void *memory) {
#if defined(_MSC_VER)
    _aligned_free(memory);
#else
    free(memory);
#endif
}

#endif
