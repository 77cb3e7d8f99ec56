/* sum_kernel.h - sums[k] += a[0, k] + a[1, k] + ...: the gradient of a bias, and sums of partial sums.
 * Every channel has its own lane, so the order of additions is the order of rows. One vector's additions wait for one
 * another; so that the CPU does not wait with them, several vectors are summed side by side. */
INLINE void NAME(add_rows_of)(const int vectors, int64_t rows, int64_t K, const float *a, float *sums) {
    vfloat sum[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[v] = vload(sums + v * VLEN);
    for (int64_t r = 0; r < rows; r++, a += K)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[v] += vload(a + v * VLEN);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) vstore(sums + v * VLEN, sum[v]);
}

static void NAME(add_rows)(int64_t rows, int64_t K, const float *a, float *sums) {
    int64_t k = 0;
    for (; k + 4 * VLEN <= K; k += 4 * VLEN) NAME(add_rows_of)(4, rows, K, a + k, sums + k);
    if (k + 2 * VLEN <= K) NAME(add_rows_of)(2, rows, K, a + k, sums + k), k += 2 * VLEN;
    if (k + VLEN <= K) NAME(add_rows_of)(1, rows, K, a + k, sums + k), k += VLEN;
    const int rest = (int)(K - k);
    if (rest == 0) return;
    /* Lanes past the end of a row read the next one, and are dropped; the last rows have none to read. */
    const int64_t roomy = rows * K - k >= VLEN ? (rows * K - k - VLEN) / K + 1 : 0;
    vfloat sum = vload_first(sums + k, rest);
    int64_t r = 0;
    for (; r < roomy; r++) sum += vload(a + r * K + k);
    for (; r < rows; r++) sum += vload_first(a + r * K + k, rest);
    vstore_first(sums + k, sum, rest);
}
