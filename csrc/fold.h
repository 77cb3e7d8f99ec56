/* fold.h - rows of channels, laid side by side until they fill whole vectors, and cut into pieces.
 *
 * Batch normalisation and PReLU do something to every channel by itself, all along the rows of an array (rows, C).
 * A vector of channels at a time: but of 16 lanes 6 channels leave 10 empty, and with 17 channels every row ends
 * inside a vector. Rows follow each other in memory, so that `fold` of them are one longer row
 *
 *     (rows, C)   seen as   (rows / fold, period = fold C),   and a rest of fewer than `fold` rows
 *
 * and fold = 1, 2, 4, ... makes period a multiple of the vector. Column j of the long rows is of channel j mod C:
 * numbers for each channel are repeated `fold` times, sums over columns are added up `fold` by `fold`.
 *
 * A piece is a run of long rows that a level-2 cache holds (or longer, where rows are so long that they would be
 * few); the rest is one more piece, of a single, shorter row. Pieces depend on the sizes alone, so that sums over
 * pieces, taken in their order, do not depend on the threads.
 */
#ifndef FASTCONV_FOLD_H
#define FASTCONV_FOLD_H

#include <stdint.h>
#include <string.h>

#include "memory.h"

typedef struct {
    int64_t C, fold, period;
    int64_t rows, rest;         /* long rows; floats after the last of them */
    int64_t piece_rows, pieces; /* long rows in a piece; how many, with the rest */
} fc_folded;

typedef struct {
    int64_t start, rows, width; /* its first float; `rows` rows of `width` floats */
} fc_piece;

static inline fc_folded fc_fold(int lanes, int64_t rows, int64_t C) {
    enum { PIECE = 1 << 15, LEAST_ROWS = 128 };
    fc_folded f = {.C = C, .fold = 1};
    while (f.fold * C % lanes) f.fold *= 2;
    f.period = f.fold * C;
    f.rows = rows / f.fold;
    f.rest = rows % f.fold * C;
    f.piece_rows = fc_max(PIECE / f.period, LEAST_ROWS);
    f.pieces = (f.rows + f.piece_rows - 1) / f.piece_rows + (f.rest > 0);
    return f;
}

static inline fc_piece fc_piece_of(const fc_folded *f, int64_t index) {
    const int64_t first = index * f->piece_rows;
    if (first < f->rows) return (fc_piece){first * f->period, fc_min(f->piece_rows, f->rows - first), f->period};
    return (fc_piece){f->rows * f->period, 1, f->rest};
}

/* C numbers, `fold` times one after the other. */
static inline void fc_repeat(const fc_folded *f, float *columns) {
    for (int64_t i = 1; i < f->fold; i++) memcpy(columns + i * f->C, columns, sizeof(float) * (size_t)f->C);
}

#endif
