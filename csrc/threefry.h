/* threefry.h - random numbers without a memory: word i of a stream is a function of i.
 *
 *     w0, w1 = threefry2x32(key = (k0, k1), counter = (c0, c1))
 *
 * Twenty rounds of additions, rotations and exclusive ors stir two words of 32 bits; after every fourth the key,
 * stretched by k2 = k0 ^ k1 ^ 0x1bd11bda, is stirred in. Nothing but whole numbers: every instruction set gives the
 * same bits, and any thread can begin anywhere. Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy
 * as 1, 2, 3", section 3.2: Threefry-2x32-20.
 *
 * Here the key is the seed, c1 the number of the call and c0 counts within it. Numbers come in blocks of 32: the
 * first words of 16 counters, then their second words, so that vectors of 4, 8 or 16 lanes cut them the same way.
 */
#include "lanes.h"

enum { THREEFRY_COUNTERS = FC_RANDOM_BLOCK / 2 };

#define ROTATE_LEFT(word, bits) ((word) << (bits) | (word) >> (32 - (bits)))
#define STIR(bits) w0 += w1, w1 = ROTATE_LEFT(w1, bits) ^ w0
#define FOUR_ROUNDS(a, b, c, d, key0, key1, count) \
    STIR(a), STIR(b), STIR(c), STIR(d), w0 += (key0), w1 += (key1) + (count)

/* The words of VLEN counters from `counter` on. */
INLINE void NAME(threefry)(fc_random stream, uint32_t counter, vuint *first, vuint *second) {
    const uint32_t k0 = (uint32_t)stream.seed, k1 = (uint32_t)(stream.seed >> 32), k2 = k0 ^ k1 ^ 0x1bd11bdau;
    vuint w0 = (vuint)vlane_index() + (counter + k0);
    vuint w1 = (vuint){0} + (stream.call + k1);
    FOUR_ROUNDS(13, 15, 26, 6, k1, k2, 1);
    FOUR_ROUNDS(17, 29, 16, 24, k2, k0, 2);
    FOUR_ROUNDS(13, 15, 26, 6, k0, k1, 3);
    FOUR_ROUNDS(17, 29, 16, 24, k1, k2, 4);
    FOUR_ROUNDS(13, 15, 26, 6, k2, k0, 5);
    *first = w0, *second = w1;
}

#undef FOUR_ROUNDS
#undef STIR
#undef ROTATE_LEFT
