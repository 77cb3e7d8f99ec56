/* elementwise.c - two arrays, number by number, and each of them with axes along which it is repeated.
 *
 *     add  a + b      subtract  a - b      multiply  a b      divide  a / b      average  (a + b) / 2
 *     maximum, minimum: the larger or smaller; NaN where one of them is
 *
 *                   da               db
 *     add           dy               dy
 *     subtract      dy               -dy
 *     multiply      dy b             dy a
 *     divide        dy / b           -dy a / b^2
 *     average       dy / 2           dy / 2
 *     max, min      dy where a = y   dy where b = y, half to each where a = b
 *
 * What is repeated adds up the gradients of all its copies: the squeeze-and-excite network's weights (N, 1, 1, C)
 * times images (N, H, W, C) get the sum over H and W of dy x.
 *
 * All shapes are (outer, rows, width), and an operand's step along an axis is 0 where it is repeated. Axes side by
 * side along which the operands step alike are one; so three suffice for what networks do, and fastconv/ops writes
 * out what takes more.
 *
 * Where rows are short, what is repeated within some of them is written out, so that several rows are done at once.
 *
 * Gradients that are summed are computed a few kilobytes at a time into a buffer in the first-level cache and added up
 * there: each piece of rows, cut by the shapes alone, by itself, and the pieces in double precision in their order.
 */
#include <string.h>

#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum { BUFFER = 1 << 11, PIECE = 1 << 15, SHORT_ROW = 64 };

static double operations(const fc_broadcast *s) { return 4.0 * (double)s->outer * (double)s->rows * (double)s->width; }

static const float *place(const float *p, const int64_t *step, int64_t o, int64_t r) {
    return p + o * step[0] + r * step[1];
}

/* Rows that are done as one. */
static int64_t rows_at_once(const fc_broadcast *s) {
    return s->width < SHORT_ROW ? fc_min(s->rows, fc_pieces(4 * SHORT_ROW, s->width)) : 1;
}

/* `count` rows of an operand side by side: where they lie, or written to `copy`. */
static const float *side_by_side(const float *p, const int64_t *step, int64_t o, int64_t r, int64_t count,
                                 int64_t width, float *copy) {
    const float *row = place(p, step, o, r);
    if (count == 1 || (step[1] && step[2])) return row;
    if (step[2])
        for (int64_t i = 0; i < count; i++) memcpy(copy + i * width, row, sizeof(float) * (size_t)width);
    else
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < width; j++) copy[i * width + j] = row[i * step[1]];
    return copy;
}

/* second < 0: y = a with b. Otherwise the gradient by a (0) or by b (1), not summed, of all rows from `first` to `end`
 * of one outer index. */
static void compute_rows(const fc_kernels *kernels, const fc_broadcast *s, int second, int64_t o, int64_t first,
                         int64_t end, int64_t at_once, const float *dy, const float *a, const float *b, float *copies,
                         float *to) {
    const float *a_rows = NULL, *b_rows = NULL; /* written out for the first, and the most, rows */
    for (int64_t r = first, count; r < end; r += count) {
        count = fc_min(at_once, end - r);
        /* A row that is repeated stays as it is. */
        if (!a_rows || s->a[1]) a_rows = side_by_side(a, s->a, o, r, count, s->width, copies);
        if (!b_rows || s->b[1]) b_rows = side_by_side(b, s->b, o, r, count, s->width, copies + BUFFER);
        const int64_t n = count * s->width, a_step = s->a[2] || count > 1, b_step = s->b[2] || count > 1;
        if (second < 0) {
            kernels->combine(s->kind, n, a_rows, a_step, b_rows, b_step, to);
        } else {
            kernels->combine_gradient(s->kind, second, n, dy, a_rows, a_step, b_rows, b_step, to);
            dy += n;
        }
        to += n;
    }
}

