/* axis.h - one axis of a convolution, seen from what comes out: which taps meet which source pixels.
 *
 * Forward, output i sees source pixels i*stride + kh*dilation - pad. Backward, input pixel i asks which outputs saw
 * it: i + pad - kh*dilation has to divide by the stride, which depends on i mod stride alone, its phase. So within
 * one phase the way back is a stride-1 convolution with that phase's taps, in reverse order; forward is the case
 * with one phase. (conv2d_direct.c tells it at length.)
 */
#ifndef FASTCONV_AXIS_H
#define FASTCONV_AXIS_H

#include "fastconv.h"
#include "memory.h"

/* Output i of phase f is at f + i*phases and sees source pixels i*step + offset[t] through taps tap[t],
 * first[f] <= t < first[f + 1], offsets ascending. */
typedef struct {
    int64_t source, outputs; /* pixels along the axis */
    int64_t step, phases;
    int64_t *first, *offset, *tap;
    int64_t least, most; /* offset */
} fc_axis;

static inline void fc_find_extent(fc_axis *a, int64_t taps) {
    a->least = INT64_MAX;
    a->most = INT64_MIN;
    for (int64_t t = 0; t < taps; t++) {
        a->least = fc_min(a->least, a->offset[t]);
        a->most = fc_max(a->most, a->offset[t]);
    }
}

static inline void fc_forward_axis(fc_axis *a, int64_t taps, int64_t dilation, int64_t pad) {
    a->first[0] = 0;
    a->first[1] = taps;
    for (int64_t t = 0; t < taps; t++) {
        a->offset[t] = t * dilation - pad;
        a->tap[t] = t;
    }
    fc_find_extent(a, taps);
}

static inline void fc_backward_axis(fc_axis *a, int64_t taps, int64_t dilation, int64_t pad) {
    int64_t t = 0;
    for (int64_t f = 0; f < a->phases; f++) {
        a->first[f] = t;
        for (int64_t tap = taps - 1; tap >= 0; tap--) {
            const int64_t distance = f + pad - tap * dilation;
            if (distance % a->phases) continue;
            a->offset[t] = distance / a->phases;
            a->tap[t++] = tap;
        }
    }
    a->first[a->phases] = t;
    fc_find_extent(a, taps);
}

static inline int64_t *fc_lay_out_axis(fc_axis *a, int64_t taps, int64_t *memory) {
    a->first = memory;
    a->offset = a->first + a->phases + 1;
    a->tap = a->offset + taps;
    return a->tap + taps;
}

/* Both axes of the forward pass, or of the way back. Returns the memory they live in, to be freed; or NULL. */
static inline int64_t *fc_find_axes(const fc_conv2d *conv, int backward, fc_axis *rows, fc_axis *columns) {
    *rows = (fc_axis){.source = conv->H, .outputs = conv->OH, .step = conv->stride_h, .phases = 1};
    *columns = (fc_axis){.source = conv->W, .outputs = conv->OW, .step = conv->stride_w, .phases = 1};
    if (backward) {
        *rows = (fc_axis){.source = conv->OH, .outputs = conv->H, .step = 1, .phases = conv->stride_h};
        *columns = (fc_axis){.source = conv->OW, .outputs = conv->W, .step = 1, .phases = conv->stride_w};
    }
    int64_t *memory = fc_indices(2 + rows->phases + columns->phases + 2 * (conv->KH + conv->KW));
    if (!memory) return NULL;
    fc_lay_out_axis(columns, conv->KW, fc_lay_out_axis(rows, conv->KH, memory));
    (backward ? fc_backward_axis : fc_forward_axis)(rows, conv->KH, conv->dilation_h, conv->pad_top);
    (backward ? fc_backward_axis : fc_forward_axis)(columns, conv->KW, conv->dilation_w, conv->pad_left);
    return memory;
}

/* The most outputs that a phase has. */
static inline int64_t fc_most_outputs(const fc_axis *a) { return (a->outputs + a->phases - 1) / a->phases; }

/* Source pixels from the first to the last that any of these outputs sees, the padding with them. */
static inline int64_t fc_extent(const fc_axis *a, int64_t outputs) {
    return (outputs - 1) * a->step + a->most - a->least + 1;
}

#endif
