/* conv2d_winograd.c - lesson 4: fewer multiplications, for 3x3 kernels at stride 1.
 *
 * Multiplying polynomials can be done by values: evaluate both at enough points, multiply value by value,
 * interpolate. A convolution of 3 taps giving 4 outputs is such a product in disguise: with d 6 inputs and
 * g 3 taps (Toom and Cook for numbers, Winograd for filters),
 *
 *     y = A^T [ (G g) . (B^T d) ]                  6 multiplications for 4 outputs of 3 taps, not 12
 *
 * and applying it to rows and columns, F(4x4, 3x3),
 *
 *     y = A^T [ (G g G^T) . (B^T d B) ] A          36 multiplications for 16 outputs of 9 taps, not 144
 *
 * The points are 0, 1, -1, 2, -2 and infinity. G evaluates g at them, divided for each finite point p by the
 * product of its differences (p - q) from the other finite points; column p of A^T is 1, p, p^2, p^3; row p
 * of B^T is the coefficients of the product of (x - q) over the other finite points, and the last row, for
 * infinity, those of the product over all five. tests/test_winograd.py derives all matrices so, in fractions,
 * and finds those of winograd_kernel.h.
 *
 * Transforming pays because every transformed input meets C_out kernels and every transformed kernel meets all
 * tiles: summing over channels comes between the transforms. For each of the 36 positions that sum is
 *
 *     M[position] (tiles, C_out) = V[position] (tiles, C_in)  times  U[position] (C_in, C_out)
 *
 * a matrix product on the register tile. Four times fewer multiplications, less the transforms.
 *
 * An image of 14 x 14 is not made of tiles of 4 x 4. Those at its edge are cut: n outputs of 3 taps need n + 2 points
 * along that axis, so 3 leave out the point 0, 2 the points 2 and -2, 1 all three. What G divides by for a point that is
 * left out, B^T multiplies by, so that one U serves tiles of all sizes; what a cut tile has less are rows of V and M.
 * Along 14 = 4 + 4 + 4 + 2 there are 22 positions in place of 24, along 7 = 4 + 3 eleven of 12: both ways a sixth
 * of all multiplications. Tiles are sorted so that those that have a position are neighbours, one matrix product.
 * Measured, all passes, 14 x 14 and 7 x 7 images: 1.10 to 1.17 times as fast as computing 16 x 16 and 8 x 8.
 *
 * Backward-data is a convolution with the kernel turned round and its channels exchanged, so the same code.
 * Backward-kernel is the adjoint: y is linear in g, so from y = A^T [ (G g G^T) . V ] A follows
 *
 *     dg = G^T [ (A dy A^T) . V ] G                summed over tiles: 36 sums of outer products
 *
 * The price is rounding: the points' powers (up to 8) spread the numbers apart before they cancel again. The
 * error is bounded by a few roundings of |A^T| [(|G| |g| |G^T|) . (|B^T| |d| |B|)] |A| summed over channels,
 * which is what the tests hold it to; on random images it is about 10 times that of the direct sum, 1e-5 of
 * the largest output for 128 channels. And a NaN or an infinity reaches all 16 outputs of the tiles that see it.
 *
 * Measured, one thread, 32 images, 64 to 256 channels: 2.1 to 2.3 times as fast as the direct convolution
 * forward and back to the data, 2.1 to 2.4 times back to the kernel (AVX-512); 2.5 to 3 times on AVX2.
 */
#include <stdlib.h>
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum {
    TILE = 4,             /* output pixels along a tile's side */
    PATCH = 6,            /* input pixels under them */
    POSITIONS = PATCH * PATCH,
    BLOCK = 32,           /* tiles multiplied together: with their 36 V of 128 channels half of a level-2 cache */
    BAND = 48,            /* input channels whose kernel gradients are summed together, about */
    AHEAD = 2,            /* tiles, or rows of weights, that memory is asked for before they are needed */
    LINE = 16,            /* floats in a cache line: keeps the 36 streams out of one another's cache sets */
};

/* A 3x3 convolution at stride 1 from (H, W, C) to (OH, OW, K) images. */
typedef struct {
    const fc_kernels *kernels;
    int64_t N, H, W, C, OH, OW, K, pad_top, pad_left;
    int64_t tile_rows, tile_columns, tiles;
    fc_winograd_tile last; /* outputs of the last tile of a column and of a row */
    double flops;          /* of the multiplications that are left */
} grid;

