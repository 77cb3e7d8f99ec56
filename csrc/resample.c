/* resample.c - images with more or fewer rows and columns, each blended from two neighbours.
 *
 *     y[n, h, w, c] = u_h (u_w x[i, j] + v_w x[i, j+1]) + v_h (u_w x[i+1, j] + v_w x[i+1, j+1])
 *
 * i = first[h] and the weights u_h, v_h depend on the row alone, j = first[w], u_w and v_w on the column: nearest
 * neighbours have u = 1 and v = 0, and bilinear interpolation takes two by their distance. So a row of y is two rows of
 * x blended, which are whole vectors, and then its pixels, from pixels of that: a few kilobytes in the first-level
 * cache. (affine.c takes any map, and looks up every pixel for it.)
 *
 * Backward the pixels of dy are added up in rows of dx first, and then those rows; tasks are blocks of rows of dx,
 * which take from all rows of dy that touch them, in order. Rows at the edges of blocks are computed twice.
 */
#include <string.h>

#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum { BLOCK = 8 }; /* rows in a task */

static double operations(const fc_resample *r) {
    return 3.0 * (double)r->N * (double)(r->rows.outputs + r->rows.source) *
           (double)(r->columns.outputs + r->columns.source) * (double)r->C;
}

fc_status fc_resample_forward(const fc_resample *resample, const float *x, float *y) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_resample_axis *rows = &resample->rows, *columns = &resample->columns;
    const int64_t C = resample->C, x_row = columns->source * C, y_row = columns->outputs * C;
    const int64_t blocks = fc_pieces(rows->outputs, BLOCK);
    const int threads = fc_threads_for(operations(resample));
    float *memory = fc_floats(fc_times(threads, x_row));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < resample->N * blocks; task++) {
        const int64_t n = task / blocks, first = task % blocks * BLOCK;
        const int64_t end = fc_min(first + BLOCK, rows->outputs);
        for (int64_t h = first; h < end; h++) {
            const float *a = x + (n * rows->source + rows->first[h]) * x_row;
            float *to = y + (n * rows->outputs + h) * y_row, *row = memory + fc_thread_index() * x_row;
            if (h > first && rows->first[h] == rows->first[h - 1] && rows->weight[h] == rows->weight[h - 1]) {
                memcpy(to, to - y_row, sizeof(float) * (size_t)y_row);
                continue;
            }
            if (rows->weight[h] != 1) kernels->blend(x_row, rows->weight[h], a, rows->next[h], a + x_row, row);
            kernels->resample_row(columns, C, rows->weight[h] != 1 ? row : a, to);
        }
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_resample_backward(const fc_resample *resample, const float *dy, float *dx) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_resample_axis *rows = &resample->rows, *columns = &resample->columns;
    const int64_t C = resample->C, x_row = columns->source * C, y_row = columns->outputs * C;
    const int64_t blocks = fc_pieces(rows->source, BLOCK);
    const int threads = fc_threads_for(operations(resample));
    float *memory = fc_floats(fc_times(threads, x_row));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < resample->N * blocks; task++) {
        const int64_t n = task / blocks, first = task % blocks * BLOCK;
        const int64_t end = fc_min(first + BLOCK, rows->source);
        float *row = memory + fc_thread_index() * x_row, *to = dx + n * rows->source * x_row;
        memset(to + first * x_row, 0, sizeof(float) * (size_t)((end - first) * x_row));
        for (int64_t h = 0; h < rows->outputs; h++) {
            const int64_t i = rows->first[h];
            const int takes = first <= i && i < end, next_takes = rows->next[h] != 0 && first <= i + 1 && i + 1 < end;
            if (!takes && !next_takes) continue;
            kernels->resample_row_backward(columns, C, dy + (n * rows->outputs + h) * y_row, row);
            if (takes) kernels->add_scaled(x_row, rows->weight[h], row, to + i * x_row);
            if (next_takes) kernels->add_scaled(x_row, rows->next[h], row, to + (i + 1) * x_row);
        }
    }
    fc_free(memory);
    return FC_OK;
}
