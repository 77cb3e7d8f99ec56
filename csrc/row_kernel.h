/* row_kernel.h - one row times a matrix.
 *
 *     row_tile   y[k] = bias[k] + sum over c of x[c] w[c, k]
 *
 * A register tile (tile_kernel.h) of one row is two sums, and every multiply-add waits the 4 cycles that the one
 * before it takes: 2 in 4 cycles, where the CPU could start 8. With a single row there are registers to spare, so a
 * tile is FC_ROW_VECTORS vectors of channels wide. The products are added up in the same order.
 */
INLINE void NAME(row_tile_of)(const int V, int64_t C, int channels, const float *x, const float *w, int64_t w_step,
                              const float *bias, float *y) {
    vfloat sum[FC_ROW_VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sum[v] = vload(bias + v * VLEN);
    for (int64_t c = 0; c < C; c++, w += w_step) {
        const vfloat number = vbroadcast(x[c]);
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sum[v] += number * vload(w + v * VLEN);
    }
#pragma GCC unroll 8
    for (int v = 0; v < V - 1; v++) vstore(y + v * VLEN, sum[v]);
    const int last = channels - (V - 1) * VLEN;
    if (last == VLEN) vstore(y + (V - 1) * VLEN, sum[V - 1]);
    else vstore_first(y + (V - 1) * VLEN, sum[V - 1], last);
}

static void NAME(row_tile)(int64_t C, int channels, const float *x, const float *w, int64_t w_step, const float *bias,
                           float *y) {
#define CASE(V) \
    case V: NAME(row_tile_of)(V, C, channels, x, w, w_step, bias, y); break;
    switch ((channels + VLEN - 1) / VLEN) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
}
