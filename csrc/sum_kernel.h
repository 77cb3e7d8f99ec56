/* sum_kernel.h - sums[k] += a[0, k] + a[1, k] + ...: the gradient of a bias, and sums of partial sums.
 * Every channel has its own lane, so the order of additions is the order of rows. */
static void NAME(add_rows)(int64_t rows, int64_t K, const float *a, float *sums) {
    int64_t k = 0;
    for (; k + VLEN <= K; k += VLEN) {
        vfloat sum = vload(sums + k);
        for (int64_t r = 0; r < rows; r++) sum += vload(a + r * K + k);
        vstore(sums + k, sum);
    }
    for (; k < K; k++) {
        float sum = sums[k];
        for (int64_t r = 0; r < rows; r++) sum += a[r * K + k];
        sums[k] = sum;
    }
}