/* Positions along an axis. */
static int64_t positions_of(int64_t outputs) { return outputs + 2 * fc_pieces(outputs, TILE); }

static grid grid_of(int64_t N, int64_t H, int64_t W, int64_t C, int64_t OH, int64_t OW, int64_t K, int64_t pad_top,
                    int64_t pad_left) {
    grid g = {.kernels = fc_kernels_active(), .N = N, .H = H, .W = W, .C = C, .OH = OH, .OW = OW, .K = K,
              .pad_top = pad_top, .pad_left = pad_left, .tile_rows = fc_pieces(OH, TILE),
              .tile_columns = fc_pieces(OW, TILE)};
    g.tiles = N * g.tile_rows * g.tile_columns;
    g.last = (fc_winograd_tile){(int)(OH - (g.tile_rows - 1) * TILE), (int)(OW - (g.tile_columns - 1) * TILE)};
    g.flops = 2.0 * (double)N * (double)positions_of(OH) * (double)positions_of(OW) * (double)C * (double)K;
    return g;
}

static grid forward_grid(const fc_conv2d *conv) {
    return grid_of(conv->N, conv->H, conv->W, conv->C_in, conv->OH, conv->OW, conv->C_out, conv->pad_top,
                   conv->pad_left);
}

/* The pixels under a tile: pointers into the image, or to zeros where there is none. */
static void input_pixels(const grid *g, int64_t tile, const float *x, const float *zeros,
                         const float *pixel[POSITIONS]) {
    const int64_t n = tile / (g->tile_rows * g->tile_columns);
    const int64_t row = tile / g->tile_columns % g->tile_rows * TILE - g->pad_top;
    const int64_t column = tile % g->tile_columns * TILE - g->pad_left;
    for (int64_t i = 0; i < PATCH; i++)
        for (int64_t j = 0; j < PATCH; j++) {
            const int64_t h = row + i, w = column + j;
            const int inside = h >= 0 && h < g->H && w >= 0 && w < g->W;
            pixel[i * PATCH + j] = inside ? x + ((n * g->H + h) * g->W + w) * g->C : zeros;
        }
}

/* The output pixels of a tile: pointers into the image, or `outside` where the tile would reach past it. */
static void output_pixels(const grid *g, int64_t tile, const float *y, const float *outside,
                          const float *pixel[TILE * TILE]) {
    const int64_t n = tile / (g->tile_rows * g->tile_columns);
    const int64_t row = tile / g->tile_columns % g->tile_rows * TILE, column = tile % g->tile_columns * TILE;
    for (int64_t i = 0; i < TILE; i++)
        for (int64_t j = 0; j < TILE; j++) {
            const int inside = row + i < g->OH && column + j < g->OW;
            pixel[i * TILE + j] = inside ? y + ((n * g->OH + row + i) * g->OW + column + j) * g->K : outside;
        }
}

static fc_winograd_tile outputs_of(const grid *g, int64_t tile) {
    const int64_t row = tile / g->tile_columns % g->tile_rows, column = tile % g->tile_columns;
    return (fc_winograd_tile){row == g->tile_rows - 1 ? g->last.rows : TILE,
                              column == g->tile_columns - 1 ? g->last.columns : TILE};
}

/* ---- tiles that are computed together ------------------------------------------------------------ */

/* Tiles with the same positions are neighbours here: those cut off at the right, whole ones, those cut off below, those
 * cut off both ways. So of any position the tiles that have it are neighbours too. */
enum { CUT_RIGHT, WHOLE, CUT_BELOW, CUT_BOTH, KINDS };
typedef struct {
    int64_t *tile;
    int64_t start[KINDS + 1]; /* of every kind in `tile` */
} block;

static void sort_tiles(const grid *g, int64_t first, int64_t end, block *b) {
    int64_t count = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        b->start[kind] = count;
        for (int64_t t = first; t < end; t++) {
            const fc_winograd_tile tile = outputs_of(g, t);
            const int right = tile.columns < TILE, below = tile.rows < TILE;
            if (kind == (right ? below ? CUT_BOTH : CUT_RIGHT : below ? CUT_BELOW : WHOLE)) b->tile[count++] = t;
        }
    }
    b->start[KINDS] = count;
}

