/* lanes_dropout.c - dropout of a bundle: the words of its images side by side, each image's the same as in pixels.
 *
 *     y = scale x + shift   where word >= threshold, else fill;    dx = scale dy, or 0;    at rest y = x and dx = dy
 *
 * A block of places has its words in a buffer. Places are counted row after row, so a block may reach over the end of a
 * row, where the tensor's border lies between; where a channel has one word for all pixels, the block is of channels.
 */
#include <string.h>

#include "engine.h"
#include "matmul.h"
#include "memory.h"
#include "threefry.h"

typedef struct {
    const fc_kernels *kernels;
    fc_dropout_rule rule;
    fc_view from, to;
    int64_t length; /* vectors in a row of pixels */
} job;

/* Places [at, at + n) of the image, counted as the words are. */
static void drop_places(const job *j, int64_t at, int64_t n, const uint32_t *words) {
    const int64_t V = j->kernels->lanes;
    for (int64_t i = 0, piece; i < n; i += piece) {
        const int64_t h = (at + i) / j->length, w = (at + i) % j->length;
        piece = fc_min(n - i, j->length - w);
        j->kernels->drop(&j->rule, piece * V, words + i * V, j->from.at + (h * j->from.row + w) * V,
                         j->to.at + (h * j->to.row + w) * V);
    }
}

static void copy_rows(const job *j, int64_t rows) {
    const int64_t V = j->kernels->lanes;
    for (int64_t h = 0; h < rows; h++)
        memcpy(j->to.at + h * j->to.row * V, j->from.at + h * j->from.row * V,
               sizeof(float) * (size_t)(j->length * V));
}

static fc_status drop(const fc_work *work, fc_view from, fc_view to, float shift, float fill) {
    const fc_op *op = work->op;
    const fc_size size = op->y;
    const job j = {work->kernels, {op->threshold, op->scale, shift, fill}, from, to, size.W * size.C};
    if (!to.at) return FC_OK;
    if (!op->training) {
        copy_rows(&j, size.H);
        return FC_OK;
    }
    const fc_random_key key = fc_key_of(*op->random);
    const int64_t pixels = op->spatial ? size.H * size.W : 1, places = op->spatial ? size.C : size.H * j.length;
    uint32_t words[FC_RANDOM_BLOCK * FC_MOST_LANES];
    for (int64_t i = 0; i < places; i += FC_RANDOM_BLOCK) {
        const int64_t n = fc_min(FC_RANDOM_BLOCK, places - i);
        work->kernels->bundle_random_words(key, (uint32_t)work->first, i, n, words);
        for (int64_t p = 0; p < pixels; p++) drop_places(&j, p * places + i, n, words);
    }
    return FC_OK;
}

static fc_status forward(const fc_work *work) {
    return drop(work, work->x[0], work->y, work->op->shift, work->op->fill);
}
static fc_status backward(const fc_work *work) { return drop(work, work->dy, work->dx[0], 0, 0); }

const fc_method fc_lanes_dropout = {.forward = forward, .backward = backward};