/* Results of the shape of dy and y. */
static fc_status whole(const fc_broadcast *s, int second, const float *dy, const float *a, const float *b, float *to) {
    const fc_kernels *kernels = fc_kernels_active();
    const int threads = fc_threads_for(operations(s));
    const int64_t at_once = rows_at_once(s), step = fc_max(at_once, PIECE / s->width);
    const int64_t blocks = fc_pieces(s->rows, step), cuts = fc_pieces(s->width, PIECE); /* of long rows */
    float *memory = fc_floats(fc_times(threads, 2 * BUFFER));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < s->outer * blocks * cuts; task++) {
        const int64_t o = task / cuts / blocks, first = task / cuts % blocks * step, column = task % cuts * PIECE;
        const int64_t at = (o * s->rows + first) * s->width + column;
        fc_broadcast part = *s;
        part.width = fc_min(PIECE, s->width - column);
        const int64_t end = fc_min(first + step, s->rows);
        compute_rows(kernels, &part, second, o, first, end, at_once, dy ? dy + at : NULL, a + column * s->a[2],
                     b + column * s->b[2], memory + fc_thread_index() * 2 * BUFFER, to + at);
        if (second < 0 && s->activation != FC_LINEAR)
            kernels->activate(s->activation, s->alpha, (end - first) * part.width, to + at, to + at);
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_elementwise_forward(const fc_broadcast *s, const float *a, const float *b, float *y) {
    return whole(s, -1, NULL, a, b, y);
}

/* Down eight lanes for at most BUFFER numbers, and those in double precision. */
static double sum_of(int64_t n, const float *x) {
    double sum = 0;
    while (n > 0) {
        float part[8] = {0};
        const int64_t m = fc_min(n, BUFFER);
        int64_t j = 0;
        for (; j + 8 <= m; j += 8)
            for (int l = 0; l < 8; l++) part[l] += x[j + l];
        for (; j < m; j++) part[0] += x[j];
        for (int l = 0; l < 8; l++) sum += (double)part[l];
        x += m, n -= m;
    }
    return sum;
}

/* Of rows [first, end) the sums over what is not kept: rows, columns, or both. */
static void sum_piece(const fc_kernels *kernels, const fc_broadcast *s, int second, const int64_t *kept, int64_t o,
                      int64_t first, int64_t end, const float *dy, const float *a, const float *b, float *buffer,
                      float *sums) {
    const int64_t width = s->width, at_once = rows_at_once(s);
    float *copies = buffer + fc_max(width, BUFFER);
    double total = 0;
    dy += (o * s->rows + first) * width;
    if (kept[1] && kept[2]) {
        compute_rows(kernels, s, second, o, first, end, at_once, dy, a, b, copies, sums);
        return;
    }
    if (kept[2]) memset(sums, 0, sizeof(float) * (size_t)width);
    for (int64_t r = first, count; r < end; r += count, dy += count * width) {
        count = fc_min(end - r, fc_max(1, BUFFER / width));
        compute_rows(kernels, s, second, o, r, r + count, fc_min(at_once, count), dy, a, b, copies, buffer);
        if (kept[2])
            kernels->add_rows(count, width, buffer, sums);
        else if (kept[1])
            for (int64_t i = 0; i < count; i++) *sums++ = (float)sum_of(width, buffer + i * width);
        else
            total += sum_of(count * width, buffer);
    }
    if (!kept[1] && !kept[2]) *sums = (float)total;
}

fc_status fc_elementwise_backward(const fc_broadcast *s, int second, const float *dy, const float *a, const float *b,
                                  float *to) {
    const int64_t *step = second ? s->b : s->a;
    const int64_t kept[3] = {step[0] || s->outer == 1, step[1] || s->rows == 1, step[2] || s->width == 1};
    if (kept[0] && kept[1] && kept[2]) return whole(s, second, dy, a, b, to);

    const fc_kernels *kernels = fc_kernels_active();
    const int threads = fc_threads_for(operations(s));
    const int64_t rows = fc_max(1, PIECE / s->width), pieces = fc_pieces(s->rows, rows);
    /* Of each outer index: sums (kept rows or pieces, columns or 1), and the result's after them. */
    const int64_t columns = kept[2] ? s->width : 1, parts = kept[1] ? s->rows : pieces;
    const int64_t result = (kept[1] ? s->rows : 1) * columns;
    const int64_t room = fc_max(s->width, BUFFER) + 2 * BUFFER;
    const int64_t size = fc_volume(s->outer, parts, columns);
    float *memory = fc_floats(fc_plus(size, fc_times(threads, room)));
    double *totals = malloc(sizeof(double) * (size_t)result);
    if (!memory || !totals) {
        fc_free(memory);
        free(totals);
        return FC_OUT_OF_MEMORY;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < s->outer * pieces; task++) {
        const int64_t o = task / pieces, p = task % pieces;
        sum_piece(kernels, s, second, kept, o, p * rows, fc_min((p + 1) * rows, s->rows), dy, a, b,
                  memory + size + fc_thread_index() * room, memory + (o * parts + p * (kept[1] ? rows : 1)) * columns);
    }
    const int64_t together = kept[0] ? 1 : s->outer; /* outer indices of one result */
    for (int64_t o = 0; o < s->outer; o += together) {
        memset(totals, 0, sizeof(double) * (size_t)result);
        const float *part = memory + o * parts * columns, *end = part + together * parts * columns;
        for (; part < end; part += result)
            for (int64_t i = 0; i < result; i++) totals[i] += (double)part[i];
        for (int64_t i = 0; i < result; i++) *to++ = (float)totals[i];
    }
    fc_free(memory);
    free(totals);
    return FC_OK;
}