typedef struct {
    int64_t first, end;
} range;

/* The places in a block of the tiles that have a position. */
static range tiles_with(const grid *g, const block *b, int64_t position) {
    const int in_low = fc_winograd_has(g->last.rows, (int)(position / PATCH));
    const int in_narrow = fc_winograd_has(g->last.columns, (int)(position % PATCH));
    return (range){b->start[in_narrow ? CUT_RIGHT : WHOLE],
                   b->start[in_low ? in_narrow ? KINDS : CUT_BOTH : CUT_BELOW]};
}

/* What the transforms are to ask memory for: the pixels of a tile that comes soon. */
static int64_t tile_ahead(const block *b, int64_t at) { return b->tile[fc_min(at + AHEAD, b->start[KINDS] - 1)]; }

static void transform_input(const grid *g, const block *b, int64_t at, const float *x, const float *zeros, float *V,
                            int64_t step) {
    const float *pixel[POSITIONS], *ahead[POSITIONS];
    input_pixels(g, b->tile[at], x, zeros, pixel);
    input_pixels(g, tile_ahead(b, at), x, zeros, ahead);
    g->kernels->winograd_input(outputs_of(g, b->tile[at]), pixel, ahead, g->C, V + at * g->C, step);
}

static void transform_gradient(const grid *g, const block *b, int64_t at, const float *dy, const float *zeros,
                               float *W, int64_t step) {
    const float *pixel[TILE * TILE], *ahead[TILE * TILE];
    output_pixels(g, b->tile[at], dy, zeros, pixel);
    output_pixels(g, tile_ahead(b, at), dy, zeros, ahead);
    g->kernels->winograd_gradient(outputs_of(g, b->tile[at]), pixel, ahead, g->K, W + at * g->K, step);
}

static void transform_output(const grid *g, const block *b, int64_t at, const float *M, int64_t step,
                             const float *bias, int64_t channels, float *y) {
    const float *pixel[TILE * TILE], *ahead[TILE * TILE];
    output_pixels(g, b->tile[at], y, NULL, pixel);
    output_pixels(g, tile_ahead(b, at), y, y, ahead);
    g->kernels->winograd_output(outputs_of(g, b->tile[at]), M, step, bias, (int)channels, (float *const *)pixel,
                                (float *const *)ahead);
}

/* ---- forward and backward-data ------------------------------------------------------------------- */

/* Where a kernel's numbers are: a vector of output channels of a tap and an input channel. */
typedef struct {
    const float *kernel;
    int64_t tap, row, vector; /* floats from one tap, input channel or vector to the next */
} taps;

/* A vector of output channels from k on, those past the last one zero. */
static void transform_weights(const grid *g, const taps *w, int64_t c, int64_t k, float *U, int64_t step) {
    const fc_kernels *kernels = g->kernels;
    const int64_t channels = fc_min(kernels->lanes, g->K - k);
    if (channels < kernels->lanes)
        for (int64_t i = 0; i < POSITIONS; i++) memset(U + i * step, 0, sizeof(float) * (size_t)kernels->lanes);
    if (channels <= 0) return;
    const float *tap[9], *ahead[9];
    for (int64_t i = 0; i < 9; i++) {
        const float *from = w->kernel + i * w->tap + k / kernels->lanes * w->vector;
        tap[i] = from + c * w->row;
        ahead[i] = from + fc_min(c + AHEAD, g->C - 1) * w->row;
    }
    kernels->winograd_weights(tap, ahead, channels, U, step);
}

