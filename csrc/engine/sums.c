/* sums.c - what is summed over the batch: statistics of batch norm, gradients of weights, losses.
 *
 *     node = left half + right half        the tree of ../tree.h
 *
 * The leaves and what is below them are the methods' and the executor's. Here the nodes of this run's images are joined,
 * pair by pair, and where other processes have other parts of the batch (fc_part_of_batch) the nodes above them, with
 * what comes from there. Whoever joins two nodes does it with the left one first, and by the same function; so all have
 * the same bits.
 *
 *     statistics    mean and sum of squares, by Chan's rule (../moments.h), or two sums; in double precision
 *     gradients     where the methods of LANES have them, before `finish`; where the others do, op->gradient. What is
 *                   exchanged is one message, so that its latency counts once for each level
 *     losses        in double precision
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "moments.h"
#include "schedule.h"
#include "threads.h"

/* What a node is made of, and how two are joined: left = left + right, of so many images each. */
typedef struct kind {
    const fc_schedule *s;
    int64_t n; /* doubles, or floats */
    double places; /* of moments: numbers of a channel in an image */
    void (*join)(const struct kind *kind, int64_t left_images, void *left, int64_t right_images, const void *right);
} kind;

static void add_doubles(const kind *k, int64_t left_images, void *left, int64_t right_images, const void *right) {
    (void)left_images, (void)right_images;
    for (int64_t i = 0; i < k->n; i++) ((double *)left)[i] += ((const double *)right)[i];
}

static void add_floats(const kind *k, int64_t left_images, void *left, int64_t right_images, const void *right) {
    (void)left_images, (void)right_images;
    fc_add_floats(k->s->kernels, k->n, right, left);
}

static void join_moments(const kind *k, int64_t left_images, void *left, int64_t right_images, const void *right) {
    const int64_t C = k->n / 2;
    const double *b = right, m_a = (double)left_images * k->places, m_b = (double)right_images * k->places;
    double *a = left;
    for (int64_t c = 0; c < C; c++) fc_join_moments(m_a, &a[c], &a[C + c], m_b, b[c], b[C + c]);
}

/* ---- parts of a batch ---------------------------------------------------------------------------- */

/* Images that a part has room for: leaves are dealt out evenly, those that there are and as many more as make their
 * number a power of two. */
static int64_t room_of_part(int64_t N, int parts) {
    const int64_t leaf = fc_leaf_of(N), leaves = fc_pieces(N, leaf);
    int64_t each = 1;
    while (each * parts < leaves) each *= 2;
    return each * leaf;
}

int64_t fc_images_of_part(int64_t N, int parts, int number, int64_t *first) {
    const int64_t room = room_of_part(N, parts);
    *first = fc_min(N, number * room);
    return fc_min(room, N - *first);
}

/* From this part's node the root, in `mine` or `theirs`; NULL where the exchange failed. `bytes` of each. */
static void *joined_with_others(const fc_run *run, const kind *k, int64_t bytes, void *mine, void *theirs) {
    const fc_part_of_batch *part = run->part;
    if (!part) return mine;
    for (int level = 0; 1 << level < part->parts; level++) {
        if (part->exchange(part->context, level, bytes, mine, theirs)) return NULL;
        const int64_t half = room_of_part(part->N, part->parts) << level;
        const int64_t first = (part->number >> (level + 1)) * 2 * half;
        const int64_t left_images = fc_max(0, fc_min(half, part->N - first));
        const int64_t right_images = fc_max(0, fc_min(half, part->N - first - half));
        const int is_right = part->number >> level & 1;
        void *left = is_right ? theirs : mine;
        if (right_images) k->join(k, left_images, left, right_images, is_right ? mine : theirs);
        if (is_right) theirs = mine, mine = left;
    }
    return mine;
}

/* ---- statistics of batch norm --------------------------------------------------------------------- */

fc_status fc_sum_statistics(const fc_schedule *s, const fc_run *run, const fc_action *action) {
    const fc_op *op = &s->ops[action->op];
    const int64_t C = op->y.C, each = fc_node_images(action->way, s->leaf, s->kernels->lanes);
    const int64_t count = fc_pieces(s->N, each), size = 2 * C;
    const int going_back = action->kind == FC_GRADIENT_MOMENTS;
    const kind k = {.s = s, .n = size, .places = (double)(op->y.H * op->y.W), .join = going_back ? add_doubles : join_moments};
    double *nodes = (double *)(s->constant + s->nodes_at[action->op]);
    for (int64_t step = 1; step < count; step *= 2)
        for (int64_t i = 0; i + step < count; i += 2 * step)
            k.join(&k, step * each, nodes + i * size, fc_min(step * each, s->N - (i + step) * each),
                   nodes + (i + step) * size);
    const double *root =
        joined_with_others(run, &k, size * (int64_t)sizeof(double), nodes, s->message);
    if (!root) return FC_NOT_EXCHANGED;

    float *mean = s->constant + s->statistics_at[action->op];
    float *variance = mean + C, *dgamma = variance + C, *dbeta = dgamma + C;
    for (int64_t c = 0; c < C; c++) {
        if (going_back) {
            dbeta[c] = (float)root[c];
            dgamma[c] = (float)(root[C + c] * fc_inverse_deviation(variance[c], op->epsilon));
        } else {
            mean[c] = (float)root[c];
            variance[c] = fc_variance(root[C + c], (double)s->batch_N * k.places);
        }
    }
    if (!going_back) return FC_OK;
    if (op->gradient[0]) memcpy(op->gradient[0], dgamma, sizeof(float) * (size_t)C);
    if (op->gradient[1]) memcpy(op->gradient[1], dbeta, sizeof(float) * (size_t)C);
    return FC_OK;
}

