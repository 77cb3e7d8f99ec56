/* peak.c - the fastest that these cores can multiply and add, measured, not looked up.
 *
 * Every thread runs bursts of register-only multiply-adds until the time is up; the best burst counts,
 * because whatever slows a burst (a neighbour, an interrupt) is not the core's own speed. A thread that is
 * woken late still runs LEAST_BURSTS: the sum is over all threads, whatever else the machine is doing.
 */
#include "kernels.h"
#include "threads.h"

enum { LEAST_BURSTS = 8 }; /* together about a millisecond, less than a scheduler's time slice */

double fc_fma_peak(int threads, double seconds) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rounds = 20000;
    const double flops = 2.0 * 2 * 12 * (double)(rounds * kernels->lanes);
    double total = 0;
    volatile float sink = 0;
    const double end = fc_seconds_now() + seconds;

#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        double best = 0, start = fc_seconds_now();
        for (int burst = 0; burst < LEAST_BURSTS || start < end; burst++) {
            sink = sink + kernels->fma_burst(rounds);
            const double stop = fc_seconds_now();
            if (stop > start && flops / (stop - start) > best) best = flops / (stop - start);
            start = stop;
        }
        total += best;
    }
    return total;
}
