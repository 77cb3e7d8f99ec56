/* tile_kernel.h - the register tile: where nearly all the time of a network is spent.
 *
 *     product_tile   y[p, k] = bias[p, k] + sum over r, j of x[p*x_step + offset[r] + j] w[r*length + j, k]
 *     outer_tile     dw[j, k] += sum over p of x[p, j] dy[p, k]             the pixels of leaves by themselves (tree.h)
 *
 * Both keep a block of sums in registers for as long as they can: TILE_PIXELS rows by two vectors of
 * channels. One step of product_tile loads two vectors of weights and TILE_PIXELS single floats of x,
 * and does TILE_PIXELS x 2 vector multiply-adds with them. For AVX-512 that is 24 multiply-adds for 14
 * loads; the CPU can start 2 of each in a cycle, so the multiply-adds are what it waits for, as it
 * should. It also takes about 2 x 4 independent sums to hide the 4 cycles that a multiply-add takes;
 * there are 24. Register budget: 24 sums + 2 weights + 1 broadcast x = 27 of 32.
 *
 * A "run" is a stretch of x that lies consecutively in memory and meets consecutive rows of weights. In
 * an NHWC image the KW taps of one kernel row are KW * C_in consecutive floats, so a convolution has KH
 * runs, neighbouring pixels' runs overlap, and no patch is ever copied. A matrix product has one run.
 *
 * The fast one differs from the naive loops only in the order of the loops: for each y[p, k] the same
 * products are added in the same order, whatever the tile's shape, so any split of the work gives the
 * same bits.
 */

/* ---- y = bias + x w --------------------------------------------------------------------------- */

/* Twelve pointers and the rest are more than there are general registers. So a large tile keeps one for every three
 * pixels: base, base + step and base + 2 step are addressing modes. A small tile has one for each, and then the pixels
 * need not be at a constant step: the tile may go round the end of a row of the image. Rows of 14 or 7 pixels would be
 * tiles of 5 + 5 + 4 or 4 + 3, with too few sums to hide a multiply-add's latency. Measured, AVX2: 1.09 times as fast
 * on 14 x 14 pixels and 1.2 times on 7 x 7, so that all sizes reach 82 to 87% of the multiply-adds the core can do. */
#if TILE_PIXELS > 6
#define PIXELS_A_POINTER 3
#else
#define PIXELS_A_POINTER 1
#endif

/* P and V are constants at every call, so that the arrays become registers and the loops vanish. */
INLINE void NAME(product_tile_of)(const int P, const int V, const fc_product *product, int channels, const float *x,
                                  const float *w, const float *bias, float *y) {
    const int64_t x_step = product->x_step, w_step = product->w_step, length = product->length;
    vfloat sum[TILE_PIXELS][2];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++)
        for (int v = 0; v < V; v++) sum[p][v] = vload(bias + p * product->bias_step + v * VLEN);

    for (int64_t r = 0; r < product->runs; r++) {
        const float *from[TILE_PIXELS];
#pragma GCC unroll 16
        for (int i = 0; i < P; i += PIXELS_A_POINTER) {
            from[i] = x + product->offset[r] + i * x_step;
            if (PIXELS_A_POINTER == 1 && i >= product->turn) from[i] += product->skip;
        }

        for (int64_t j = 0; j < length; j++, w += w_step) {
            vfloat weight[2];
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) weight[v] = vload(w + v * VLEN);
            PREFETCH(w + 16 * w_step); /* rows that lie far apart are no stream to the CPU's own prefetcher */
            if (V == 2) PREFETCH(w + 16 * w_step + VLEN);
#pragma GCC unroll 16
            for (int p = 0; p < P; p++) {
                const int i = p % PIXELS_A_POINTER;
                const vfloat pixel = vbroadcast(from[p - i][i * x_step]);
#pragma GCC unroll 2
                for (int v = 0; v < V; v++) sum[p][v] += pixel * weight[v];
            }
#pragma GCC unroll 16
            for (int i = 0; i < P; i += PIXELS_A_POINTER) from[i]++;
        }
    }

    /* Where pixels lie side by side, a last vector that is not full spills into the next pixel, which is
     * stored after it; only the tile's own end needs care. */
    const int last = channels - (V - 1) * VLEN; /* channels in the last vector */
    const int64_t spill_until = product->y_step == channels ? P * product->y_step - V * VLEN : -1;
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
        float *to = y + p * product->y_step;
        if (V == 2) vstore(to, sum[p][0]);
        if (last == VLEN || p * product->y_step <= spill_until)
            vstore(to + (V - 1) * VLEN, sum[p][V - 1]);
        else
            vstore_first(to + (V - 1) * VLEN, sum[p][V - 1], last);
    }
}

/* ---- dw += x^T dy ----------------------------------------------------------------------------- */

