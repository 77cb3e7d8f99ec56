/* kernels_test.c - the C API against the formulas, without Python.
 *
 * For machines that have no Python of ours, foremost other architectures under an emulator:
 *
 *     cc -std=gnu11 -O2 -fopenmp -Icsrc tests/c/kernels_test.c csrc/[all].c csrc/engine/[all].c -lm && ./a.out
 *
 * tools/qemu_tests.sh does that for this machine and for aarch64. Every instruction set that the CPU has is
 * tested; the Python tests go deeper into each operation.
 */
#include "arrays.h"
#include "engine/engine.h"
#include "fastconv.h"
#include "formulas.h"
#include "matmul.h"
#include "memory.h"

static double *widened(const float *array, int64_t count) {
    double *wide = zeros(count);
    for (int64_t i = 0; i < count; i++) wide[i] = array[i];
    return wide;
}

/* ---- convolution -------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    fc_conv2d_forward *forward;
    fc_conv2d_backward_data *backward_data;
    fc_conv2d_backward_kernel *backward_kernel;
    double tolerance; /* of the largest element: roundings of sums of up to some thousand products */
} algorithm;

static const algorithm algorithms[] = {
    {"naive", fc_conv2d_forward_naive, fc_conv2d_backward_data_naive, fc_conv2d_backward_kernel_naive, 2e-5},
    {"im2col", fc_conv2d_forward_im2col, fc_conv2d_backward_data_im2col, fc_conv2d_backward_kernel_im2col, 2e-5},
    {"direct", fc_conv2d_forward_direct, fc_conv2d_backward_data_direct, fc_conv2d_backward_kernel_direct, 2e-5},
    /* Its transforms round about ten times as much. */
    {"winograd", fc_conv2d_forward_winograd, fc_conv2d_backward_data_winograd, fc_conv2d_backward_kernel_winograd,
     2e-4},
};

