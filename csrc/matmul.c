/* matmul.c - y = bias + x w  and  dw += x^T dy.
 *
 * The columns of w are cut into panels, one tile wide; a panel is packed once and then meets every row
 * of x. With few rows packing costs as much as the product, so w is then read where it lies.
 */
#include "matmul.h"

#include <string.h>

#include "memory.h"
#include "threads.h"

void fc_pack_panel(const fc_kernels *kernels, int64_t rows, fc_weights weights, int64_t channels, int64_t lanes,
                   float *panel) {
    if (weights.row == 1) { /* a transpose: its columns lie one after another */
        for (int64_t k = 0; k < lanes; k += kernels->lanes)
            kernels->transpose((int)fc_min(kernels->lanes, fc_max(0, channels - k)), kernels->lanes, rows,
                               weights.w + k * weights.column, weights.column, panel + k, lanes);
        return;
    }
    for (int64_t r = 0; r < rows; r++, panel += lanes) {
        memcpy(panel, weights.w + r * weights.row, sizeof(float) * (size_t)channels);
        if (channels < lanes) memset(panel + channels, 0, sizeof(float) * (size_t)(lanes - channels));
    }
}

/* Whether the product of any two of these sizes fits, rounded up to whole tiles. */
static int sizes_fit(int64_t M, int64_t C, int64_t K) {
    enum { TILE = 2 * FC_MOST_LANES };
    M = fc_plus(M, TILE), C = fc_plus(C, TILE), K = fc_plus(K, TILE);
    return fc_fits(M, C) && fc_fits(C, K) && fc_fits(M, K);
}

fc_status fc_matmul(const fc_kernels *kernels, int64_t M, int64_t C, int64_t K, const float *x, int64_t x_step,
                    fc_weights weights, const float *bias, float *y, int64_t y_step) {
    if (!sizes_fit(M, C, K)) return FC_TOO_LARGE;
    const int64_t lanes = kernels->tile_lanes, panels = fc_pieces(K, lanes);
    const int64_t row_blocks = fc_pieces(M, 4 * kernels->tile_pixels);
    const int few_rows = weights.column == 1 && M <= 2 * kernels->tile_pixels;
    const int threads = fc_threads_for(2.0 * (double)M * (double)C * (double)K);
    if (M == 0 || K == 0) return FC_OK;

    float *packed = fc_floats(fc_times(panels * lanes, C + 1));
    if (!packed) return FC_OUT_OF_MEMORY;
    float *padded_bias = packed + panels * lanes * C;
    memset(padded_bias, 0, sizeof(float) * (size_t)(panels * lanes));
    if (bias) memcpy(padded_bias, bias, sizeof(float) * (size_t)K);

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t p = 0; p < panels; p++) {
            const int64_t channels = fc_min(lanes, K - p * lanes);
            const fc_weights columns = {weights.w + p * lanes * weights.column, weights.row, weights.column};
            if (!few_rows || channels % kernels->lanes)
                fc_pack_panel(kernels, C, columns, channels, lanes, packed + p * lanes * C);
        }
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < panels * row_blocks; task++) {
            const int64_t p = task / row_blocks, block = task % row_blocks;
            const int64_t channels = fc_min(lanes, K - p * lanes);
            const int in_place = few_rows && channels % kernels->lanes == 0;
            const float *w = in_place ? weights.w + p * lanes : packed + p * lanes * C;
            const int64_t start = 0;
            const fc_product product = {.runs = 1, .offset = &start, .length = C, .x_step = x_step,
                                        .w_step = in_place ? weights.row : lanes, .y_step = y_step};
            const int64_t first = fc_part(M, row_blocks, block), rows = fc_part(M, row_blocks, block + 1) - first;
            const int64_t tiles = fc_pieces(rows, kernels->tile_pixels);
            for (int64_t t = 0; t < tiles; t++) {
                const int64_t m = first + fc_part(rows, tiles, t), end = first + fc_part(rows, tiles, t + 1);
                kernels->product_tile(&product, (int)(end - m), (int)channels, x + m * x_step, w,
                                      padded_bias + p * lanes, y + m * y_step + p * lanes);
            }
        }
    }
    fc_free(packed);
    return FC_OK;
}

fc_status fc_matmul_outer(const fc_kernels *kernels, int64_t M, int64_t C, int64_t K, const float *x, int64_t x_step,
                          const float *dy, int64_t dy_step, float *dw, int64_t dw_step, int64_t leaf) {
    if (!sizes_fit(M, C, K)) return FC_TOO_LARGE;
    const int64_t lanes = kernels->tile_lanes, panels = fc_pieces(K, lanes);
    const int64_t tiles = fc_pieces(C, kernels->tile_pixels);
    const int threads = fc_threads_for(2.0 * (double)M * (double)C * (double)K);
    if (M == 0) return FC_OK;

    /* The last vector of a row may reach past it: harmless, but for the last rows of the array, whose
     * copy has room to spare. The lanes that do not belong to the row are never stored. */
    float *roomy = NULL;
    if (K % kernels->lanes) {
        roomy = fc_floats(fc_plus(fc_times(M, K), lanes));
        if (!roomy) return FC_OUT_OF_MEMORY;
        for (int64_t m = 0; m < M; m++) memcpy(roomy + m * K, dy + m * dy_step, sizeof(float) * (size_t)K);
        memset(roomy + M * K, 0, sizeof(float) * (size_t)lanes);
        dy = roomy;
        dy_step = K;
    }
    const fc_pixels pixels = {.fresh = leaf > 0, .images = 1, .rows = 1, .pixels = M, .x_step = x_step,
                              .dy_step = dy_step, .leaf = leaf};

#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t task = 0; task < panels * tiles; task++) {
        const int64_t p = task / tiles, t = task % tiles;
        const int64_t c = fc_part(C, tiles, t), end = fc_part(C, tiles, t + 1);
        kernels->outer_tile(&pixels, (int)(end - c), (int)fc_min(lanes, K - p * lanes), x + c, dy + p * lanes,
                            dw + c * dw_step + p * lanes, dw_step);
    }
    fc_free(roomy);
    return FC_OK;
}

fc_status fc_column_sums(const fc_kernels *kernels, int64_t M, int64_t K, const float *a, float *sums) {
    if (!sizes_fit(M, 1, K)) return FC_TOO_LARGE;
    const int64_t most = 1024, blocks = fc_pieces(M, most);
    float *partial = fc_floats(fc_times(blocks, K));
    if (!partial) return FC_OUT_OF_MEMORY;
    memset(partial, 0, sizeof(float) * (size_t)(blocks * K));
    memset(sums, 0, sizeof(float) * (size_t)K);

#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)M * (double)K))
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = fc_part(M, blocks, b);
        kernels->add_rows(fc_part(M, blocks, b + 1) - first, K, a + first * K, partial + b * K);
    }
    kernels->add_rows(blocks, K, partial, sums);
    fc_free(partial);
    return FC_OK;
}

void fc_add_floats(const fc_kernels *kernels, int64_t n, const float *from, float *to) {
    const int threads = fc_threads_for((double)n);
    if (threads == 1) {
        kernels->add_rows(1, n, from, to);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int t = 0; t < threads; t++) {
        const int64_t first = fc_part(n, threads, t);
        kernels->add_rows(1, fc_part(n, threads, t + 1) - first, from + first, to + first);
    }
}