#define ADD_WAITING                                \
    _Pragma("GCC unroll 16") for (int j = 0; j < J; j++) \
        for (int v = 0; v < V; v++) sum[j][v] = waiting[height][j][v] + sum[j][v];

/* Sums of leaves that wait for their right half are kept beside the tile: a few kilobytes in the first-level cache. */
INLINE void NAME(outer_tile_of)(const int J, const int V, const fc_pixels *pixels, int channels, const float *x,
                                const float *dy, float *dw, int64_t dw_step) {
    const int last = channels - (V - 1) * VLEN;
    vfloat sum[TILE_PIXELS][2], waiting[FC_MOST_WAITING][TILE_PIXELS][2];
    int height = 0;
#pragma GCC unroll 16
    for (int j = 0; j < J; j++) {
        const float *from = dw + j * dw_step;
        for (int v = 0; v < V; v++) sum[j][v] = (vfloat){0};
        if (pixels->fresh) continue;
        if (V == 2) sum[j][0] = vload(from);
        sum[j][V - 1] = last == VLEN ? vload(from + (V - 1) * VLEN) : vload_first(from + (V - 1) * VLEN, last);
    }

    int64_t left = pixels->leaf ? pixels->leaf : INT64_MAX, leaf = 0;
    const int64_t x_step = pixels->x_step, dy_step = pixels->dy_step;
    for (int64_t n = 0; n < pixels->images; n++) {
        for (int64_t h = 0; h < pixels->rows; h++) {
            const float *x_pixel = x + n * pixels->x_image + h * pixels->x_row;
            const float *dy_pixel = dy + n * pixels->dy_image + h * pixels->dy_row;
            for (int64_t rest = pixels->pixels; rest > 0;) {
                if (left == 0) {
                    for (int64_t l = leaf++; l & 1; l /= 2) {
                        height--;
                        ADD_WAITING
                    }
#pragma GCC unroll 16
                    for (int j = 0; j < J; j++)
                        for (int v = 0; v < V; v++) waiting[height][j][v] = sum[j][v], sum[j][v] = (vfloat){0};
                    height++, left = pixels->leaf;
                }
                int64_t count = rest < left ? rest : left;
                rest -= count, left -= count;
                for (; count > 0; count--, x_pixel += x_step, dy_pixel += dy_step) {
                    PREFETCH(x_pixel + 8 * x_step);
                    PREFETCH(dy_pixel + 8 * dy_step);
                    if (V == 2) PREFETCH(dy_pixel + 8 * dy_step + VLEN);
                    vfloat gradient[2];
#pragma GCC unroll 2
                    for (int v = 0; v < V; v++) gradient[v] = vload(dy_pixel + v * VLEN);
#pragma GCC unroll 16
                    for (int j = 0; j < J; j++) {
                        const vfloat pixel = vbroadcast(x_pixel[j]);
#pragma GCC unroll 2
                        for (int v = 0; v < V; v++) sum[j][v] += pixel * gradient[v];
                    }
                }
            }
        }
    }
    while (height--) ADD_WAITING

#pragma GCC unroll 16
    for (int j = 0; j < J; j++) {
        float *to = dw + j * dw_step;
        if (V == 2) vstore(to, sum[j][0]);
        if (last == VLEN)
            vstore(to + (V - 1) * VLEN, sum[j][V - 1]);
        else
            vstore_first(to + (V - 1) * VLEN, sum[j][V - 1], last);
    }
}

#undef ADD_WAITING

/* ---- one machine-code tile for every size ------------------------------------------------------ */

#if TILE_PIXELS >= 12
#define TILE_SIZES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#elif TILE_PIXELS >= 6
#define TILE_SIZES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#else
#define TILE_SIZES(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#endif

static void NAME(product_tile)(const fc_product *product, int pixels, int channels, const float *x, const float *w,
                               const float *bias, float *y) {
#define TILE(P)                                                                         \
    case P:                                                                             \
        if (channels > VLEN) NAME(product_tile_of)(P, 2, product, channels, x, w, bias, y); \
        else NAME(product_tile_of)(P, 1, product, channels, x, w, bias, y);             \
        break;
    switch (pixels) { TILE_SIZES(TILE) }
#undef TILE
}

static void NAME(outer_tile)(const fc_pixels *pixels, int rows, int channels, const float *x, const float *dy,
                             float *dw, int64_t dw_step) {
#define TILE(J)                                                                             \
    case J:                                                                                 \
        if (channels > VLEN) NAME(outer_tile_of)(J, 2, pixels, channels, x, dy, dw, dw_step); \
        else NAME(outer_tile_of)(J, 1, pixels, channels, x, dy, dw, dw_step);               \
        break;
    switch (rows) { TILE_SIZES(TILE) }
#undef TILE
}
#undef TILE_SIZES
