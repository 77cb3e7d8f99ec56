/* pixels_dropout.c - dropout of images in pixels: dropout.c with the numbers of the images that are at work.
 *
 *     y = scale x + shift   where word >= threshold, else fill;    dx = scale dy, or 0;    at rest y = x and dx = dy
 */
#include <string.h>

#include "dropout.h"
#include "engine.h"

static void copy_part(int64_t n, int part, int parts, const float *from, float *to) {
    const int64_t first = fc_part(n, parts, part), end = fc_part(n, parts, part + 1);
    memcpy(to + first, from + first, sizeof(float) * (size_t)(end - first));
}

/* By the thread's own team, or by as many as the driver wakes. */
static fc_status drop(const fc_work *work, int back, int whole) {
    const fc_op *op = work->op;
    const float *from = back ? work->dy.at : work->x[0].at;
    float *to = back ? work->dx[0].at : work->y.at;
    const int64_t pixels = op->y.H * op->y.W;
    const int part = whole ? 0 : work->member, parts = whole ? 1 : work->team;
    if (!to) return FC_OK;
    if (!op->training) {
        copy_part(work->images * fc_size_of(op->y), part, parts, from, to);
        return FC_OK;
    }
    const fc_dropout d = {.images = work->images, .pixels = op->spatial ? pixels : 1,
                          .places = op->spatial ? op->y.C : pixels * op->y.C, .first_image = work->first,
                          .stream = *op->random, .threshold = op->threshold, .scale = op->scale,
                          .shift = back ? 0 : op->shift, .fill = back ? 0 : op->fill};
    if (whole) fc_dropout_forward(&d, from, to);
    else fc_dropout_part(work->kernels, &d, part, parts, from, to);
    return FC_OK;
}

static fc_status forward(const fc_work *work) { return drop(work, 0, 0); }
static fc_status backward(const fc_work *work) { return drop(work, 1, 0); }
static fc_status whole_forward(const fc_work *work) { return drop(work, 0, 1); }
static fc_status whole_backward(const fc_work *work) { return drop(work, 1, 1); }

const fc_method fc_pixels_dropout = {.forward = forward, .backward = backward};
const fc_method fc_whole_dropout = {.forward = whole_forward, .backward = whole_backward};
