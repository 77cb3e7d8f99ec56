/* size.h - sizes, and products of sizes, that cannot wrap round.
 *
 * A product that does not fit into 64 bits wraps, to a small number say: then too little memory is asked for and far
 * too much is written. So before a driver asks for memory, or computes a place in it, it uses
 *
 *     fc_fits(a, b, ...)   which is false where a b ... is more than FC_LARGEST. The driver then returns
 *                          FC_TOO_LARGE; otherwise products of any of these factors need no check of their own
 *     fc_times, fc_plus    for sizes that grow with other things as well, such as the number of threads. What does not
 *                          fit is FC_NO_SIZE, and so is all that is made of it
 *     fc_floats,           of memory.h, which give NULL for FC_NO_SIZE as they do where there is no memory
 *     fc_indices
 *
 * Sizes are not negative: one that is has wrapped before, and counts as FC_NO_SIZE.
 */
#ifndef FASTCONV_SIZE_H
#define FASTCONV_SIZE_H

#include <stdint.h>

#define FC_NO_SIZE INT64_MAX
/* More floats than any machine has; 16 times as many still have addresses of 64 bits. */
#define FC_LARGEST (INT64_C(1) << 56)

/* Whether a * b fits into *product, for a and b of at least 0. */
static inline int fc_multiply(int64_t a, int64_t b, int64_t *product) {
#if defined(__GNUC__)
    return !__builtin_mul_overflow(a, b, product);
#else
    if (b != 0 && a > INT64_MAX / b) return 0;
    *product = a * b;
    return 1;
#endif
}

static inline int64_t fc_times(int64_t a, int64_t b) {
    int64_t product;
    return a >= 0 && b >= 0 && fc_multiply(a, b, &product) ? product : FC_NO_SIZE;
}

static inline int64_t fc_plus(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 && a <= INT64_MAX - b ? a + b : FC_NO_SIZE;
}

static inline int64_t fc_volume_of(const int64_t *sizes, int count) {
    int64_t volume = 1;
    for (int i = 0; i < count; i++) volume = fc_times(volume, sizes[i]);
    return volume;
}

/* a * b * ..., of any number of sizes */
#define fc_volume(...) \
    fc_volume_of((const int64_t[]){__VA_ARGS__}, (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

#define fc_fits(...) (fc_volume(__VA_ARGS__) <= FC_LARGEST)

#endif
