/* leaves.h - the gradients of an operation's two weights, leaf by leaf of the tree that sums a batch: ../tree.h.
 *
 *     for every leaf: fill fc_leaf_place(sums, 0) and (sums, 1), then fc_leaf_end
 *
 * Of the nodes that wait for their right half the first is where the root is to be, the others are in `waiting`, which
 * has fc_waiting(leaves) times the floats of both.
 */
#ifndef FASTCONV_ENGINE_LEAVES_H
#define FASTCONV_ENGINE_LEAVES_H

#include "engine.h"
#include "matmul.h"

typedef struct {
    const fc_kernels *kernels;
    int64_t leaves;
    float *root[2];
    int64_t n[2]; /* floats; 0: that one is not summed, and each leaf's goes to the root's place */
    float *waiting;
    int64_t ended;
    int nodes; /* that wait */
} fc_leaf_sums;

/* Nodes that wait beside the first one, at most. */
static inline int fc_waiting(int64_t leaves) {
    int waiting = 0;
    while (INT64_C(1) << waiting < leaves) waiting++;
    return waiting;
}

static inline float *fc_node_place(const fc_leaf_sums *s, int node, int which) {
    if (node == 0 || s->n[which] == 0) return s->root[which];
    return s->waiting + (node - 1) * (s->n[0] + s->n[1]) + (which ? s->n[0] : 0);
}

static inline float *fc_leaf_place(const fc_leaf_sums *s, int which) { return fc_node_place(s, s->nodes, which); }

static inline void fc_leaf_end(fc_leaf_sums *s) {
    const int is_last = s->ended + 1 == s->leaves, least = is_last ? 0 : s->nodes - fc_joins(s->ended);
    for (; s->nodes > least; s->nodes--)
        for (int i = 0; i < 2; i++)
            if (s->n[i])
                fc_add_floats(s->kernels, s->n[i], fc_node_place(s, s->nodes, i), fc_node_place(s, s->nodes - 1, i));
    s->nodes++, s->ended++;
}

/* Images from `first` on, at most a leaf, as those at work. Of the first input, y and their
 * gradients alone. */
static inline fc_work fc_leaf_at(const fc_work *work, int64_t first) {
    fc_work leaf = *work;
    leaf.images = work->leaf < work->images - first ? work->leaf : work->images - first;
    leaf.first += first, leaf.number += first;
    if (leaf.x[0].at) leaf.x[0].at += first * fc_size_of(work->op->x[0]);
    if (leaf.dx[0].at) leaf.dx[0].at += first * fc_size_of(work->op->x[0]);
    if (leaf.y.at) leaf.y.at += first * fc_size_of(work->op->y);
    if (leaf.dy.at) leaf.dy.at += first * fc_size_of(work->op->y);
    return leaf;
}

static inline int64_t fc_leaves_of(const fc_work *work) { return fc_pieces(work->images, work->leaf); }

#endif
