/* formulas.h - the operations as they are defined, in double precision: what the kernels are held to. */
#ifndef FORMULAS_H
#define FORMULAS_H

#include <math.h>

#include "fastconv.h"

/* ---- convolution: the products that the formula adds up, one after another ---------------------- */

typedef void each_product(int64_t x, int64_t kernel, int64_t y, void *sums);

static void products(const fc_conv2d *conv, each_product *visit, void *sums) {
    const int64_t C = conv->C_in / conv->groups, K = conv->C_out / conv->groups;
    for (int64_t n = 0; n < conv->N; n++)
        for (int64_t h = 0; h < conv->OH; h++)
            for (int64_t w = 0; w < conv->OW; w++)
                for (int64_t kh = 0; kh < conv->KH; kh++)
                    for (int64_t kw = 0; kw < conv->KW; kw++) {
                        const int64_t row = h * conv->stride_h + kh * conv->dilation_h - conv->pad_top;
                        const int64_t column = w * conv->stride_w + kw * conv->dilation_w - conv->pad_left;
                        if (row < 0 || row >= conv->H || column < 0 || column >= conv->W) continue;
                        for (int64_t c = 0; c < C; c++)
                            for (int64_t k = 0; k < conv->C_out; k++)
                                visit(((n * conv->H + row) * conv->W + column) * conv->C_in + k / K * C + c,
                                      ((kh * conv->KW + kw) * C + c) * conv->C_out + k,
                                      ((n * conv->OH + h) * conv->OW + w) * conv->C_out + k, sums);
                    }
}

/* Three of these are operands, the others NULL; each product of two is added to its place in the third. */
typedef struct {
    const double *x, *kernel, *dy;
    double *y, *dx, *dkernel;
} conv_sums;

static void add_product(int64_t x, int64_t kernel, int64_t y, void *sums) {
    const conv_sums *s = sums;
    if (s->y) s->y[y] += s->x[x] * s->kernel[kernel];
    if (s->dx) s->dx[x] += s->dy[y] * s->kernel[kernel];
    if (s->dkernel) s->dkernel[kernel] += s->x[x] * s->dy[y];
}

/* ---- pooling ------------------------------------------------------------------------------------ */

/* Forward y and switches, and dx += what dy sends back; mean selects the average. y, dy or dx may be NULL. */
static void formula_pool(const fc_pool2d *pool, int mean, const double *x, double *y, int *switches, const double *dy,
                         double *dx) {
    for (int64_t n = 0; n < pool->N; n++)
        for (int64_t h = 0; h < pool->OH; h++)
            for (int64_t w = 0; w < pool->OW; w++)
                for (int64_t c = 0; c < pool->C; c++) {
                    const int64_t out = ((n * pool->OH + h) * pool->OW + w) * pool->C + c;
                    int64_t winner = -1;
                    int tap = 0, seen = 0;
                    double sum = 0;
                    for (int pass = 0; pass < 2; pass++)
                        for (int64_t kh = 0; kh < pool->KH; kh++)
                            for (int64_t kw = 0; kw < pool->KW; kw++) {
                                const int64_t row = h * pool->stride_h + kh - pool->pad_top;
                                const int64_t column = w * pool->stride_w + kw - pool->pad_left;
                                if (row < 0 || row >= pool->H || column < 0 || column >= pool->W) continue;
                                const int64_t in = ((n * pool->H + row) * pool->W + column) * pool->C + c;
                                if (pass) {
                                    if (mean && dx) dx[in] += dy[out] / seen;
                                    continue;
                                }
                                seen++;
                                sum += x[in];
                                if (winner < 0 || x[in] > x[winner]) {
                                    winner = in;
                                    tap = (int)(kh * pool->KW + kw);
                                }
                            }
                    if (y) y[out] = mean ? sum / seen : x[winner];
                    if (switches) switches[out] = tap;
                    if (!mean && dx) dx[winner] += dy[out];
                }
}

/* ---- images under affine maps ------------------------------------------------------------------- */

