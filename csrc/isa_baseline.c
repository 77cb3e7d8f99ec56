/* isa_baseline.c - what every CPU of the architecture has: SSE2 on x86-64, plain floats elsewhere.
 * Sixteen registers and no fused multiply-add: 4 x 2 sums, 2 vectors of weights, a pixel, a product. */
#define ISA baseline
#if defined(__x86_64__) && defined(__GNUC__)
#define VLEN 4
#else
#define VLEN 1
#endif
#define TILE_PIXELS 4
#define BUNDLE_PIXELS 2
#define BUNDLE_CHANNELS 4
#include "isa.h"
