/* dropout_kernel.h - a block of 32 numbers, each with its own random word: kept, scaled and shifted, or filled.
 *
 * The words stay in registers. There is no mask in memory, neither here nor until the backward pass, which
 * computes the same words again: some 60 instructions for a vector of numbers cost less than waiting for memory.
 */
#include "threefry.h"

INLINE void NAME(dropout_block)(const fc_dropout_rule *rule, uint32_t counter, const float *x, float *y) {
    for (int l = 0; l < THREEFRY_COUNTERS; l += VLEN) {
        vuint word[2];
        NAME(threefry)(rule->stream, counter + (uint32_t)l, &word[0], &word[1]);
        for (int half = 0; half < 2; half++) {
            const int64_t i = l + half * THREEFRY_COUNTERS;
            const vfloat kept = rule->scale * vload(x + i) + rule->shift;
            vstore(y + i, vselect((vint)(word[half] >= rule->threshold), kept, vbroadcast(rule->fill)));
        }
    }
}

static void NAME(dropout)(const fc_dropout_rule *rule, int64_t first, int64_t end, const float *x, float *y) {
    int64_t i = first;
    for (; i + FC_RANDOM_BLOCK <= end; i += FC_RANDOM_BLOCK)
        NAME(dropout_block)(rule, (uint32_t)(i / 2), x + i, y + i);
    if (i < end) { /* the last block is not full */
        float block[FC_RANDOM_BLOCK] = {0};
        memcpy(block, x + i, sizeof(float) * (size_t)(end - i));
        NAME(dropout_block)(rule, (uint32_t)(i / 2), block, block);
        memcpy(y + i, block, sizeof(float) * (size_t)(end - i));
    }
}