/* The pixel that stands for number i of n, or -1, by walking there. */
static int64_t formula_pixel(fc_fill fill, int64_t i, int64_t n) {
    if (fill == FC_FILL_CONSTANT && (i < 0 || i >= n)) return -1;
    while (i < 0 || i >= n) {
        if (fill == FC_FILL_NEAREST) i = i < 0 ? 0 : n - 1;
        if (fill == FC_FILL_WRAP) i += i < 0 ? n : -n;
        if (fill == FC_FILL_REFLECT) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    }
    return i;
}

/* y of x, and dx of dy: every pixel within a pixel's reach of the place, weighted with how near it is. */
static void formula_affine(const fc_affine *affine, const double *x, double *y, const double *dy, double *dx) {
    for (int64_t n = 0; n < affine->N; n++)
        for (int64_t h = 0; h < affine->OH; h++)
            for (int64_t w = 0; w < affine->OW; w++) {
                const float *map = affine->maps + 6 * n;
                const double column = (double)map[0] * (double)w + (double)map[1] * (double)h + map[2];
                const double row = (double)map[3] * (double)w + (double)map[4] * (double)h + map[5];
                for (int64_t i = (int64_t)floor(row) - 1; i <= floor(row) + 2; i++)
                    for (int64_t j = (int64_t)floor(column) - 1; j <= floor(column) + 2; j++) {
                        double weight = fmax(0, 1 - fabs(row - (double)i)) * fmax(0, 1 - fabs(column - (double)j));
                        if (!affine->bilinear) weight = (double)i == round(row) && (double)j == round(column);
                        if (weight == 0) continue;
                        const int64_t from_row = formula_pixel(affine->fill, i, affine->H);
                        const int64_t from_column = formula_pixel(affine->fill, j, affine->W);
                        const int64_t out = ((n * affine->OH + h) * affine->OW + w) * affine->C;
                        const int64_t in = ((n * affine->H + from_row) * affine->W + from_column) * affine->C;
                        const int outside = from_row < 0 || from_column < 0;
                        for (int64_t c = 0; c < affine->C; c++) {
                            y[out + c] += weight * (outside ? affine->fill_value : x[in + c]);
                            if (!outside) dx[in + c] += weight * dy[out + c];
                        }
                    }
            }
}

/* ---- dense, activations, softmax ---------------------------------------------------------------- */

/* y += x w,  dx += dy w^T,  dw += x^T dy, of those that are not NULL */
static void formula_dense(int64_t M, int64_t C, int64_t K, const conv_sums *s) {
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < K; k++)
                add_product(m * C + c, c * K + k, m * K + k, (void *)s);
}

static double formula_between(double least, double most, double x) { return fmin(most, fmax(least, x)); }

static double formula_activation(fc_activation kind, double alpha, double x) {
    const double selu_scale = 1.0507009873554805, selu_alpha = 1.6732632423543772, pi = 3.141592653589793;
    switch (kind) {
    case FC_RELU: return x > 0 ? x : 0;
    case FC_RELU6: return formula_between(0, 6, x);
    case FC_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case FC_SIGMOID: return 1 / (1 + exp(-x));
    case FC_HARD_SIGMOID: return formula_between(0, 1, (x + 3) / 6);
    case FC_LOG_SIGMOID: return -log1p(exp(-x));
    case FC_TANH: return tanh(x);
    case FC_SCALED_TANH: return 1.7159 * tanh(2 * x / 3);
    case FC_HARD_TANH: return formula_between(-1, 1, x);
    case FC_ELU: return x > 0 ? x : alpha * expm1(x);
    case FC_CELU: return x > 0 ? x : alpha * expm1(x / alpha);
    case FC_SELU: return selu_scale * (x > 0 ? x : selu_alpha * expm1(x));
    case FC_SOFTPLUS: return log1p(exp(x));
    case FC_SOFTSIGN: return x / (1 + fabs(x));
    case FC_EXPONENTIAL: return exp(x);
    case FC_HARD_SHRINK: return fabs(x) <= alpha ? 0 : x;
    case FC_SOFT_SHRINK: return x > alpha ? x - alpha : x < -alpha ? x + alpha : 0;
    case FC_SPARSE_PLUS: return x >= 1 ? x : x <= -1 ? 0 : (x + 1) * (x + 1) / 4;
    case FC_SPARSE_SIGMOID: return formula_between(0, 1, (x + 1) / 2);
    case FC_SQUAREPLUS: return (x + sqrt(x * x + alpha)) / 2;
    case FC_TANH_SHRINK: return x - tanh(x);
    case FC_SILU: return x / (1 + exp(-x));
    case FC_HARD_SILU: return x * formula_between(0, 1, (x + 3) / 6);
    case FC_GELU: return x * erfc(-x / sqrt(2)) / 2;
    case FC_GELU_TANH: return x / (1 + exp(-sqrt(8 / pi) * (x + 0.044715 * x * x * x)));
    case FC_MISH: return x * tanh(log1p(exp(x)));
    default: return x;
    }
}