/* N, H, W, C_in, C_out, KH, KW, stride, dilation, pad_top, pad_left, pad_bottom, pad_right, groups */
static const int conv_cases[][14] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1},      {2, 5, 4, 3, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {1, 28, 28, 1, 6, 5, 5, 1, 1, 2, 2, 2, 2, 1},    {3, 14, 14, 6, 16, 5, 5, 1, 1, 0, 0, 0, 0, 1},
    {2, 8, 8, 3, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},     {2, 9, 7, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {17, 6, 6, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {2, 16, 16, 16, 20, 5, 5, 1, 1, 2, 2, 2, 2, 1},
    {1, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1},  {2, 7, 7, 33, 65, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {1, 6, 5, 130, 31, 3, 3, 1, 1, 0, 0, 0, 0, 1},   {1, 7, 7, 1, 64, 7, 7, 1, 1, 3, 3, 3, 3, 1},
    {2, 11, 9, 4, 5, 3, 3, 2, 1, 0, 0, 1, 1, 1},     {2, 11, 9, 4, 5, 3, 2, 2, 1, 1, 0, 0, 1, 1},
    {1, 12, 13, 5, 7, 3, 3, 3, 1, 1, 1, 1, 1, 1},    {1, 13, 12, 3, 4, 3, 3, 1, 2, 2, 2, 2, 2, 1},
    {2, 15, 10, 2, 3, 2, 4, 2, 3, 1, 3, 2, 0, 1},    {2, 6, 6, 8, 12, 3, 3, 1, 1, 1, 1, 1, 1, 4},
    {1, 9, 9, 6, 6, 3, 3, 2, 1, 1, 1, 1, 1, 6},      {2, 5, 5, 12, 8, 1, 1, 1, 1, 0, 0, 0, 0, 1},
    {2, 6, 4, 7, 9, 1, 1, 2, 1, 0, 0, 0, 0, 1},      {1, 4, 30, 3, 17, 1, 5, 1, 1, 0, 2, 0, 2, 1},
    {1, 30, 4, 3, 17, 5, 1, 1, 1, 2, 0, 2, 0, 1},    {1, 3, 3, 2, 2, 3, 3, 1, 1, 2, 2, 2, 2, 1},
    {1, 2, 2, 3, 4, 5, 5, 1, 1, 4, 4, 4, 4, 1},      {5, 4, 4, 1, 1, 4, 4, 4, 1, 0, 0, 0, 0, 1},
    {1, 5, 6, 20, 257, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {1, 1, 40, 9, 3, 1, 3, 1, 1, 0, 1, 0, 1, 1},
    {4, 10, 10, 48, 48, 3, 3, 1, 1, 2, 0, 0, 2, 1},  {1, 8, 8, 17, 15, 2, 2, 1, 1, 0, 0, 1, 1, 1},
    {3, 4, 4, 40, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1},    {1, 19, 5, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1},
};

static int64_t outputs(int64_t pixels, int64_t before, int64_t after, int64_t size, int64_t stride, int64_t dilation) {
    return (pixels + before + after - (size - 1) * dilation - 1) / stride + 1;
}

static fc_conv2d conv_case(const int *s) {
    return (fc_conv2d){
        .N = s[0], .H = s[1], .W = s[2], .C_in = s[3], .C_out = s[4], .KH = s[5], .KW = s[6],
        .stride_h = s[7], .stride_w = s[7], .dilation_h = s[8], .dilation_w = s[8], .pad_top = s[9], .pad_left = s[10],
        .OH = outputs(s[1], s[9], s[11], s[5], s[7], s[8]), .OW = outputs(s[2], s[10], s[12], s[6], s[7], s[8]),
        .groups = s[13],
    };
}

static int winograd_fits(const fc_conv2d *conv) {
    return conv->KH == 3 && conv->KW == 3 && conv->stride_h == 1 && conv->dilation_h == 1 && conv->groups == 1;
}

static void test_convolution(const int *sizes, const char *isa) {
    const fc_conv2d conv = conv_case(sizes);
    const int64_t x_size = conv.N * conv.H * conv.W * conv.C_in, y_size = conv.N * conv.OH * conv.OW * conv.C_out;
    const int64_t kernel_size = conv.KH * conv.KW * conv.C_in / conv.groups * conv.C_out;
    const float *x = random_array(x_size), *kernel = random_array(kernel_size), *dy = random_array(y_size);
    const float *bias = random_array(conv.C_out);
    conv_sums s = {widened(x, x_size), widened(kernel, kernel_size), widened(dy, y_size),
                   zeros(y_size), zeros(x_size), zeros(kernel_size)};
    double *dbias = zeros(conv.C_out);
    for (int64_t i = 0; i < y_size; i++) {
        s.y[i] = bias[i % conv.C_out];
        dbias[i % conv.C_out] += dy[i];
    }
    products(&conv, add_product, &s);

    for (size_t a = 0; a < sizeof algorithms / sizeof *algorithms; a++) {
        if (algorithms[a].forward == fc_conv2d_forward_winograd && !winograd_fits(&conv)) continue;
        char what[160];
        const float *first[4] = {0};
        for (int threads = 1; threads <= 3; threads++) {
            fc_set_num_threads(threads);
            float *results[4] = {fresh(y_size), fresh(x_size), fresh(kernel_size), fresh(conv.C_out)};
            fc_status status = algorithms[a].forward(&conv, x, kernel, bias, results[0]);
            status |= algorithms[a].backward_data(&conv, dy, kernel, results[1]);
            status |= algorithms[a].backward_kernel(&conv, x, dy, results[2], results[3]);
            snprintf(what, sizeof what, "%s, %s, %lldx%lldx%lldx%lld -> %lld, %lldx%lld, stride %lld", isa,
                     algorithms[a].name, (long long)conv.N, (long long)conv.H, (long long)conv.W, (long long)conv.C_in,
                     (long long)conv.C_out, (long long)conv.KH, (long long)conv.KW, (long long)conv.stride_h);
            report(status == FC_OK, what, "no memory");
            const int64_t sizes_of[4] = {y_size, x_size, kernel_size, conv.C_out};
            const double *expected[4] = {s.y, s.dx, s.dkernel, dbias};
            for (int i = 0; i < 4; i++) {
                if (threads == 1) {
                    compare(what, results[i], expected[i], sizes_of[i], algorithms[a].tolerance);
                    first[i] = results[i];
                } else {
                    const int same = !memcmp(first[i], results[i], sizeof(float) * (size_t)sizes_of[i]);
                    report(same, what, "other bits with more threads");
                }
            }
        }
    }
    fc_set_num_threads(1);
    arrays_check("convolution");
    free((void *)s.x), free((void *)s.kernel), free((void *)s.dy), free(s.y), free(s.dx), free(s.dkernel), free(dbias);
}

/* A convolution by a table is a dense one with zeros where the table has no connection. */
static void test_connected(const int *sizes, const char *isa) {
    const fc_conv2d conv = conv_case(sizes);
    const int64_t C = conv.C_in, K = conv.C_out, taps = conv.KH * conv.KW;
    const int64_t x_size = conv.N * conv.H * conv.W * C, y_size = conv.N * conv.OH * conv.OW * K;
    int64_t *input = malloc(sizeof(int64_t) * (size_t)(2 * C * K)), *filter = input + C * K, count = 0;
    for (int64_t c = 0; c < C; c++)
        for (int64_t k = 0; k < K; k++)
            if (c == k % C || (c * 7 + k * 5) % 3 == 0) {
                input[count] = c;
                filter[count++] = k;
            }
    const fc_connections connections = {count, input, filter};
    const float *x = random_array(x_size), *kernel = random_array(taps * count), *dy = random_array(y_size);
    const float *bias = random_array(K);
    conv_sums s = {widened(x, x_size), zeros(taps * C * K), widened(dy, y_size),
                   zeros(y_size), zeros(x_size), zeros(taps * C * K)};
    double *dense = (double *)s.kernel, *dkernel = zeros(taps * count), *dbias = zeros(K);
    for (int64_t i = 0; i < taps * count; i++)
        dense[(i / count * C + input[i % count]) * K + filter[i % count]] = kernel[i];
    for (int64_t i = 0; i < y_size; i++) {
        s.y[i] = bias[i % K];
        dbias[i % K] += dy[i];
    }
    products(&conv, add_product, &s);
    for (int64_t i = 0; i < taps * count; i++)
        dkernel[i] = s.dkernel[(i / count * C + input[i % count]) * K + filter[i % count]];

    char what[160];
    snprintf(what, sizeof what, "%s, connected, %lldx%lldx%lldx%lld -> %lld", isa, (long long)conv.N,
             (long long)conv.H, (long long)conv.W, (long long)C, (long long)K);
    const float *first[4] = {0};
    for (int threads = 1; threads <= 3; threads++) {
        fc_set_num_threads(threads);
        float *results[4] = {fresh(y_size), fresh(x_size), fresh(taps * count), fresh(K)};
        fc_status status = fc_conv2d_connected_forward(&conv, connections, x, kernel, bias, results[0]);
        status |= fc_conv2d_connected_backward_data(&conv, connections, dy, kernel, results[1]);
        status |= fc_conv2d_connected_backward_kernel(&conv, connections, x, dy, results[2], results[3]);
        report(status == FC_OK, what, "no memory");
        const int64_t sizes_of[4] = {y_size, x_size, taps * count, K};
        const double *expected[4] = {s.y, s.dx, dkernel, dbias};
        for (int i = 0; i < 4; i++) {
            if (threads == 1) compare(what, first[i] = results[i], expected[i], sizes_of[i], 2e-5);
            else report(!memcmp(first[i], results[i], sizeof(float) * (size_t)sizes_of[i]), what, "other bits");
        }
    }
    fc_set_num_threads(1);
    arrays_check("connected");
    free(input), free((void *)s.x), free(dense), free((void *)s.dy), free(s.y), free(s.dx), free(s.dkernel);
    free(dkernel), free(dbias);
}

static void test_rbf(int64_t M, int64_t C, int64_t K) {
    const float *x = random_array(M * C), *w = random_array(K * C), *dy = random_array(M * K);
    float *y = fresh(M * K), *dx = fresh(M * C), *dw = fresh(K * C);
    double *expected = zeros(M * K), *expected_dx = zeros(M * C), *expected_dw = zeros(K * C);
    fc_rbf_forward(M, C, K, x, w, y);
    fc_rbf_backward_data(M, C, K, dy, x, w, dx);
    fc_rbf_backward_kernel(M, C, K, dy, x, w, dw);
    for (int64_t m = 0; m < M; m++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t c = 0; c < C; c++) {
                const double difference = (double)x[m * C + c] - w[k * C + c], gradient = 2 * dy[m * K + k] * difference;
                expected[m * K + k] += difference * difference;
                expected_dx[m * C + c] += gradient;
                expected_dw[k * C + c] -= gradient;
            }
    compare("rbf, y", y, expected, M * K, 2e-6);
    compare("rbf, dx", dx, expected_dx, M * C, 2e-6);
    compare("rbf, dw", dw, expected_dw, K * C, 2e-6);
    arrays_check("rbf");
    free(expected), free(expected_dx), free(expected_dw);
}

/* ---- pooling ------------------------------------------------------------------------------------ */

/* N, H, W, C, KH, KW, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right */
static const int pool_cases[][12] = {
    {1, 2, 2, 1, 2, 2, 2, 2, 0, 0, 0, 0},  {3, 28, 28, 6, 2, 2, 2, 2, 0, 0, 0, 0}, {2, 7, 7, 16, 2, 2, 2, 2, 0, 0, 0, 0},
    {2, 7, 9, 17, 2, 2, 2, 2, 0, 0, 1, 1}, {1, 8, 8, 10, 3, 3, 2, 2, 0, 0, 1, 1},  {2, 6, 7, 3, 3, 2, 1, 1, 1, 0, 1, 1},
    {1, 9, 9, 33, 2, 3, 3, 4, 0, 1, 0, 1}, {2, 5, 5, 64, 5, 5, 1, 1, 0, 0, 0, 0},  {1, 4, 6, 5, 1, 1, 2, 2, 0, 0, 0, 0},
};

static void test_pooling(const int *s, const char *isa) {
    const fc_pool2d pool = {
        .N = s[0], .H = s[1], .W = s[2], .C = s[3], .KH = s[4], .KW = s[5], .stride_h = s[6], .stride_w = s[7],
        .pad_top = s[8], .pad_left = s[9],
        .OH = outputs(s[1], s[8], s[10], s[4], s[6], 1), .OW = outputs(s[2], s[9], s[11], s[5], s[7], 1),
    };
    const int64_t x_size = pool.N * pool.H * pool.W * pool.C, y_size = pool.N * pool.OH * pool.OW * pool.C;
    const float *x = random_array(x_size), *dy = random_array(y_size);
    double *wide_x = widened(x, x_size), *wide_dy = widened(dy, y_size);
    uint16_t *switches = malloc(sizeof(uint16_t) * (size_t)y_size);
    int *expected_switches = malloc(sizeof(int) * (size_t)y_size);
    for (int mean = 0; mean < 2; mean++) {
        double *y = zeros(y_size), *dx = zeros(x_size);
        formula_pool(&pool, mean, wide_x, y, expected_switches, wide_dy, dx);
        float *found_y = fresh(y_size), *found_dx = fresh(x_size);
        if (mean) {
            fc_avg_pool2d_forward(&pool, x, found_y);
            fc_avg_pool2d_backward(&pool, dy, found_dx);
        } else {
            fc_max_pool2d_forward(&pool, x, found_y, switches);
            fc_max_pool2d_backward(&pool, dy, switches, found_dx);
            int same = 1;
            for (int64_t i = 0; i < y_size; i++) same &= switches[i] == expected_switches[i];
            report(same, isa, "max pooling: wrong switches");
        }
        compare(mean ? "average pooling" : "max pooling", found_y, y, y_size, 1e-6);
        compare(mean ? "average pooling, dx" : "max pooling, dx", found_dx, dx, x_size, 2e-6);
        free(y), free(dx);
    }
    arrays_check("pooling");
    free(wide_x), free(wide_dy), free(switches), free(expected_switches);
}

static void test_global_max_pooling(int64_t N, int64_t pixels, int64_t C) {
    const float *x = random_array(N * pixels * C), *dy = random_array(N * C);
    float *y = fresh(N * C), *dx = fresh(N * pixels * C);
    int32_t *switches = malloc(sizeof(int32_t) * (size_t)(N * C));
    double *expected = zeros(N * C), *expected_dx = zeros(N * pixels * C);
    int right = 1;
    fc_global_max_pool2d_forward(N, pixels, C, x, y, switches);
    fc_global_max_pool2d_backward(N, pixels, C, dy, switches, dx);
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            int64_t winner = 0;
            for (int64_t p = 1; p < pixels; p++)
                if (x[(n * pixels + p) * C + c] > x[(n * pixels + winner) * C + c]) winner = p;
            expected[n * C + c] = x[(n * pixels + winner) * C + c];
            expected_dx[(n * pixels + winner) * C + c] = dy[n * C + c];
            right &= switches[n * C + c] == winner;
        }
    report(right, "global max pooling", "wrong switches");
    compare("global max pooling", y, expected, N * C, 0);
    compare("global max pooling, dx", dx, expected_dx, N * pixels * C, 0);
    arrays_check("global max pooling");
    free(switches), free(expected), free(expected_dx);
}

/* ---- dense -------------------------------------------------------------------------------------- */

static void test_dense(int64_t M, int64_t C, int64_t K) {
    const float *x = random_array(M * C), *w = random_array(C * K), *bias = random_array(K), *dy = random_array(M * K);
    float *y = fresh(M * K), *dx = fresh(M * C), *dw = fresh(C * K), *db = fresh(K);
    conv_sums s = {widened(x, M * C), widened(w, C * K), widened(dy, M * K), zeros(M * K), zeros(M * C), zeros(C * K)};
    double *dbias = zeros(K);
    for (int64_t i = 0; i < M * K; i++) {
        s.y[i] = bias[i % K];
        dbias[i % K] += dy[i];
    }
    formula_dense(M, C, K, &s);
    fc_status status = fc_dense_forward(M, C, K, x, w, bias, y);
    status |= fc_dense_backward_data(M, C, K, dy, w, dx);
    status |= fc_dense_backward_kernel(M, C, K, x, dy, dw, db);
    report(status == FC_OK, "dense", "no memory");
    compare("dense, y", y, s.y, M * K, 2e-5);
    compare("dense, dx", dx, s.dx, M * C, 2e-5);
    compare("dense, dw", dw, s.dkernel, C * K, 2e-5);
    compare("dense, dbias", db, dbias, K, 2e-5);
    arrays_check("dense");
    free((void *)s.x), free((void *)s.kernel), free((void *)s.dy), free(s.y), free(s.dx), free(s.dkernel), free(dbias);
}

/* ---- activations, softmax, cross-entropy -------------------------------------------------------- */

static void test_activations(int64_t n) {
    const char *names[] = {
        [FC_LINEAR] = "linear", [FC_RELU] = "relu", [FC_RELU6] = "relu6", [FC_LEAKY_RELU] = "leaky_relu",
        [FC_SIGMOID] = "sigmoid", [FC_HARD_SIGMOID] = "hard_sigmoid", [FC_LOG_SIGMOID] = "log_sigmoid",
        [FC_TANH] = "tanh", [FC_SCALED_TANH] = "scaled_tanh", [FC_HARD_TANH] = "hard_tanh", [FC_ELU] = "elu",
        [FC_CELU] = "celu", [FC_SELU] = "selu", [FC_SOFTPLUS] = "softplus", [FC_SOFTSIGN] = "softsign", [FC_EXPONENTIAL] = "exponential",
        [FC_HARD_SHRINK] = "hard_shrink", [FC_SOFT_SHRINK] = "soft_shrink", [FC_SPARSE_PLUS] = "sparse_plus",
        [FC_SPARSE_SIGMOID] = "sparse_sigmoid", [FC_SQUAREPLUS] = "squareplus",
        [FC_SILU] = "silu", [FC_HARD_SILU] = "hard_silu", [FC_GELU] = "gelu", [FC_GELU_TANH] = "gelu_tanh",
        [FC_MISH] = "mish", [FC_TANH_SHRINK] = "tanh_shrink"};
    const float alpha = 0.3f;
    for (int kind = FC_LINEAR; kind <= FC_TANH_SHRINK; kind++) {
        float *x = random_array(n);
        const float *dy = random_array(n);
        for (int64_t i = 0; i < n; i++) x[i] *= 6;
        float *y = fresh(n), *dx = fresh(n);
        double *expected = zeros(n), *slope = zeros(n);
        fc_activation_forward(kind, alpha, n, x, y);
        fc_activation_backward(kind, alpha, n, dy, kind < FC_FIRST_OF_INPUT ? y : x, dx);
        for (int64_t i = 0; i < n; i++) {
            expected[i] = formula_activation(kind, alpha, x[i]);
            /* a central difference, good to some 1e-10 away from the kinks */
            const double kinks[] = {0, 1, 3, 6, alpha};
            double h = 1e-6;
            for (int k = 0; k < 5; k++) h = fabs(fabs(x[i]) - kinks[k]) < 1e-5 ? 0 : h;
            slope[i] = h == 0 ? dx[i]
                              : dy[i] * (formula_activation(kind, alpha, x[i] + h) -
                                         formula_activation(kind, alpha, x[i] - h)) / (2 * h);
        }
        compare(names[kind], y, expected, n, 1e-6);
        compare(names[kind], dx, slope, n, 2e-6);
        arrays_check(names[kind]);
        free(expected), free(slope);
    }
}

static void test_softmax(int64_t rows, int64_t C) {
    float *x = random_array(rows * C);
    const float *dp = random_array(rows * C);
    for (int64_t i = 0; i < rows * C; i++) x[i] *= 9;
    float *p = fresh(rows * C), *log_p = fresh(rows * C), *dx = fresh(rows * C), *dlogits = fresh(rows * C);
    double *wide = widened(x, rows * C), *expected = zeros(rows * C), *expected_log = zeros(rows * C);
    double *expected_dx = zeros(rows * C), *expected_dlogits = zeros(rows * C), loss, expected_loss = 0;
    int64_t *labels = malloc(sizeof(int64_t) * (size_t)rows);
    for (int64_t r = 0; r < rows; r++) {
        labels[r] = (7 * r + 3) % C;
        formula_softmax(C, wide + r * C, expected + r * C, expected_log + r * C);
        expected_loss -= expected_log[r * C + labels[r]] / (double)rows;
        double dot = 0;
        for (int64_t c = 0; c < C; c++) dot += dp[r * C + c] * expected[r * C + c];
        for (int64_t c = 0; c < C; c++) {
            expected_dx[r * C + c] = expected[r * C + c] * (dp[r * C + c] - dot);
            expected_dlogits[r * C + c] = (expected[r * C + c] - (c == labels[r])) / (double)rows;
        }
    }
    fc_softmax_forward(rows, C, x, p);
    fc_log_softmax(rows, C, x, log_p);
    fc_softmax_backward(rows, C, dp, p, dx);
    const fc_status status = fc_softmax_cross_entropy(rows, C, x, (fc_targets){.labels = labels}, &loss, dlogits);
    report(status == FC_OK && fabs(loss - expected_loss) <= 1e-5 * fabs(expected_loss) + 1e-6, "cross-entropy",
           "wrong loss");
    compare("softmax", p, expected, rows * C, 1e-6);
    compare("log-softmax", log_p, expected_log, rows * C, 1e-6);
    compare("softmax, dx", dx, expected_dx, rows * C, 2e-6);
    compare("cross-entropy, dlogits", dlogits, expected_dlogits, rows * C, 1e-6);
    arrays_check("softmax");
    free(wide), free(expected), free(expected_log), free(expected_dx), free(expected_dlogits), free(labels);
}

/* ---- PReLU and batch normalisation --------------------------------------------------------------- */

static void test_prelu(int64_t rows, int64_t K) {
    const float *x = random_array(rows * K), *dy = random_array(rows * K), *alpha = random_array(K);
    float *y = fresh(rows * K), *dx = fresh(rows * K), *dalpha = fresh(K);
    double *expected = zeros(rows * K), *expected_dx = zeros(rows * K), *expected_dalpha = zeros(K);
    for (int64_t i = 0; i < rows * K; i++) {
        expected[i] = x[i] < 0 ? (double)alpha[i % K] * x[i] : x[i];
        expected_dx[i] = x[i] < 0 ? (double)alpha[i % K] * dy[i] : dy[i];
        expected_dalpha[i % K] += x[i] < 0 ? (double)dy[i] * x[i] : 0;
    }
    fc_status status = fc_prelu_forward(rows, K, x, alpha, y);
    status |= fc_prelu_backward(rows, K, dy, x, alpha, dx, dalpha);
    report(status == FC_OK, "prelu", "no memory");
    compare("prelu, y", y, expected, rows * K, 1e-7);
    compare("prelu, dx", dx, expected_dx, rows * K, 1e-7);
    compare("prelu, dalpha", dalpha, expected_dalpha, K, 2e-6);
    arrays_check("prelu");
    free(expected), free(expected_dx), free(expected_dalpha);
}

static void test_batch_norm(int64_t rows, int64_t C) {
    const double epsilon = 1e-3;
    const float *x = random_array(rows * C), *dy = random_array(rows * C);
    const float *gamma = random_array(C), *beta = random_array(C);
    const norm_results of = {zeros(C), zeros(C), zeros(rows * C), zeros(rows * C), zeros(C), zeros(C)};
    formula_batch_norm(rows, C, x, gamma, beta, epsilon, dy, &of);
    const float *first[6] = {0};
    for (int threads = 1; threads <= 3; threads++) {
        fc_set_num_threads(threads);
        float *found[6] = {fresh(C), fresh(C), fresh(rows * C), fresh(rows * C), fresh(C), fresh(C)};
        fc_status status = fc_moments(rows, C, x, found[0], found[1]);
        status |= fc_batch_norm_forward(rows, C, x, found[0], found[1], gamma, beta, epsilon, NULL, found[2]);
        status |= fc_batch_norm_backward_weights(rows, C, dy, x, found[0], found[1], epsilon, found[4], found[5]);
        status |= fc_batch_norm_backward_data(rows, C, dy, x, found[0], found[1], gamma, found[4], found[5], epsilon,
                                              found[3]);
        report(status == FC_OK, "batch norm", "no memory");
        const char *names[6] = {"mean", "variance", "batch norm, y", "batch norm, dx", "dgamma", "dbeta"};
        const double *expected[6] = {of.mean, of.variance, of.y, of.dx, of.dgamma, of.dbeta};
        for (int i = 0; i < 6; i++) {
            const int64_t count = i == 2 || i == 3 ? rows * C : C;
            /* distances and squares are rounded, then sums; divided by sqrt(epsilon) where a channel is constant */
            if (threads == 1) compare(names[i], found[i], expected[i], count, 1e-5);
            else report(!memcmp(first[i], found[i], sizeof(float) * (size_t)count), names[i], "depends on the threads");
            if (threads == 1) first[i] = found[i];
        }
    }
    fc_set_num_threads(1);
    arrays_check("batch norm");
    free(of.mean), free(of.variance), free(of.y), free(of.dx), free(of.dgamma), free(of.dbeta);
}

/* ---- optimizers --------------------------------------------------------------------------------- */

/* Two parameters, of n numbers and of one, with all that goes on around a rule. */
static void test_optimizers(int64_t n) {
    const double rate = 0.1, momentum = 0.9, beta_1 = 0.9, beta_2 = 0.99, epsilon = 1e-3;
    const double norm = 0.5, weight_decay = 0.25, average_momentum = 0.75;
    const float *start = random_array(n), *grad = random_array(n), *lone_start = random_array(1);
    const float *lone_grad = random_array(1);
    double *sgd = zeros(n), *adam = zeros(n), *averages = zeros(n), squares = (double)lone_grad[0] * lone_grad[0];
    float *sgd_value = copy_of(start, n), *adam_value = copy_of(start, n), *lone_value = copy_of(lone_start, 1);
    float *velocity = random_array(n), *m = fresh(n), *v = fresh(n), *average = copy_of(start, n);
    for (int64_t i = 0; i < n; i++) squares += (double)grad[i] * grad[i];
    const double factor = fmin(1, norm / sqrt(squares));
    for (int64_t i = 0; i < n; i++) {
        const double g = grad[i], moved = momentum * velocity[i] - rate * factor * g;
        sgd[i] = start[i] - rate * weight_decay * start[i] + momentum * moved - rate * factor * g;
        averages[i] = average_momentum * average[i] + (1 - average_momentum) * sgd[i];
        m[i] = v[i] = 0;
        /* the first step of Adam: both means, corrected for their start at zero, are g and g^2 */
        adam[i] = start[i] - rate * g / (sqrt(g * g) + epsilon / sqrt(1 - beta_2));
    }
    const double lone = lone_start[0] - rate * factor * lone_grad[0];
    const int64_t blocks = (n + FC_OPTIMIZER_BLOCK - 1) / FC_OPTIMIZER_BLOCK;
    const fc_parameter both[] = {
        {.n = n, .value = sgd_value, .grad = grad, .state = {velocity}, .average = average, .decays = 1},
        {.n = 1, .first_block = blocks, .value = lone_value, .grad = lone_grad},
    };
    const fc_parameter one = {.n = n, .value = adam_value, .grad = grad, .state = {m, v}, .decays = 1};
    const fc_update_options all = {.gradient_scale = 1,
                                   .global_clip_norm = norm,
                                   .weight_decay = weight_decay,
                                   .average_momentum = average_momentum};
    const fc_update_options none = {.gradient_scale = 1};
    const int done = fc_sgd_step(2, both, &all, rate, momentum, 1) == FC_OK &&
                     fc_adam_step(1, &one, &none, rate, beta_1, beta_2, epsilon, 1) == FC_OK;
    report(done, "optimizers", "no memory");
    compare("SGD", sgd_value, sgd, n, 1e-6);
    compare("SGD, averages", average, averages, n, 1e-6);
    compare("SGD, another parameter", lone_value, &lone, 1, 1e-6);
    compare("Adam", adam_value, adam, n, 2e-6);
    arrays_check("optimizers");
    free(sgd), free(adam), free(averages);
}

/* ---- dropout and penalties ---------------------------------------------------------------------- */

static void test_dropout(int64_t images, int64_t pixels, int64_t places, const char *isa) {
    const fc_dropout d = {.images = images, .pixels = pixels, .places = places, .first_image = 5,
                          .stream = {.seed = 0x0370734413198a2e, .call = 0x85a308d3},
                          .threshold = 0x60000000, /* drops 3/8 */
                          .scale = 1.6f, .shift = 0.5f, .fill = -3.0f};
    const int64_t n = images * pixels * places;
    const float *x = random_array(n);
    double *y = zeros(n);
    for (int64_t i = 0; i < n; i++)
        y[i] = formula_random_word(d.stream, (uint32_t)(5 + i / places / pixels), i % places) >= d.threshold
                   ? 1.6 * x[i] + 0.5
                   : -3.0;
    char what[80];
    snprintf(what, sizeof what, "%s, dropout of %lld", isa, (long long)n);
    /* The known answer that comes with Random123. */
    report(formula_threefry(d.stream.seed, 0x243f6a88, 0x85a308d3) == 0x483df7a0c4923a9c, what, "not Threefry's words");
    for (int threads = 1; threads <= 3; threads += 2) {
        fc_set_num_threads(threads);
        float *found = fresh(n);
        fc_dropout_forward(&d, x, found);
        compare(what, found, y, n, 1e-6);
    }
    fc_set_num_threads(1);
    arrays_check("dropout");
    free(y);
}

static void test_penalty(int64_t n, const char *isa) {
    const float *x = random_array(n), *start = random_array(n);
    double *grad = widened(start, n), expected = 0;
    for (int64_t i = 0; i < n; i++) {
        expected += 0.3 * fabs(x[i]) + 0.7 * (double)x[i] * x[i];
        grad[i] += 0.5 * (0.3 * (x[i] > 0 ? 1 : x[i] < 0 ? -1 : 0) + 2 * 0.7 * x[i]);
    }
    char what[80];
    snprintf(what, sizeof what, "%s, penalty of %lld", isa, (long long)n);
    for (int threads = 1; threads <= 3; threads += 2) {
        fc_set_num_threads(threads);
        float *found = fresh(n);
        memcpy(found, start, sizeof(float) * (size_t)n);
        const double penalty = fc_l1_l2_penalty(n, x, 0.3, 0.7, found, 0.5);
        compare(what, found, grad, n, 1e-6);
        report(fabs(penalty - expected) <= 1e-5 * expected, what, "another penalty");
        report(penalty == fc_l1_l2_penalty(n, x, 0.3, 0.7, NULL, 0), what, "another one without gradient");
    }
    fc_set_num_threads(1);
    arrays_check("penalty");
    free(grad);
}

/* ---- programs: a whole network ------------------------------------------------------------------ */

/* conv 3x3 padded, relu - max pool - conv 3x3, relu - average pool - flattened - dense, relu - dense - softmax: each
 * makes the next tensor of the one before. */
enum { CONV_1, MAX_POOL, CONV_2, AVG_POOL, FLAT, DENSE_1, DENSE_2, SOFTMAX, OPS, LOGITS = SOFTMAX };

static const fc_size tensors[OPS + 1] = {{12, 10, 2}, {12, 10, 5}, {6, 5, 5}, {4, 3, 7}, {2, 1, 7},
                                         {1, 1, 14},  {1, 1, 9},   {1, 1, 4}, {1, 1, 4}};

static const fc_op network_ops[OPS] = {
    [CONV_1] = {.kind = FC_OP_CONV, .KH = 3, .KW = 3, .pad_top = 1, .pad_left = 1, .activation = FC_RELU},
    [MAX_POOL] = {.kind = FC_OP_MAX_POOL, .KH = 2, .KW = 2},
    [CONV_2] = {.kind = FC_OP_CONV, .KH = 3, .KW = 3, .activation = FC_RELU},
    [AVG_POOL] = {.kind = FC_OP_AVG_POOL, .KH = 2, .KW = 2},
    [FLAT] = {.kind = FC_OP_RESHAPE, .KH = 1, .KW = 1},
    [DENSE_1] = {.kind = FC_OP_DENSE, .KH = 1, .KW = 1, .activation = FC_RELU},
    [DENSE_2] = {.kind = FC_OP_DENSE, .KH = 1, .KW = 1},
    [SOFTMAX] = {.kind = FC_OP_SOFTMAX, .KH = 1, .KW = 1},
};

static int64_t weight_count(const fc_op *op) {
    return op->kind == FC_OP_CONV || op->kind == FC_OP_DENSE ? op->KH * op->KW * op->x[0].C * op->y.C : 0;
}

/* An operation as a convolution or as pooling: a dense layer is a 1x1 convolution of one pixel. */
static fc_conv2d conv_of(const fc_op *op, int64_t N) {
    return (fc_conv2d){.N = N, .H = op->x[0].H, .W = op->x[0].W, .C_in = op->x[0].C, .KH = op->KH, .KW = op->KW,
                       .C_out = op->y.C, .OH = op->y.H, .OW = op->y.W, .stride_h = 1, .stride_w = 1, .dilation_h = 1,
                       .dilation_w = 1, .pad_top = op->pad_top, .pad_left = op->pad_left, .groups = 1};
}
static fc_pool2d pool_of(const fc_op *op, int64_t N) {
    return (fc_pool2d){.N = N, .H = op->x[0].H, .W = op->x[0].W, .C = op->x[0].C, .KH = op->KH, .KW = op->KW,
                       .OH = op->y.H, .OW = op->y.W, .stride_h = op->KH, .stride_w = op->KW};
}

typedef struct {
    double *value[OPS + 1]; /* of each tensor */
    double *dkernel[OPS], *dbias[OPS];
} network;

static network formula_network(const fc_op *ops, int64_t N, const float *x, const int64_t *labels) {
    network net = {0};
    net.value[0] = widened(x, N * fc_size_of(tensors[0]));
    for (int i = 0; i < OPS; i++) {
        const fc_op *op = ops + i;
        const int64_t count = N * fc_size_of(op->y);
        double *below = net.value[i], *y = net.value[i + 1] = zeros(count);
        if (op->weight[0]) {
            const fc_conv2d conv = conv_of(op, N);
            double *kernel = widened(op->weight[0], weight_count(op));
            for (int64_t j = 0; j < count; j++) y[j] = op->weight[1][j % op->y.C];
            products(&conv, add_product, &(conv_sums){.x = below, .kernel = kernel, .y = y});
            for (int64_t j = 0; j < count; j++) y[j] = formula_activation(op->activation, op->alpha, y[j]);
            free(kernel);
        } else if (op->kind == FC_OP_RESHAPE) {
            memcpy(y, below, sizeof(double) * (size_t)count);
        } else if (op->kind == FC_OP_SOFTMAX) {
            double *log_p = zeros(op->y.C);
            for (int64_t n = 0; n < N; n++) formula_softmax(op->y.C, below + n * op->y.C, y + n * op->y.C, log_p);
            free(log_p);
        } else {
            const fc_pool2d pool = pool_of(op, N);
            formula_pool(&pool, op->kind == FC_OP_AVG_POOL, below, y, NULL, NULL, NULL);
        }
    }
    const int64_t classes = tensors[LOGITS].C;
    double *gradient = zeros(N * classes); /* at the logits: probabilities minus what is right */
    for (int64_t j = 0; j < N * classes; j++)
        gradient[j] = (net.value[OPS][j] - (j % classes == labels[j / classes])) / (double)N;
    for (int i = LOGITS - 1; i >= 0; i--) {
        const fc_op *op = ops + i;
        if (op->kind == FC_OP_RESHAPE) continue;
        double *below = zeros(N * fc_size_of(op->x[0]));
        if (op->weight[0]) {
            const fc_conv2d conv = conv_of(op, N);
            double *kernel = widened(op->weight[0], weight_count(op));
            net.dkernel[i] = zeros(weight_count(op)), net.dbias[i] = zeros(op->y.C);
            for (int64_t j = 0; j < N * fc_size_of(op->y); j++) {
                if (op->activation == FC_RELU && net.value[i + 1][j] == 0) gradient[j] = 0;
                net.dbias[i][j % op->y.C] += gradient[j];
            }
            products(&conv, add_product, &(conv_sums){.x = net.value[i], .kernel = kernel, .dy = gradient,
                                                      .dx = below, .dkernel = net.dkernel[i]});
            free(kernel);
        } else {
            const fc_pool2d pool = pool_of(op, N);
            formula_pool(&pool, op->kind == FC_OP_AVG_POOL, net.value[i], NULL, NULL, gradient, below);
        }
        free(gradient);
        gradient = below;
    }
    free(gradient);
    return net;
}

static void test_program(int64_t N, const char *isa) {
    static const char *const names[FC_WAYS] = {"lanes", "pixels", "whole"};
    fc_op ops[OPS];
    memcpy(ops, network_ops, sizeof ops);
    for (int i = 0; i < OPS; i++) {
        fc_op *op = ops + i;
        op->inputs = 1, op->input[0] = i, op->output = i + 1, op->x[0] = tensors[i], op->y = tensors[i + 1];
        op->stride_h = op->kind == FC_OP_MAX_POOL || op->kind == FC_OP_AVG_POOL ? op->KH : 1;
        op->stride_w = op->stride_h == 1 ? 1 : op->KW;
        op->dilation_h = op->dilation_w = op->groups = 1, op->algorithm = -1;
        const int64_t count = weight_count(op);
        if (!count) continue;
        op->weight[0] = random_array(count), op->weight[1] = random_array(op->y.C);
        op->gradient[0] = fresh(count), op->gradient[1] = fresh(op->y.C);
    }
    const float *x = random_array(N * fc_size_of(tensors[0]));
    int64_t *labels = malloc(sizeof(int64_t) * (size_t)N);
    for (int64_t n = 0; n < N; n++) labels[n] = (5 * n + 2) % 4;
    network net = formula_network(ops, N, x, labels);

    char what[80];
    const int input = 0, wanted = 0, output = OPS;
    fc_program *program = fc_program_new(ops, OPS, tensors, OPS + 1, &input, &wanted, 1, &output, 1);
    report(program != NULL, isa, "no program");
    for (int run = 0; program && run < 2 * FC_WAYS; run++) { /* each way, on one thread and on three */
        const int way = run / 2;
        int ways[OPS];
        for (int i = 0; i < OPS; i++) ways[i] = way;
        fc_program_force(program, ways);
        fc_set_num_threads(run % 2 ? 3 : 1);
        float *probabilities = fresh(N * 4);
        for (int i = 0; i < OPS; i++)
            if (ops[i].gradient[0]) ops[i].gradient[0][0] = ops[i].gradient[1][0] = NAN;
        const fc_loss loss = {.kind = FC_LOSS_SOFTMAX_CROSS_ENTROPY, .tensor = LOGITS, .targets = {.labels = labels},
                              .scale = 1.0f / (float)N, .losses = fresh(N)};
        const fc_run one = {.N = N, .inputs = &x, .outputs = &probabilities, .losses = 1, .loss = &loss};
        const fc_status status = fc_program_run(program, &one, 0, NULL);
        snprintf(what, sizeof what, "%s, program of %lld images, %s", isa, (long long)N, names[way]);
        report(status == FC_OK, what, "no memory");
        /* logits of up to about 50, so rounded by some 1e-6, which is how much their probabilities then differ */
        compare(what, probabilities, net.value[OPS], N * 4, 1e-5);
        for (int i = 0; i < OPS; i++)
            if (ops[i].gradient[0]) {
                compare(what, ops[i].gradient[0], net.dkernel[i], weight_count(ops + i), 1e-5);
                compare(what, ops[i].gradient[1], net.dbias[i], ops[i].y.C, 1e-5);
            }
    }
    fc_set_num_threads(1);
    fc_program_free(program);
    arrays_check("program");
    for (int i = 0; i <= OPS; i++) free(net.value[i]);
    for (int i = 0; i < OPS; i++) free(net.dkernel[i]), free(net.dbias[i]);
    free(labels);
}

/* ---- images under affine maps ------------------------------------------------------------------- */

static void test_affine(int64_t N, int64_t H, int64_t W, int64_t C, int64_t OH, int64_t OW) {
    const int64_t x_size = N * H * W * C, y_size = N * OH * OW * C;
    float *maps = random_array(6 * N);
    for (int64_t n = 0; n < N; n++) maps[6 * n + 2] *= (float)W, maps[6 * n + 5] *= (float)H;
    const float *x = random_array(x_size), *dy = random_array(y_size);
    double *wide_x = widened(x, x_size), *wide_dy = widened(dy, y_size);
    for (int bilinear = 0; bilinear < 2; bilinear++)
        for (fc_fill fill = FC_FILL_CONSTANT; fill <= FC_FILL_WRAP; fill++) {
            const fc_affine affine = {.N = N, .H = H, .W = W, .C = C, .OH = OH, .OW = OW, .maps = maps,
                                      .bilinear = bilinear, .fill = fill, .fill_value = 0.75f};
            double *y = zeros(y_size), *dx = zeros(x_size);
            float *found_y = fresh(y_size), *found_dx = fresh(x_size);
            formula_affine(&affine, wide_x, y, wide_dy, dx);
            fc_affine_forward(&affine, x, found_y);
            fc_affine_backward(&affine, dy, found_dx);
            compare("affine map", found_y, y, y_size, 2e-6);
            compare("affine map, dx", found_dx, dx, x_size, 2e-5);
            free(y), free(dx);
        }
    arrays_check("affine map");
    free(wide_x), free(wide_dy);
}

/* ---- sizes ---------------------------------------------------------------------------------------- */

static void test_sizes(void) {
    const int64_t huge = INT64_C(1) << 62, none = FC_NO_SIZE;
    report(fc_times(3, 5) == 15 && fc_times(0, none) == 0 && fc_times(1, huge) == huge, "fc_times", "wrong");
    report(fc_times(huge, 2) == none && fc_times(none, 2) == none && fc_times(-1, 2) == none, "fc_times", "wraps");
    report(fc_plus(3, 5) == 8 && fc_plus(huge, huge) == none && fc_plus(none, 0) == none && fc_plus(5, -1) == none,
           "fc_plus", "wraps");
    report(fc_round_up(17, 16) == 32 && fc_round_up(none - 3, 16) == none, "fc_round_up", "wraps");
    report(fc_volume(2, 3, 4) == 24 && fc_volume(huge, huge, huge) == none, "fc_volume", "wraps");
    report(fc_fits(1 << 28, 1 << 28) && !fc_fits(1 << 28, 1 << 28, 2), "fc_fits", "wrong bound");
    report(fc_part(14, 2, 1) == 7 && fc_part(huge, 3, 2) == huge / 3 * 2 + 1 % 3 * 2 / 3, "fc_part", "wraps");
    const int64_t counts[] = {-1, INT64_MIN, none, huge, none / 4, none / 8};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        report(!fc_floats(counts[i]), "fc_floats", "gave memory that there cannot be");
        report(!fc_indices(counts[i]), "fc_indices", "gave memory that there cannot be");
    }
}

/* Windows whose places do not fit into 64 bits: refused, before anything is read or written. */
static void test_windows_too_large(void) {
    const fc_conv2d near = {.N = 1, .H = 8, .W = 8, .C_in = 1, .KH = 2, .KW = 2, .C_out = 1, .OH = 8, .OW = 8,
                            .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 1};
    fc_conv2d far[4] = {near, near, near, near};
    far[0].dilation_w = INT64_C(1) << 62;
    far[1].stride_h = (INT64_C(1) << 61) - 17;
    far[2].pad_top = INT64_C(1) << 60;
    far[3].OH = far[3].OW = far[3].KH = far[3].KW = INT64_C(1) << 32;
    const int64_t zero = 0;
    const fc_connections one = {1, &zero, &zero};
    for (int i = 0; i < 4; i++) {
        for (size_t a = 0; a < sizeof algorithms / sizeof *algorithms; a++) {
            report(algorithms[a].forward(&far[i], NULL, NULL, NULL, NULL) == FC_TOO_LARGE, "a window", "taken");
            report(algorithms[a].backward_data(&far[i], NULL, NULL, NULL) == FC_TOO_LARGE, "a window", "taken");
            report(algorithms[a].backward_kernel(&far[i], NULL, NULL, NULL, NULL) == FC_TOO_LARGE, "a window", "taken");
        }
        report(fc_conv2d_connected_forward(&far[i], one, NULL, NULL, NULL, NULL) == FC_TOO_LARGE, "a window", "taken");
        report(fc_conv2d_connected_backward_data(&far[i], one, NULL, NULL, NULL) == FC_TOO_LARGE, "a window", "taken");
        report(fc_conv2d_connected_backward_kernel(&far[i], one, NULL, NULL, NULL, NULL) == FC_TOO_LARGE, "a window",
               "taken");
    }
    const int64_t wide = INT64_C(1) << 40;
    report(fc_dense_forward(wide, 1, wide, NULL, NULL, NULL, NULL) == FC_TOO_LARGE, "dense", "taken");
    report(fc_global_max_pool2d_forward(1, wide, 1, NULL, NULL, NULL) == FC_TOO_LARGE, "global pooling", "taken");
    const fc_op op = {.kind = FC_OP_DENSE, .inputs = 1, .output = 1, .KH = 1, .KW = 1};
    const fc_size vectors[2] = {{1, 1, wide}, {1, 1, wide}};
    const int input = 0, wanted = 0, output = 1;
    report(fc_program_new(&op, 1, vectors, 2, &input, &wanted, 1, &output, 1) == NULL, "a program", "taken");
}

int main(void) {
    test_sizes(), test_windows_too_large();
    for (int isa = 0; isa < fc_isa_count(); isa++) {
        const int before = passed;
        fc_isa_select(isa);
        for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
            test_convolution(conv_cases[i], fc_isa_name(isa));
        for (size_t i = 0; i < sizeof pool_cases / sizeof *pool_cases; i++)
            test_pooling(pool_cases[i], fc_isa_name(isa));
        for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
            if (conv_case(conv_cases[i]).groups == 1) test_connected(conv_cases[i], fc_isa_name(isa));
        test_rbf(1, 1, 1), test_rbf(33, 84, 10), test_rbf(7, 19, 3);
        test_global_max_pooling(3, 49, 20);
        test_dense(1, 1, 1), test_dense(5, 400, 120), test_dense(33, 84, 10), test_dense(7, 19, 70);
        test_activations(1), test_activations(1003);
        test_dropout(1, 1, 1, fc_isa_name(isa)), test_dropout(3, 1, 1003, fc_isa_name(isa));
        test_dropout(1, 1, 20000, fc_isa_name(isa)), test_dropout(2, 35, 17, fc_isa_name(isa));
        test_penalty(1, fc_isa_name(isa)), test_penalty(1003, fc_isa_name(isa)), test_penalty(70001, fc_isa_name(isa));
        test_prelu(5, 3), test_prelu(4001, 17);
        test_batch_norm(7, 3), test_batch_norm(40, 33), test_batch_norm(30011, 6);
        test_softmax(1, 1), test_softmax(33, 10), test_softmax(4, 100);
        test_affine(1, 1, 1, 1, 2, 3), test_affine(3, 9, 8, 3, 9, 8), test_affine(2, 5, 7, 19, 4, 9);
        test_optimizers(1), test_optimizers(1003), test_optimizers(2 * FC_OPTIMIZER_BLOCK + 5);
        for (int64_t N = 1; N <= 41; N += 8) test_program(N, fc_isa_name(isa));
        printf("%s: %d checks\n", fc_isa_name(isa), passed - before);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
