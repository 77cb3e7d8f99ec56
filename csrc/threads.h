/* threads.h - how work is split among threads.
 *
 * Results must not depend on the number of threads. So work is cut into pieces by its size alone, each
 * piece is computed by one thread in one order, and sums over pieces are taken in the pieces' order.
 */
#ifndef FASTCONV_THREADS_H
#define FASTCONV_THREADS_H

/* Threads for a job of so many floating-point operations: one where waking others would cost more. */
int fc_threads_for(double operations);

/* In a parallel region: which of its threads this is, from 0. */
int fc_thread_index(void);

/* And how many they are: not always as many as were asked for. */
int fc_team_size(void);

/* A clock, for measuring. */
double fc_seconds_now(void);

#endif
