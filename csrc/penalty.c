/* penalty.c - what large weights cost.
 *
 *     penalty = l1 sum |x[i]| + l2 sum x[i]^2         grad[i] += scale (l1 sign x[i] + 2 l2 x[i]),   sign 0 = 0
 *
 * Both in one pass. Sums are kept in floats for CHUNK numbers and in double precision beyond: a float added to
 * thousands of others loses its last digits. The array is cut into at most PARTS parts, by its size alone, and the
 * parts' sums are added in order.
 */
#include <stddef.h>

#include "kernels.h"
#include "memory.h"
#include "threads.h"

enum { CHUNK = 1 << 10, PARTS = 64, COST = 4 /* operations for a number */ };

double fc_l1_l2_penalty(int64_t n, const float *x, double l1, double l2, float *grad, double scale) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_penalty penalty = {(float)l1, (float)l2, (float)scale};
    const int64_t part = fc_round_up(fc_max(1, (n + PARTS - 1) / PARTS), CHUNK);
    double sums[PARTS][2] = {{0}};
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t p = 0; p < PARTS; p++) {
        const int64_t end = fc_min(n, (p + 1) * part);
        for (int64_t i = p * part; i < end; i += CHUNK)
            kernels->penalize(&penalty, fc_min(CHUNK, end - i), x + i, grad ? grad + i : NULL, sums[p]);
    }
    double magnitudes = 0, squares = 0;
    for (int p = 0; p < PARTS; p++) magnitudes += sums[p][0], squares += sums[p][1];
    return (l1 != 0 ? l1 * magnitudes : 0) + (l2 != 0 ? l2 * squares : 0);
}
