/* lanes_dropout.c - dropout of a bundle: the words of its images side by side, each image's the same as in pixels.
 *
 *     y = scale x + shift   where word >= threshold, else fill;    dx = scale dy, or 0;    at rest y = x and dx = dy
 *
 * A block of places has its words in a buffer. Places are counted row after row, so a block may reach over the end of a
 * row, where the tensor's border lies between; where a channel has one word for all pixels, the block is of channels.
 */
#include "lanes.h"
#include "threefry.h"

typedef struct {
    const fc_work *work;
    fc_dropout_rule rule;
    fc_view from, to;
} job;

/* Places [at, at + n) of the image. */
static void drop_places(const job *j, int64_t at, int64_t n, const uint32_t *words) {
    const int64_t V = j->work->kernels->lanes, length = j->work->op->y.W * j->work->op->y.C;
    for (int64_t i = 0, piece; i < n; i += piece) {
        const int64_t h = (at + i) / length, w = (at + i) % length;
        piece = fc_min(n - i, length - w);
        j->work->kernels->drop(&j->rule, piece * V, words + i * V, fc_row_of(j->work, j->from, h) + w * V,
                               fc_row_of(j->work, j->to, h) + w * V);
    }
}

static fc_status drop(const fc_work *work, fc_view from, fc_view to, float shift, float fill) {
    const fc_op *op = work->op;
    const fc_size size = op->y;
    if (!to.at) return FC_OK;
    if (!op->training) {
        for (int64_t h = 0; h < size.H; h++)
            fc_copy(fc_row_of(work, to, h), fc_row_of(work, from, h), fc_row_floats(work, size));
        return FC_OK;
    }
    const job j = {work, {op->threshold, op->scale, shift, fill}, from, to};
    const fc_random_key key = fc_key_of(*op->random);
    const int64_t pixels = op->spatial ? size.H * size.W : 1, places = op->spatial ? size.C : fc_size_of(size);
    uint32_t words[FC_RANDOM_BLOCK * FC_MOST_LANES];
    for (int64_t i = 0; i < places; i += FC_RANDOM_BLOCK) {
        const int64_t n = fc_min(FC_RANDOM_BLOCK, places - i);
        work->kernels->bundle_random_words(key, (uint32_t)work->number, i, n, words);
        for (int64_t p = 0; p < pixels; p++) drop_places(&j, p * places + i, n, words);
    }
    return FC_OK;
}

fc_status fc_lanes_dropout_forward(const fc_work *work) {
    return drop(work, work->x[0], work->y, work->op->shift, work->op->fill);
}

fc_status fc_lanes_dropout_backward(const fc_work *work) { return drop(work, work->dy, work->dx[0], 0, 0); }
