/* arrays.h - what the tests in C share: arrays with guards, random numbers, comparison, counting.
 *
 * Every array lies between two guards, which must be whole when it is let go, and begins as NaN, so that an
 * element that a kernel forgets to write is found.
 */
#ifndef ARRAYS_H
#define ARRAYS_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 32, MOST_ARRAYS = 64 };
static const uint32_t GUARD_BITS = 0x7fa1b2c3; /* a NaN that no arithmetic makes */

static struct {
    float *memory;
    int64_t count;
} arrays[MOST_ARRAYS];
static int array_count = 0;
static int passed = 0, failed = 0;

static void report(int good, const char *what, const char *detail) {
    if (good) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s: %s\n", what, detail);
}

/* An array of NaN that lives until arrays_check. */
static float *fresh(int64_t count) {
    float *memory = malloc(sizeof(float) * (size_t)(count + 2 * GUARD));
    if (!memory || array_count == MOST_ARRAYS) {
        puts("no memory for the tests themselves");
        exit(2);
    }
    for (int64_t i = 0; i < count + 2 * GUARD; i++) memcpy(memory + i, &GUARD_BITS, sizeof GUARD_BITS);
    for (int64_t i = 0; i < count; i++) memory[GUARD + i] = NAN;
    arrays[array_count].memory = memory;
    arrays[array_count++].count = count;
    return memory + GUARD;
}

/* Let all arrays go; their guards must be whole. */
static inline void arrays_check(const char *what) {
    int whole = 1;
    for (; array_count > 0; array_count--) {
        const int64_t count = arrays[array_count - 1].count;
        float *memory = arrays[array_count - 1].memory;
        for (int64_t i = 0; i < GUARD; i++)
            whole &= !memcmp(memory + i, &GUARD_BITS, sizeof GUARD_BITS) &
                     !memcmp(memory + GUARD + count + i, &GUARD_BITS, sizeof GUARD_BITS);
        free(memory);
    }
    report(whole, what, "wrote outside its array");
}

/* Uniform in [-1, 1): xorshift (Marsaglia 2003), the same numbers on every machine. */
static uint32_t random_state = 2463534242u;
static float random_float(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (float)(random_state >> 8) / 8388608.0f - 1.0f;
}

static inline float *random_array(int64_t count) {
    float *array = fresh(count);
    for (int64_t i = 0; i < count; i++) array[i] = random_float();
    return array;
}

static inline float *copy_of(const float *array, int64_t count) {
    float *copy = fresh(count);
    memcpy(copy, array, sizeof(float) * (size_t)count);
    return copy;
}

static inline double *zeros(int64_t count) {
    double *array = calloc((size_t)(count + 1), sizeof(double));
    if (!array) exit(2);
    return array;
}

/* Every element within tolerance times the largest one expected (1 at least: sums of numbers of that size). */
static inline void compare(const char *what, const float *found, const double *expected, int64_t count, double tolerance) {
    double largest = 1;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - expected[i]) <= tolerance * largest)) {
            char detail[128];
            snprintf(detail, sizeof detail, "element %lld of %lld is %.9g, not %.9g", (long long)i, (long long)count,
                     (double)found[i], expected[i]);
            report(0, what, detail);
            return;
        }
    report(1, what, "");
}

#endif
