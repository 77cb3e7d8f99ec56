/* dropout_kernel.h - random words of places in images, and what they do to the numbers there.
 *
 * Words are written to a buffer that stays in the first-level cache, a block of places at a time. There is no mask in
 * memory until the backward pass, which computes the same words again: some 60 instructions for a vector of numbers
 * cost less than waiting for memory.
 */
#include "lanes.h"
#include "threefry.h"

INLINE void NAME(store_words)(fc_random_key key, vuint place, vuint image, uint32_t *first, uint32_t *second) {
    THREEFRY(place, image, key);
    memcpy(first, &place, sizeof place);
    memcpy(second, &image, sizeof image);
}

static void NAME(random_words)(fc_random_key key, uint32_t image, int64_t first, int64_t n, uint32_t *words) {
    for (int64_t i = 0; i < n; i += FC_RANDOM_BLOCK)
        for (int64_t l = i; l < i + THREEFRY_COUNTERS && l < n; l += VLEN) {
            const vuint place = (vuint)vlane_index() + (uint32_t)((first + i) / 2 + l - i);
            NAME(store_words)(key, place, (vuint){0} + image, words + l, words + l + THREEFRY_COUNTERS);
        }
}

/* The same of VLEN images, from `image` on. */
static void NAME(bundle_random_words)(fc_random_key key, uint32_t image, int64_t first, int64_t n, uint32_t *words) {
    const vuint images = (vuint)vlane_index() + image;
    for (int64_t i = 0; i < n; i += FC_RANDOM_BLOCK)
        for (int64_t l = i; l < i + THREEFRY_COUNTERS && l < n; l++) {
            const vuint place = (vuint){0} + (uint32_t)((first + i) / 2 + l - i);
            NAME(store_words)(key, place, images, words + l * VLEN, words + (l + THREEFRY_COUNTERS) * VLEN);
        }
}

INLINE vfloat NAME(kept_or_filled)(const fc_dropout_rule *rule, const uint32_t *words, vfloat x) {
    vuint word;
    memcpy(&word, words, sizeof word);
    return vselect((vint)(word >= rule->threshold), rule->scale * x + rule->shift, vbroadcast(rule->fill));
}

static void NAME(drop)(const fc_dropout_rule *rule, int64_t n, const uint32_t *words, const float *x, float *y) {
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) vstore(y + i, NAME(kept_or_filled)(rule, words + i, vload(x + i)));
    const int rest = vlanes(i, n);
    if (rest) vstore_lanes(y + i, NAME(kept_or_filled)(rule, words + i, vload_lanes(x + i, rest)), rest);
}
