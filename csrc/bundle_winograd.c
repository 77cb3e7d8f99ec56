/* bundle_winograd.c - lesson 4 for bundles: fewer multiplications with images in the lanes.
 *
 *     y = A^T [ (G g G^T) . (B^T d B) ] A            F(4x4, 3x3): 36 multiplications for 144
 *                                                    F(2x2, 5x5): 36 multiplications for 100, on the same six points
 *
 * as in conv2d_winograd.c, where it is explained. There it pays from some 32 channels on, since its transforms
 * have channels in the lanes. Here every vector is a pixel of VLEN images, so transforms are plain arithmetic on
 * vectors for any number of channels, and the products of the 36 positions are those of bundle_kernel.h:
 *
 *     M[position][tile][k] = sum over c of V[position][tile][c] U[position][c][k]
 *
 * Per tile that is 36 C K multiply-adds, and about INPUT_COST C + OUTPUT_COST K more for the transforms, where
 * the direct sum takes side^2 tile^2 C K, less what the border spares it. The convolutions for which that is less are
 * computed so. Going back there are 36 sums in place of side^2 to be added up over the lanes, once a bundle: with few
 * tiles that weighs more than what is saved.
 *
 * The gradient of a kernel is summed in the transformed domain, dU = sum over tiles of V W^T with W = A dy A^T,
 * over all tiles, images, bundles and chunks, and brought back by G^T dU G once a step. The gradient of the data is
 * the way forward turned round, and shares W:
 *
 *     dV[position][tile][c] = sum over k of W[position][tile][k] U[position][c][k],    dx = B dV B^T
 *
 * added up where the 6 x 6 pixels of neighbouring tiles overlap. (conv2d_winograd.c convolves with the kernel turned
 * round instead, which needs no adding up but transforms dy a second time.)
 *
 * Rounding is bounded as there, and the tests hold it to that; with the few channels that bundles are for it is a
 * few times that of the direct sum. A NaN or an infinity reaches its tile, and no other image.
 *
 * Measured, one thread, batch 32, the whole of a training step and of predicting, times as fast as the direct sums:
 * ConvNetJS' net 1.44 and 1.36 with AVX2, 1.22 and 1.17 with AVX-512; the 17-layer net of 3x3 kernels 1.70 and 1.66,
 * 1.19 and 1.19; LeNet-5, of which one convolution of two is worth it, 1.34 and 1.20, 1.13 and 1.01.
 */
#include "bundle_winograd.h"

#include <string.h>

#include "bundle.h"
#include "memory.h"

enum {
    POSITIONS = 36, ROW = 6, PAIR = 2 * ROW,
    INPUT_COST = 250, OUTPUT_COST = 150, /* of transforms, in multiply-adds; estimated */
    SUM_COST = 7,                        /* of adding up the lanes of an element's sums, likewise */
    BLOCK_FLOATS = 1 << 17,              /* of V and M, half of a level-2 cache */
    BACK_FLOATS = 1 << 19,               /* of V and W: of which one position is in use at a time */
    LINE = 16, /* floats in a cache line: keeps the 36 streams out of one another's cache sets */
};

static int64_t tile_of(const fc_winograd *g) { return 7 - g->side; }

int64_t fc_winograd_tiled(int64_t outputs, int64_t side) { return fc_pieces(outputs, 7 - side) * (7 - side); }

int64_t fc_winograd_tiles(const fc_winograd *g) { return fc_pieces(g->OH, tile_of(g)) * fc_pieces(g->OW, tile_of(g)); }

int fc_winograd_pays(const fc_winograd *g) {
    if (g->side != 3 && g->side != 5) return 0;
    return fc_winograd_tiles(g) * (POSITIONS * g->C * g->K + INPUT_COST * g->C + OUTPUT_COST * g->K) < g->products * g->C * g->K;
}

/* For the gradient of the kernel alone: that of the data shares a transform, and not every layer needs it. */
int fc_winograd_pays_back(const fc_winograd *g) {
    if (g->side != 3 && g->side != 5) return 0;
    const int64_t tile = POSITIONS * g->C * g->K + INPUT_COST * g->C + OUTPUT_COST * g->K;
    return fc_winograd_tiles(g) * tile + SUM_COST * POSITIONS * g->C * g->K <
           (g->products + SUM_COST * g->side * g->side) * g->C * g->K;
}

/* Rows of positions that are transformed together, see bundle_winograd_kernel.h. */
static const int64_t pair_of_rows[3][2] = {{0, 5}, {1, 2}, {3, 4}};

