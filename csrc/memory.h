/* memory.h - memory aligned to a cache line, so that whole vectors never straddle two: memory.c. */
#ifndef FASTCONV_MEMORY_H
#define FASTCONV_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { FC_CACHE_LINE = 64 };

static inline int64_t fc_round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int64_t fc_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fc_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* NULL if there is no memory; give back with fc_free. What is there is not zero. */
float *fc_floats(int64_t count);
void fc_free(void *memory);

#endif
