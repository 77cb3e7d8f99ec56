/* isa_neon.c - NEON, which every aarch64 has: 4 floats a vector, 32 registers: 12 x 2 sums. */
#if defined(__aarch64__) && defined(__GNUC__)
#define ISA neon
#define VLEN 4
#define TILE_PIXELS 12
#define BUNDLE_PIXELS 4
#define BUNDLE_CHANNELS 6
#include "isa.h"
#endif
