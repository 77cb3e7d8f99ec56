/* memory.h - memory aligned to a cache line, so that whole vectors never straddle two: memory.c. */
#ifndef FASTCONV_MEMORY_H
#define FASTCONV_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "size.h"

enum { FC_CACHE_LINE = 64 };

/* FC_NO_SIZE where that does not fit. */
static inline int64_t fc_round_up(int64_t n, int64_t multiple) {
    const int64_t past = fc_plus(n, multiple - 1);
    return past == FC_NO_SIZE ? FC_NO_SIZE : past / multiple * multiple;
}
static inline int64_t fc_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fc_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* NULL if there is no memory, or for a count that is no size (size.h); give back with fc_free. What is there is not
 * zero. */
float *fc_floats(int64_t count);
void fc_free(void *memory);

/* The lock of all short lists of the process: held for less than a microsecond, and by nobody while the process forks.
 * Whoever holds it asks for no memory. */
void fc_lock(void);
void fc_unlock(void);

/* The same for whole numbers; give back with free. */
static inline int64_t *fc_indices(int64_t count) {
    if (count < 0 || count > PTRDIFF_MAX / (int64_t)sizeof(int64_t)) return NULL;
    return malloc(sizeof(int64_t) * (size_t)fc_max(count, 1));
}

#endif
