/* rbf_kernel.h - squared distances of rows, a vector of their numbers at a time; the equations are in rbf.c.
 *
 * The differences are squared one by one. |x|^2 - 2 x w + |w|^2 would be a matrix product, and would lose the digits
 * of small distances, which are those that matter.
 */
#include "lanes.h"

/* y[k] of one row x */
static void NAME(squared_distances)(int64_t C, int64_t K, const float *x, const float *w, float *y) {
    for (int64_t k = 0; k < K; k++, w += C) {
        vfloat sum = (vfloat){0};
        for (int64_t c = 0; c < C; c += VLEN) {
            const vfloat difference = vload_lanes(x + c, vlanes(c, C)) - vload_lanes(w + c, vlanes(c, C));
            sum += difference * difference;
        }
        y[k] = vsum_lanes(sum);
    }
}

/* to[c] = sum over r of 2 weight[r*weight_step] (a[c] - rows[r, c]):  dx of one row, or dw of one prototype */
static void NAME(weighted_differences)(int64_t C, int64_t rows, const float *weight, int64_t weight_step,
                                       const float *a, const float *from, float *to) {
    for (int64_t c = 0; c < C; c += VLEN) {
        const int lanes = vlanes(c, C);
        const vfloat here = vload_lanes(a + c, lanes);
        vfloat sum = (vfloat){0};
        for (int64_t r = 0; r < rows; r++)
            sum += (2.0f * weight[r * weight_step]) * (here - vload_lanes(from + r * C + c, lanes));
        vstore_lanes(to + c, sum, lanes);
    }
}