static fc_status convolve(const grid *g, const float *x, const taps *w, const float *bias, float *y) {
    const fc_kernels *kernels = g->kernels;
    const int64_t lanes = kernels->tile_lanes, panels = fc_pieces(g->K, lanes), C = g->C, K = g->K;
    const int64_t blocks = fc_pieces(g->tiles, BLOCK);
    const int64_t u_step = C * lanes + LINE, v_step = BLOCK * C + LINE, m_step = BLOCK * lanes + LINE;
    const int threads = fc_threads_for(g->flops);
    /* Blocks that do not come out even for the threads, as those of a single image, are cut by panels too, and
     * each part transforms the block's input again. Outputs do not share sums, so this changes no bit of them. */
    const int64_t parts = blocks % threads && blocks < 4 * threads ? fc_min(panels, threads) : 1;

    const int64_t u_size = panels * POSITIONS * u_step, v_size = POSITIONS * v_step, m_size = POSITIONS * m_step;
    const int64_t zeros_size = fc_max(C, lanes), bias_size = panels * lanes;
    float *memory = fc_floats(fc_plus(u_size + zeros_size + bias_size, fc_times(v_size + m_size, threads)));
    if (!memory) return FC_OUT_OF_MEMORY;
    float *U = memory, *zeros = U + u_size, *padded_bias = zeros + zeros_size, *scratch = padded_bias + bias_size;
    memset(zeros, 0, sizeof(float) * (size_t)(zeros_size + bias_size));
    if (bias) memcpy(padded_bias, bias, sizeof(float) * (size_t)K);

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t pc = 0; pc < panels * C; pc++) {
            float *row = U + pc / C * POSITIONS * u_step + pc % C * lanes;
            for (int64_t k = 0; k < lanes; k += kernels->lanes)
                transform_weights(g, w, pc % C, pc / C * lanes + k, row + k, u_step);
        }

        float *V = scratch + fc_thread_index() * (v_size + m_size), *M = V + v_size;
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < blocks * parts; task++) {
            const int64_t part = task % parts, start = 0;
            int64_t tile[BLOCK];
            block b = {.tile = tile};
            sort_tiles(g, fc_part(g->tiles, blocks, task / parts), fc_part(g->tiles, blocks, task / parts + 1), &b);
            for (int64_t t = 0; t < b.start[KINDS]; t++) transform_input(g, &b, t, x, zeros, V, v_step);
            const fc_product product = {
                .runs = 1, .offset = &start, .length = C, .x_step = C, .w_step = lanes, .y_step = lanes};
            for (int64_t p = fc_part(panels, parts, part); p < fc_part(panels, parts, part + 1); p++) {
                const int64_t channels = fc_min(lanes, K - p * lanes);
                for (int64_t i = 0; i < POSITIONS; i++) {
                    const range with = tiles_with(g, &b, i);
                    const int64_t count = with.end - with.first, pieces = fc_pieces(count, kernels->tile_pixels);
                    for (int64_t q = 0; q < pieces; q++) {
                        const int64_t t = with.first + fc_part(count, pieces, q);
                        const int64_t next = with.first + fc_part(count, pieces, q + 1);
                        kernels->product_tile(&product, (int)(next - t), (int)lanes, V + i * v_step + t * C,
                                              U + (p * POSITIONS + i) * u_step, zeros, M + i * m_step + t * lanes);
                    }
                }
                for (int64_t t = 0; t < b.start[KINDS]; t++)
                    transform_output(g, &b, t, M + t * lanes, m_step, padded_bias + p * lanes, channels,
                                     y + p * lanes);
            }
        }
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_conv2d_forward_winograd(const fc_conv2d *conv, const float *x, const float *kernel, const float *bias,
                                     float *y) {
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    const grid g = forward_grid(conv);
    const taps w = {.kernel = kernel, .tap = g.C * g.K, .row = g.K, .vector = g.kernels->lanes};
    return convolve(&g, x, &w, bias, y);
}

fc_status fc_conv2d_backward_data_winograd(const fc_conv2d *conv, const float *dy, const float *kernel, float *dx) {
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    const int64_t C = conv->C_in, K = conv->C_out;
    const grid g = grid_of(conv->N, conv->OH, conv->OW, K, conv->H, conv->W, C, 2 - conv->pad_top, 2 - conv->pad_left);
    const fc_kernels *kernels = g.kernels;
    const int64_t V = kernels->lanes, vectors = fc_pieces(C, V);
    float *turned = fc_floats(9 * vectors * K * V);
    if (!turned) return FC_OUT_OF_MEMORY;
    /* turned[i, v, k, :] = kernel[8 - i, the input channels of vector v, k] */
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(g.flops))
    for (int64_t task = 0; task < 9 * vectors; task++) {
        const int64_t i = task / vectors, c = task % vectors * V;
        kernels->transpose((int)fc_min(V, C - c), (int)V, K, kernel + ((8 - i) * C + c) * K, K,
                           turned + task * K * V, V);
    }
    const taps w = {.kernel = turned, .tap = vectors * K * V, .row = V, .vector = K * V};
    fc_status status = convolve(&g, dy, &w, NULL, dx);
    fc_free(turned);
    return status;
}