/* Tiles whose `positions` of V and M, or W, are in the scratch memory together. */
static int64_t block_of(const fc_winograd *g, const fc_kernels *kernels, int64_t positions) {
    const int64_t floats = positions == POSITIONS ? BLOCK_FLOATS : BACK_FLOATS;
    const int64_t tiles = fc_winograd_tiles(g);
    const int64_t most = fc_max(kernels->bundle_pixels, floats / (positions * (g->C + g->K) * kernels->lanes));
    return fc_min(tiles, most);
}

/* Floats from one position to the next. */
static int64_t step_of(const fc_kernels *kernels, int64_t block, int64_t channels) {
    return block * channels * kernels->lanes + LINE;
}

static int64_t scratch_of(const fc_winograd *g, const fc_kernels *kernels, int64_t positions) {
    const int64_t block = block_of(g, kernels, positions);
    return positions * (step_of(kernels, block, g->C) + step_of(kernels, block, g->K));
}

int64_t fc_winograd_scratch(const fc_winograd *g, const fc_kernels *kernels) {
    const int64_t tiles = fc_winograd_tiles(g);
    const int64_t rows = block_of(g, kernels, PAIR) < tiles ? PAIR * g->C : fc_rows_at_once(kernels, g->C, g->K);
    const int64_t sums = rows * g->K * kernels->lanes;
    return fc_max(scratch_of(g, kernels, POSITIONS), scratch_of(g, kernels, PAIR) + sums);
}

int64_t fc_winograd_weights_size(const fc_winograd *g) { return POSITIONS * g->C * g->K; }

void fc_winograd_weights(const fc_winograd *g, const fc_kernels *kernels, const float *kernel, float *U) {
    const int64_t step = g->C * g->K;
    for (int64_t c = 0; c < g->C; c++)
        kernels->bundle_winograd_weights((int)g->side, g->K, kernel + c * g->K, step, U + c * g->K, step);
}

void fc_winograd_weights_gradient(const fc_winograd *g, const fc_kernels *kernels, const float *dU, float *dkernel) {
    const int64_t step = g->C * g->K;
    for (int64_t c = 0; c < g->C; c++)
        kernels->bundle_winograd_weights_gradient((int)g->side, g->K, dU + c * g->K, step, dkernel + c * g->K, step);
}

/* M (tiles, K) = V (tiles, C) U (C, K), of one position */
static void multiply(const fc_kernels *kernels, int64_t tiles, int64_t C, int64_t K, const float *from,
                     const float *U, float *M) {
    const int64_t V = kernels->lanes, start = 0;
    const fc_tiling tiling = fc_bundle_tiling(kernels, tiles, K);
    const fc_product product = {.runs = 1, .offset = &start, .length = C, .x_step = C, .w_step = K, .y_step = K};
    for (int64_t u = 0; u < tiling.channels; u++) {
        const int64_t k = fc_part(K, tiling.channels, u), end = fc_part(K, tiling.channels, u + 1);
        kernels->bundle_tiles(&product, tiles, (int)(end - k), from, U + k, NULL, M + k * V);
    }
}

void fc_winograd_convolve(const fc_winograd *g, const fc_kernels *kernels, const float *x, int64_t x_row,
                          const float *U, const float *bias, float *y, int64_t y_row, float *scratch) {
    const int64_t V = kernels->lanes, C = g->C, K = g->K, tile = tile_of(g);
    const int64_t columns = fc_pieces(g->OW, tile), tiles = fc_pieces(g->OH, tile) * columns;
    const int64_t block = block_of(g, kernels, POSITIONS), blocks = fc_pieces(tiles, block);
    const int64_t vs = step_of(kernels, block, C), ms = step_of(kernels, block, K);
    float *M = scratch + POSITIONS * vs;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = fc_part(tiles, blocks, b), count = fc_part(tiles, blocks, b + 1) - first;
        for (int64_t t = 0; t < count; t++) {
            const int64_t row = (first + t) / columns * tile, column = (first + t) % columns * tile;
            for (int p = 0; p < 3; p++)
                kernels->bundle_winograd_input(p, C, x + (row * x_row + column * C) * V, x_row,
                                               scratch + pair_of_rows[p][0] * ROW * vs + t * C * V,
                                               scratch + pair_of_rows[p][1] * ROW * vs + t * C * V, vs);
        }
        for (int64_t i = 0; i < POSITIONS; i++)
            multiply(kernels, count, C, K, scratch + i * vs, U + i * C * K, M + i * ms);
        for (int64_t t = 0; t < count; t++) {
            const int64_t row = (first + t) / columns * tile, column = (first + t) % columns * tile;
            const fc_bundle_tile part = {.K = K, .rows = g->OH - row, .columns = g->OW - column, .y_row = y_row};
            kernels->bundle_winograd_output((int)g->side, &part, M + t * K * V, ms, bias,
                                            y + (row * y_row + column * K) * V);
        }
    }
}

