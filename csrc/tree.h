/* tree.h - the order in which what belongs to the images of a batch is summed.
 *
 *     leaf l      images l L, ..., (l + 1) L - 1, in their order; L the smallest power of two >= max(4, N / 16)
 *     node        its left half + its right half, or the one of them that has images
 *
 *                 0 - 19                     N = 20, L = 4: five leaves
 *               /        \
 *           0 - 15        \
 *          /      \        \
 *       0 - 7    8 - 15     \
 *       /  \     /   \       \
 *     0-3 4-7  8-11 12-15  16-19
 *
 * It depends on N alone. So whoever computes the nodes, threads or machines that own a subtree each, the root has the
 * same bits. Where leaves come one after another, sums that wait for their right half are a stack: after leaf l those of
 * fc_joins(l) are added to, one after another, and after the last leaf all of them; it is never higher than
 * FC_MOST_WAITING.
 */
#ifndef FASTCONV_TREE_H
#define FASTCONV_TREE_H

#include <stdint.h>

enum { FC_LEAST_LEAF = 4, FC_MOST_LEAVES = 16, FC_MOST_WAITING = 4 };

/* Images in a leaf of a batch of N. */
static inline int64_t fc_leaf_of(int64_t N) {
    const int64_t least = N / FC_MOST_LEAVES + (N % FC_MOST_LEAVES > 0);
    int64_t leaf = FC_LEAST_LEAF;
    while (leaf < least) leaf *= 2;
    return leaf;
}

/* Nodes of more than one leaf that end with leaf l, where the leaves to the right of it have images. */
static inline int fc_joins(int64_t l) {
    int joins = 0;
    for (; l & 1; l >>= 1) joins++;
    return joins;
}

#endif
