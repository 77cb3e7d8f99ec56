/* dropout.c - each number is switched off with some probability.
 *
 *     y[n, i] = scale x[n, i] + shift   where word[n, i] >= threshold,   else fill
 *     dx[n, i] = scale dy[n, i]         where word[n, i] >= threshold,   else 0      (the same with dy for x)
 *
 * word[n, i] is a random whole number of 32 bits, a function of seed, call, the image's number and the place i in the
 * image (threefry.h): whatever batch the image stands in. The threshold is the share to be dropped, times 2^32.
 *
 *     dropout          scale = 1 / (1 - rate)    shift = fill = 0               Srivastava et al. 2014
 *     alpha dropout    scale = a                 shift = b, fill = a alpha' + b Klambauer et al. 2017
 *     spatial dropout  one word for all pixels of a channel: i is the channel   Tompson et al. 2015
 *
 * A piece of work is up to WORDS places of an image.
 */
#include "dropout.h"

#include "matmul.h"
#include "memory.h"
#include "threads.h"
#include "threefry.h"

enum { WORDS = 1 << 10, COST = 20 }; /* a multiple of FC_RANDOM_BLOCK; operations for one number */

int64_t fc_dropout_pieces(const fc_dropout *d) { return d->images * fc_pieces(d->places, WORDS); }

void fc_dropout_run(const fc_kernels *kernels, const fc_dropout *d, int64_t first, int64_t end, const float *x,
                    float *y) {
    const fc_dropout_rule rule = {d->threshold, d->scale, d->shift, d->fill};
    const fc_random_key key = fc_key_of(d->stream);
    const int64_t pieces = fc_pieces(d->places, WORDS);
    uint32_t words[WORDS];
    for (int64_t t = first; t < end; t++) {
        const int64_t n = t / pieces, i = t % pieces * WORDS, count = fc_min(WORDS, d->places - i);
        kernels->random_words(key, (uint32_t)(d->first_image + n), i, count, words);
        int64_t at = n * d->pixels * d->places + i;
        for (int64_t p = 0; p < d->pixels; p++, at += d->places) kernels->drop(&rule, count, words, x + at, y + at);
    }
}

void fc_dropout_forward(const fc_dropout *d, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t pieces = fc_dropout_pieces(d);
    const int threads = fc_threads_for((double)d->images * (double)d->pixels * (double)d->places * COST);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int t = 0; t < threads; t++)
        fc_dropout_run(kernels, d, fc_part(pieces, threads, t), fc_part(pieces, threads, t + 1), x, y);
}