void fc_winograd_turn(const fc_winograd *g, const fc_kernels *kernels, const float *U, float *turned) {
    const int64_t size = g->C * g->K;
    for (int64_t i = 0; i < POSITIONS; i++, U += size, turned += size)
        for (int64_t c = 0; c < g->C; c += kernels->lanes) {
            const int channels = (int)fc_min(kernels->lanes, g->C - c);
            kernels->transpose(channels, channels, g->K, U + c * g->K, g->K, turned + c, g->C);
        }
}

/* Two rows of positions at a time. Where all tiles of the image are in the scratch memory together, the sums of a few
 * rows of register tiles, a vector for each c and k, are added up over the lanes at once, from the level-1 cache; otherwise
 * those of the two rows are kept from one block of tiles to the next. */
void fc_winograd_backward(const fc_winograd *g, const fc_kernels *kernels, const float *x, int64_t x_row,
                          const float *dy, int64_t dy_row, const float *turned, float *dU, float *dx, int64_t dx_row,
                          float *scratch) {
    const int64_t V = kernels->lanes, C = g->C, K = g->K, tile = tile_of(g);
    const int64_t columns = fc_pieces(g->OW, tile), tiles = fc_pieces(g->OH, tile) * columns;
    const int64_t block = block_of(g, kernels, PAIR), blocks = fc_pieces(tiles, block);
    const int64_t vs = step_of(kernels, block, C), ws = step_of(kernels, block, K);
    const fc_tiling tiling = fc_bundle_tiling(kernels, C, K);
    const int64_t c_tiles = tiling.pixels, k_tiles = tiling.channels;
    float *W = scratch + PAIR * vs, *sums = W + PAIR * ws;
    if (dx)
        for (int64_t h = 0; h < g->H; h++) memset(dx + h * dx_row * V, 0, sizeof(float) * (size_t)(g->W * C * V));
    for (int pair = 0; pair < 3; pair++) {
        const int64_t *rows = pair_of_rows[pair];
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t first = fc_part(tiles, blocks, b), count = fc_part(tiles, blocks, b + 1) - first;
            for (int64_t t = 0; t < count; t++) {
                const int64_t h = (first + t) / columns * tile, w = (first + t) % columns * tile;
                float *v = scratch + t * C * V, *dm = W + t * K * V;
                if (dU)
                    kernels->bundle_winograd_input(pair, C, x + (h * x_row + w * C) * V, x_row, v, v + ROW * vs, vs);
                kernels->bundle_winograd_gradient((int)g->side, pair, K, dy + (h * dy_row + w * K) * V, dy_row, dm,
                                                  dm + ROW * ws, ws);
            }
            const fc_pixels pixels = {.fresh = b == 0, .rows = 1, .pixels = count, .x_step = C, .dy_step = K};
            for (int64_t i = 0; dU && i < PAIR; i++)
                for (int64_t t = 0, begin = 0; t < c_tiles; t++) {
                    const int64_t c = fc_part(C, c_tiles, t), end = fc_part(C, c_tiles, t + 1);
                    float *to = sums + (blocks == 1 ? c - begin : i * C + c) * K * V;
                    for (int64_t u = 0; u < k_tiles; u++) {
                        const int64_t k = fc_part(K, k_tiles, u), next = fc_part(K, k_tiles, u + 1);
                        kernels->bundle_outer_tile(&pixels, (int)(end - c), (int)(next - k), scratch + i * vs + c * V,
                                                   W + i * ws + k * V, to + k * V, K);
                    }
                    if (blocks > 1 || (end < C && (end - begin) * K < FC_SUMS_AT_ONCE)) continue;
                    kernels->sum_lanes((end - begin) * K, sums,
                                       dU + ((rows[i / ROW] * ROW + i % ROW) * C + begin) * K);
                    begin = end;
                }
            if (!dx) continue;
            for (int64_t i = 0; i < PAIR; i++) /* V has served, and gives its place to dV */
                multiply(kernels, count, K, C, W + i * ws, turned + (rows[i / ROW] * ROW + i % ROW) * C * K,
                         scratch + i * vs);
            for (int64_t t = 0; t < count; t++) {
                const int64_t h = (first + t) / columns * tile - g->top, w = (first + t) % columns * tile - g->left;
                const fc_bundle_patch patch = {.C = C, .first_row = -h, .end_row = g->H - h, .first_column = -w,
                                               .end_column = g->W - w, .dx_row = dx_row};
                const float *dv = scratch + t * C * V;
                kernels->bundle_winograd_input_gradient(pair, &patch, dv, dv + ROW * vs, vs,
                                                        dx + (h * dx_row + w * C) * V);
            }
        }
        for (int i = 0; dU && blocks > 1 && i < 2; i++)
            kernels->sum_lanes(ROW * C * K, sums + i * ROW * C * K * V, dU + rows[i] * ROW * C * K);
    }
}