/* ---- gradients of weights ------------------------------------------------------------------------- */

int fc_is_summed_in_place(const fc_schedule *s, int i, int w) {
    return s->reached[i] && s->ops[i].gradient[w] && s->sums_at[i] < 0 && !fc_takes_statistics(&s->ops[i]);
}

/* The first chunk's sums: those of all chunks. Elements are dealt out to the threads. */
static void add_chunks(const fc_schedule *s) {
    enum { BLOCK = 1 << 12 };
    const int64_t n = s->chunk_size, blocks = fc_pieces(n, BLOCK);
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)(s->chunks * n)))
    for (int64_t b = 0; b < blocks; b++) {
        float *at = s->chunk_sums + b * BLOCK;
        const int64_t floats = fc_min(BLOCK, n - b * BLOCK);
        for (int64_t step = 1; step < s->chunks; step *= 2)
            for (int64_t c = 0; c + step < s->chunks; c += 2 * step)
                s->kernels->add_rows(1, floats, at + (c + step) * n, at + c * n);
    }
}

/* Between the gradients and a message: there or back. */
static void copy_gradients(const fc_program *p, const fc_schedule *s, float *message, int back) {
    const size_t chunk = sizeof(float) * (size_t)s->chunk_size;
    memcpy(back ? s->chunk_sums : message, back ? message : s->chunk_sums, chunk);
    message += s->chunk_size;
    for (int i = 0; i < p->count; i++)
        for (int w = 0; w < FC_MOST_WEIGHTS; w++) {
            if (!fc_is_summed_in_place(s, i, w)) continue;
            float *gradient = s->ops[i].gradient[w];
            const int64_t n = fc_weight_size(&s->ops[i], w);
            memcpy(back ? gradient : message, back ? message : gradient, sizeof(float) * (size_t)n);
            message += n;
        }
}

static void finish(const fc_program *p, const fc_schedule *s) {
    const int threads = fc_threads_for((double)(s->chunks * s->chunk_size));
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int i = 0; i < p->count; i++)
        if (s->sums_at[i] >= 0 && s->reached[i])
            fc_method_of(FC_LANES, s->ops[i].kind)->finish(s->kernels, &s->ops[i], s->chunk_sums + s->sums_at[i]);
}

/* Gradients of what the loss does not depend on are zero. */
static void clear_unreached(const fc_schedule *s, int count) {
    for (int i = 0; i < count; i++)
        for (int w = 0; w < FC_MOST_WEIGHTS && !s->reached[i]; w++)
            if (s->ops[i].gradient[w])
                memset(s->ops[i].gradient[w], 0, sizeof(float) * (size_t)fc_weight_size(&s->ops[i], w));
}

/* Those of layers that are called again are added to what is there. */
static void add_to_given(const fc_program *p, const fc_schedule *s) {
    for (int i = p->count - 1; i >= 0; i--)
        for (int w = 0; w < FC_MOST_WEIGHTS; w++) {
            float *given = p->ops[i].gradient[w];
            if (given && s->ops[i].adds)
                fc_add_floats(s->kernels, fc_weight_size(&s->ops[i], w), s->ops[i].gradient[w], given);
        }
}

fc_status fc_sum_gradients(const fc_program *p, const fc_schedule *s, const fc_run *run) {
    add_chunks(s);
    if (run->part && run->part->parts > 1) {
        const kind k = {.s = s, .n = s->message_size, .join = add_floats};
        copy_gradients(p, s, s->message, 0);
        float *root = joined_with_others(run, &k, k.n * (int64_t)sizeof(float), s->message, s->message + k.n);
        if (!root) return FC_NOT_EXCHANGED;
        copy_gradients(p, s, root, 1);
    }
    finish(p, s);
    clear_unreached(s, p->count);
    add_to_given(p, s);
    return FC_OK;
}

/* ---- losses --------------------------------------------------------------------------------------- */

static double sum_of(const fc_loss *loss, int64_t first, int64_t end) {
    const float *weights = loss->targets.weights;
    double sum = 0;
    for (int64_t n = first; n < end; n++) sum += (weights ? (double)weights[n] : 1) * (double)loss->losses[n];
    return sum;
}

fc_status fc_sum_losses(const fc_schedule *s, const fc_run *run) {
    double nodes[FC_MOST_LEAVES][FC_MOST_INPUTS] = {{0}}, others[FC_MOST_INPUTS];
    const kind k = {.s = s, .n = run->losses, .join = add_doubles};
    const int64_t leaves = fc_pieces(s->N, s->leaf);
    if (!run->totals) return FC_OK;
    for (int64_t l = 0; l < leaves; l++)
        for (int i = 0; i < run->losses; i++)
            nodes[l][i] = sum_of(&run->loss[i], l * s->leaf, fc_min(s->N, (l + 1) * s->leaf));
    for (int64_t step = 1; step < leaves; step *= 2)
        for (int64_t l = 0; l + step < leaves; l += 2 * step) add_doubles(&k, 0, nodes[l], 0, nodes[l + step]);
    const double *root = joined_with_others(run, &k, run->losses * (int64_t)sizeof(double), nodes[0], others);
    if (!root) return FC_NOT_EXCHANGED;
    memcpy(run->totals, root, sizeof(double) * (size_t)run->losses);
    return FC_OK;
}
