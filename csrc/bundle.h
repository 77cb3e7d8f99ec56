/* bundle.h - how products with images in the lanes are cut into the register tiles of bundle_kernel.h. */
#ifndef FASTCONV_BUNDLE_H
#define FASTCONV_BUNDLE_H

#include "matmul.h"
#include "memory.h"

/* How many tiles, along each side. */
typedef struct {
    int64_t pixels, channels;
} fc_tiling;

/* Of the two shapes of tiles the one of which fewer are needed: LeNet's 28 x 6 sums of a row are 20 tiles of 3 x 4 or
 * 14 of 2 x 6. */
static inline fc_tiling fc_bundle_tiling(const fc_kernels *kernels, int64_t pixels, int64_t channels) {
    const fc_tiling tall = {fc_pieces(pixels, kernels->bundle_pixels), fc_pieces(channels, kernels->bundle_channels)};
    const fc_tiling wide = {fc_pieces(pixels, kernels->bundle_wide_pixels),
                            fc_pieces(channels, kernels->bundle_wide_channels)};
    return wide.pixels * wide.channels < tall.pixels * tall.channels ? wide : tall;
}

/* Vectors of sums that are added up over their lanes together: enough for many squares of lanes, few enough for the
 * level-1 cache. A row of tiles is added to them while they are fewer, so there may be one row more. */
enum { FC_SUMS_AT_ONCE = 256 };

/* Rows of K sums that there may be at once, of `all`. */
static inline int64_t fc_rows_at_once(const fc_kernels *kernels, int64_t all, int64_t K) {
    return fc_min(all, FC_SUMS_AT_ONCE / K + 1 + kernels->bundle_pixels);
}

#endif
