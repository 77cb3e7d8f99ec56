/* connected_kernel.h - images in the lanes (bundle_kernel.h), and sums over those maps alone that are connected.
 *
 *     connected_tile        y[p] = bias + sum over r, j of x[p*x_step + offset[r] + reach[j]] w[r*length + j]
 *     connected_outer_tile  dw[j, k] += sum over pixels of x[pixel, j*tap_step] dy[pixel, filter[k]]
 *
 * x, y, dy and dw are vectors of images; steps and offsets count vectors. A run is what a filter sees in one row of
 * pixels: `reach` lists the places, tap by tap the maps it is connected to. Every filter has maps of its own, so
 * that a tile has a single one: with 12 pixels a step loads 12 vectors and a weight for 12 multiply-adds, and a
 * CPU that starts two loads and two multiply-adds a cycle waits for neither. 12 sums, a weight and a pixel fit into
 * 16 registers.
 */
enum { CONNECTED_PIXELS = FC_CONNECTED_PIXELS };

INLINE void NAME(connected_tile_of)(const int P, const fc_product *product, const int64_t *reach, const float *x,
                                    const float *w, float bias, float *y) {
    const int64_t x_step = product->x_step * VLEN, length = product->length;
    vfloat sum[CONNECTED_PIXELS];
#pragma GCC unroll 12
    for (int p = 0; p < P; p++) sum[p] = vbroadcast(bias);
    for (int64_t r = 0; r < product->runs; r++, w += length) {
        const float *run = x + product->offset[r] * VLEN;
        for (int64_t j = 0; j < length; j++) {
            const float *at = run + reach[j] * VLEN;
            const vfloat weight = vbroadcast(w[j]);
#pragma GCC unroll 12
            for (int p = 0; p < P; p++) sum[p] += vload(at + p * x_step) * weight;
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < P; p++) vstore(y + p * product->y_step * VLEN, sum[p]);
}

static void NAME(connected_tile)(const fc_product *product, const int64_t *reach, int pixels, const float *x,
                                 const float *w, float bias, float *y) {
#define CASE(P) \
    case P: NAME(connected_tile_of)(P, product, reach, x, w, bias, y); break;
    switch (pixels) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
    }
#undef CASE
}

/* A map is seen by many filters: here a tile has several, and taps that lie side by side. */
static void NAME(connected_outer_tile)(const fc_pixels *pixels, int64_t tap_step, const int64_t *filter, int taps,
                                       int filters, const float *x, const float *dy, float *dw, int64_t dw_step) {
#define CASE(J, K) \
    case J * 8 + K: NAME(bundle_outer_tile_of)(J, K, pixels, tap_step, filter, x, dy, dw, dw_step); break;
    switch (taps * 8 + filters) { TALL_CASES } /* of bundle_kernel.h */
#undef CASE
}
#undef TALL_CASES
#undef WIDE_CASES
#undef UP_TO_4
#undef FROM_5_TO_6