/* p = softmax(x) of one row, and log(p) */
static void formula_softmax(int64_t C, const double *x, double *p, double *log_p) {
    double largest = x[0], sum = 0;
    for (int64_t c = 1; c < C; c++) largest = fmax(largest, x[c]);
    for (int64_t c = 0; c < C; c++) sum += exp(x[c] - largest);
    for (int64_t c = 0; c < C; c++) {
        log_p[c] = x[c] - largest - log(sum);
        p[c] = exp(log_p[c]);
    }
}

/* Threefry-2x32-20 (csrc/threefry.h), of one counter: the second word's bits above the first's */
static uint64_t formula_threefry(uint64_t key_words, uint32_t c0, uint32_t c1) {
    static const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    uint32_t key[3] = {(uint32_t)key_words, (uint32_t)(key_words >> 32), 0};
    key[2] = key[0] ^ key[1] ^ 0x1bd11bda;
    uint32_t w0 = c0 + key[0], w1 = c1 + key[1];
    for (int round = 0; round < 20; round++) {
        const int bits = rotations[round % 8];
        w0 += w1;
        w1 = (w1 << bits | w1 >> (32 - bits)) ^ w0;
        if (round % 4 == 3) {
            const int group = round / 4 + 1;
            w0 += key[group % 3];
            w1 += key[(group + 1) % 3] + (uint32_t)group;
        }
    }
    return (uint64_t)w1 << 32 | w0;
}

static uint32_t formula_random_word(fc_random stream, uint32_t image, int64_t i) {
    const int64_t half = FC_RANDOM_BLOCK / 2, within = i % FC_RANDOM_BLOCK;
    const uint64_t key = formula_threefry(stream.seed, stream.call, 0);
    const uint64_t words = formula_threefry(key, (uint32_t)(i / FC_RANDOM_BLOCK * half + within % half), image);
    return (uint32_t)(within >= half ? words >> 32 : words);
}

/* ---- batch normalisation ------------------------------------------------------------------------ */

/* Of x (rows, C): y, and where mean and variance are x's own, dx, dgamma and dbeta. */
typedef struct {
    double *mean, *variance, *y, *dx, *dgamma, *dbeta;
} norm_results;

static void formula_batch_norm(int64_t rows, int64_t C, const float *x, const float *gamma, const float *beta,
                               double epsilon, const float *dy, const norm_results *of) {
    for (int64_t c = 0; c < C; c++) {
        double mean = 0, variance = 0;
        for (int64_t r = 0; r < rows; r++) mean += x[r * C + c] / (double)rows;
        for (int64_t r = 0; r < rows; r++) variance += pow(x[r * C + c] - mean, 2) / (double)rows;
        const double inv = 1 / sqrt(variance + epsilon);
        for (int64_t r = 0; r < rows; r++) {
            const double x_hat = (x[r * C + c] - mean) * inv;
            of->y[r * C + c] = gamma[c] * x_hat + beta[c];
            of->dgamma[c] += dy[r * C + c] * x_hat;
            of->dbeta[c] += dy[r * C + c];
        }
        for (int64_t r = 0; r < rows; r++) {
            const double moved = of->dbeta[c] + (x[r * C + c] - mean) * inv * of->dgamma[c];
            of->dx[r * C + c] = gamma[c] * inv * (dy[r * C + c] - moved / (double)rows);
        }
        of->mean[c] = mean;
        of->variance[c] = variance;
    }
}

#endif