/* ---- backward-kernel ---------------------------------------------------------------------------- */

fc_status fc_conv2d_backward_kernel_winograd(const fc_conv2d *conv, const float *x, const float *dy, float *dkernel,
                                             float *dbias) {
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    const grid g = forward_grid(conv);
    const fc_kernels *kernels = g.kernels;
    const int64_t C = g.C, K = g.K, lanes = kernels->tile_lanes, panels = fc_pieces(K, lanes);
    /* A task is a panel of output channels by a few register tiles of input channels: of its 36 sums each adds up
     * all tiles' outer products, V and W of one position at a time, while W is in the level-1 or 2 cache. */
    const int64_t bands = fc_pieces(C, BAND), band_most = fc_min(C, BAND + kernels->tile_pixels);
    const int threads = fc_threads_for(g.flops);
    fc_status status = fc_column_sums(kernels, g.N * g.OH * g.OW, K, dy, dbias);
    if (status != FC_OK) return status;
    if (g.tiles == 0) memset(dkernel, 0, sizeof(float) * (size_t)(9 * C * K)); /* no block will write it */

    /* Tiles whose 36 V and W go through together: four megabytes of the larger, enough tiles to a sum. */
    const int64_t most = fc_min(g.tiles, fc_max(64, (1 << 20) / (POSITIONS * fc_max(C, K))));
    const int64_t v_step = most * C + LINE, w_step = most * K + LINE, m_step = band_most * lanes + LINE;
    const int64_t m_size = POSITIONS * m_step, zeros_size = fc_max(C, K);
    /* The last vector of W may reach past its tile: there is room after the last one, and what is there is
     * multiplied in lanes that are never stored. */
    float *memory =
        fc_floats(fc_plus(POSITIONS * (v_step + w_step) + lanes + zeros_size, fc_times(m_size, threads)));
    block b = {.tile = fc_indices(most)};
    if (!memory || !b.tile) {
        fc_free(memory);
        free(b.tile);
        return FC_OUT_OF_MEMORY;
    }
    float *V = memory, *W = V + POSITIONS * v_step, *zeros = W + POSITIONS * w_step + lanes;
    float *scratch = zeros + zeros_size;
    memset(zeros, 0, sizeof(float) * (size_t)zeros_size);

#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < g.tiles; first += most) {
        const int64_t count = fc_min(most, g.tiles - first);
#pragma omp single
        sort_tiles(&g, first, first + count, &b);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++) {
            transform_input(&g, &b, t, x, zeros, V, v_step);
            transform_gradient(&g, &b, t, dy, zeros, W, w_step);
        }

        float *M = scratch + fc_thread_index() * m_size;
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < panels * bands; task++) {
            const int64_t k = task / bands * lanes, channels = fc_min(lanes, K - k);
            const int64_t c = fc_part(C, bands, task % bands);
            const int64_t rows = fc_part(C, bands, task % bands + 1) - c, pieces = fc_pieces(rows, kernels->tile_pixels);
            for (int64_t i = 0; i < POSITIONS; i++) {
                const range with = tiles_with(&g, &b, i);
                const fc_pixels pixels = {.fresh = 1, .images = 1, .rows = 1, .pixels = with.end - with.first,
                                          .x_step = C, .dy_step = K};
                for (int64_t q = 0; q < pieces; q++) {
                    const int64_t r = fc_part(rows, pieces, q), next = fc_part(rows, pieces, q + 1);
                    kernels->outer_tile(&pixels, (int)(next - r), (int)lanes, V + i * v_step + with.first * C + c + r,
                                        W + i * w_step + with.first * K + k, M + i * m_step + r * lanes, lanes);
                }
            }
            for (int64_t r = 0; r < rows; r++) {
                float *tap[9], *ahead[9];
                for (int64_t i = 0; i < 9; i++) {
                    tap[i] = dkernel + (i * C + c + r) * K + k;
                    ahead[i] = dkernel + (i * C + fc_min(c + r + AHEAD, C - 1)) * K + k;
                }
                kernels->winograd_weights_gradient(M + r * lanes, m_step, (int)channels, tap, ahead, first == 0);
            }
        }
    }
    fc_free(memory);
    free(b.tile);
    return FC_OK;
}
