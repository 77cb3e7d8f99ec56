/* peak.c - the fastest that these cores can multiply and add, measured, not looked up.
 *
 * Every thread runs bursts of register-only multiply-adds until the time is up; the best burst counts,
 * because whatever slows a burst (a neighbour, an interrupt) is not the core's own speed.
 */
#include <time.h>

#include "kernels.h"
#include "threads.h"

static double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double fc_fma_peak(int threads, double seconds) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t rounds = 20000;
    const double flops = 2.0 * 2 * 12 * (double)(rounds * kernels->lanes);
    double total = 0;
    volatile float sink = 0;
    const double end = seconds_now() + seconds;

#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        double best = 0;
        for (double start = seconds_now(); start < end;) {
            sink = sink + kernels->fma_burst(rounds);
            const double stop = seconds_now(), rate = flops / (stop - start);
            if (rate > best) best = rate;
            start = stop;
        }
        total += best;
    }
    return total;
}
