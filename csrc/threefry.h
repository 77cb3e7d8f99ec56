/* threefry.h - random numbers without a memory: a word is a function of who asks for it.
 *
 *     w0, w1 = threefry2x32(key = (k0, k1), counter = (c0, c1))
 *
 * Twenty rounds of additions, rotations and exclusive ors stir two words of 32 bits; after every fourth the key,
 * stretched by k2 = k0 ^ k1 ^ 0x1bd11bda, is stirred in. Nothing but whole numbers: every instruction set gives the
 * same bits, and any thread can begin anywhere. Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy
 * as 1, 2, 3", section 3.2: Threefry-2x32-20.
 *
 *     key = threefry2x32(seed, (call, 0))        words of an image = threefry2x32(key, (place, image))
 *
 * So the words of an image are the same in any batch that it stands in, in any layout of the batch. Within an image
 * they come in blocks of 32: the first words of 16 counters, then their second words, so that vectors of 4, 8 or 16
 * lanes cut them the same way.
 */
#ifndef FASTCONV_THREEFRY_H
#define FASTCONV_THREEFRY_H

#include "kernels.h"

enum { THREEFRY_COUNTERS = FC_RANDOM_BLOCK / 2 };

#define ROTATE_LEFT(word, bits) ((word) << (bits) | (word) >> (32 - (bits)))
#define STIR(w0, w1, bits) w0 += w1, w1 = ROTATE_LEFT(w1, bits) ^ w0
#define FOUR_ROUNDS(w0, w1, a, b, c, d, key0, key1, count) \
    STIR(w0, w1, a), STIR(w0, w1, b), STIR(w0, w1, c), STIR(w0, w1, d), w0 += (key0), w1 += (key1) + (count)

/* Makes words of the counters in w0 and w1, which are whole numbers or vectors of them. */
#define THREEFRY(w0, w1, key)                                                     \
    do {                                                                          \
        const uint32_t k0 = (key).k0, k1 = (key).k1, k2 = k0 ^ k1 ^ 0x1bd11bdau;  \
        w0 += k0, w1 += k1;                                                       \
        FOUR_ROUNDS(w0, w1, 13, 15, 26, 6, k1, k2, 1);                            \
        FOUR_ROUNDS(w0, w1, 17, 29, 16, 24, k2, k0, 2);                           \
        FOUR_ROUNDS(w0, w1, 13, 15, 26, 6, k0, k1, 3);                            \
        FOUR_ROUNDS(w0, w1, 17, 29, 16, 24, k1, k2, 4);                           \
        FOUR_ROUNDS(w0, w1, 13, 15, 26, 6, k2, k0, 5);                            \
    } while (0)

static inline fc_random_key fc_key_of(fc_random stream) {
    const fc_random_key seed = {(uint32_t)stream.seed, (uint32_t)(stream.seed >> 32)};
    uint32_t w0 = stream.call, w1 = 0;
    THREEFRY(w0, w1, seed);
    return (fc_random_key){w0, w1};
}

#endif
