/* dropout.c - each number is switched off with some probability.
 *
 *     y[i] = scale x[i] + shift   where word[i] >= threshold,   else fill
 *     dx[i] = scale dy[i]         where word[i] >= threshold,   else 0      (the same with dy for x)
 *
 * word[i] is a random whole number of 32 bits, a function of seed, call and i (threefry.h). The threshold is the
 * share to be dropped, times 2^32.
 *
 *     dropout          scale = 1 / (1 - rate)    shift = fill = 0               Srivastava et al. 2014
 *     alpha dropout    scale = a                 shift = b, fill = a alpha' + b Klambauer et al. 2017
 */
#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* Numbers in a task, a multiple of FC_RANDOM_BLOCK; and what one costs, in operations. */
enum { BLOCK = 1 << 13, COST = 20 };

void fc_dropout(int64_t n, fc_random stream, uint32_t threshold, float scale, float shift, float fill,
                const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_dropout_rule rule = {stream, threshold, scale, shift, fill};
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->dropout(&rule, i, fc_min(n, i + BLOCK), x, y);
}
