/* sum_kernel.h - sums[k] += a[0, k] + a[1, k] + ...: the gradient of a bias, and sums of partial sums.
 * Every channel has its own lane, so the order of additions is the order of rows. */
static void NAME(add_rows)(int64_t rows, int64_t K, const float *a, float *sums) {
    int64_t k = 0;
    for (; k + VLEN <= K; k += VLEN) {
        vfloat sum = vload(sums + k);
        for (int64_t r = 0; r < rows; r++) sum += vload(a + r * K + k);
        vstore(sums + k, sum);
    }
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
