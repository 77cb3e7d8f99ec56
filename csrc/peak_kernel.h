/* peak_kernel.h - the roof: 12 independent multiply-adds a round, two rounds unrolled, no memory at all.
 * Twelve chains are enough to keep two units of four cycles' latency busy with some to spare. */
static float NAME(fma_burst)(int64_t rounds) {
    enum { CHAINS = 12 };
    vfloat sum[CHAINS];
    const vfloat half = vbroadcast(0.5f), one = vbroadcast(1.0f);
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++) sum[i] = vbroadcast((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 2
        for (int twice = 0; twice < 2; twice++) {
#pragma GCC unroll 16
            for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * half + one; /* tends to 2: no overflow, no denormals */
        }
    }
    vfloat total = sum[0];
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++) total += sum[i];
    float first;
    memcpy(&first, &total, sizeof first);
    return first;
}
