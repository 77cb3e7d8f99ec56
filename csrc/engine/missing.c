/* missing.c - empty tables in place of those that are not written yet. */
#include "engine.h"

#define WEAK __attribute__((weak))
const fc_method fc_pixels_methods[FC_OP_KINDS] WEAK = {{0}};
