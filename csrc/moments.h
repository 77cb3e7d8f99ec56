/* moments.h - mean and sum of squares of many numbers, from those of some and of the rest.
 *
 * Chan, Golub & LeVeque 1983, *Algorithms for computing the sample variance*: of m = m_a + m_b numbers, with
 * delta = mean_b - mean_a,
 *
 *     mean = mean_a + delta m_b / m        sum of squares = S_a + S_b + delta^2 m_a m_b / m
 *
 * where a sum of squares is that of distances from the mean. It loses nothing where the mean is large, as the mean of
 * squares less the square of the mean does. In double precision; a may be no numbers at all, and then is zero.
 */
#ifndef FASTCONV_MOMENTS_H
#define FASTCONV_MOMENTS_H

#include <math.h>

static inline void fc_join_moments(double m_a, double *mean, double *squares, double m_b, double mean_b,
                                   double squares_b) {
    const double share = m_b / (m_a + m_b), delta = mean_b - *mean;
    *mean += delta * share;
    *squares += squares_b + delta * delta * m_a * share;
}

/* The same with b as the sum of its distances from `about`, which is near its mean, and that of their squares. */
static inline void fc_join_distances(double m_a, double *mean, double *squares, double m_b, float about, float sum,
                                     float squared) {
    const double offset = (double)sum / m_b;
    fc_join_moments(m_a, mean, squares, m_b, (double)about + offset, (double)squared - (double)sum * offset);
}

/* Of m numbers; rounding may have gone below 0. */
static inline float fc_variance(double squares, double m) { return squares < 0 ? 0 : (float)(squares / m); }

static inline double fc_inverse_deviation(float variance, double epsilon) {
    return 1 / sqrt((double)variance + epsilon);
}

#endif
