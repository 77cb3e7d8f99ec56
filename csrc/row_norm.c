/* row_norm.c - every example, or group of its channels, shifted and scaled by its own mean and size.
 *
 * Layer normalisation (Ba, Kiros & Hinton 2016) of rows x of W numbers:
 *
 *     mean = sum x / W     variance = sum (x - mean)^2 / W     inverse = 1 / sqrt(variance + epsilon)
 *
 *     y = (x - mean) inverse gamma + beta
 *
 * Root mean square normalisation (Zhang & Sennrich 2019) has mean = 0 and no beta. A unit vector has mean = 0,
 * inverse = 1 / max(|x|, epsilon), and neither gamma nor beta. Their gradients are one:
 *
 *     dx = inverse (g - A - (x - mean) B)      g = dy gamma     A = sum g / W, or 0 where the mean is not taken off
 *                                                               B = inverse^2 sum g (x - mean) / W, or without / W,
 *                                                                   for a unit vector; 0 where epsilon is the larger
 *     dgamma = sum over rows of dy (x - mean) inverse           dbeta = sum over rows of dy
 *
 * Group normalisation (Wu & He 2018) of images x (pixels, C) does it with each of G groups of C / G channels, with
 * gamma and beta for each channel: sums down the columns of an image, as batch normalisation has them
 * (batch_norm_kernel.h), and then over the channels of a group.
 *
 * Sums are in double precision from some thousand numbers on. The variance is taken about a rounded mean, and
 * corrected by what that is off. Sums over rows are cut into at most 16 parts, by the shapes alone.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum { MOST_PARTS = 16 };

static double operations(int64_t rows, int64_t W) { return 6.0 * (double)rows * (double)W; }

/* What the row is multiplied with, and its mean where that is taken off. */
static float inverse_of(const fc_row_norm *norm, const float *x, float *mean) {
    const fc_kernels *kernels = fc_kernels_active();
    const double W = (double)norm->W;
    double sums[2], offset = 0;
    *mean = 0;
    if (norm->kind == FC_LAYER_NORM) {
        kernels->row_squares(norm->W, x, x[0], sums);
        *mean = (float)((double)x[0] + sums[0] / W);
    }
    kernels->row_squares(norm->W, x, *mean, sums);
    if (norm->kind == FC_UNIT_NORM) return (float)(1 / fmax(sqrt(sums[1]), norm->epsilon));
    if (norm->kind == FC_LAYER_NORM) offset = sums[0] / W;
    return (float)(1 / sqrt(fmax(sums[1] / W - offset * offset, 0) + norm->epsilon));
}

void fc_row_norm_forward(const fc_row_norm *norm, const float *x, const float *gamma, const float *beta, float *y,
                         float *mean, float *inverse) {
    const fc_kernels *kernels = fc_kernels_active();
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(norm->rows, norm->W)))
    for (int64_t r = 0; r < norm->rows; r++) {
        float center;
        inverse[r] = inverse_of(norm, x + r * norm->W, &center);
        if (norm->kind == FC_LAYER_NORM) mean[r] = center;
        kernels->normalise_row(norm->W, x + r * norm->W, center, inverse[r], gamma, beta, y + r * norm->W);
    }
}

/* columns[j] = the sum over parts */
static void add_parts(int64_t parts, int64_t step, int64_t W, const float *sums, float *columns) {
    for (int64_t j = 0; j < W; j++) {
        double total = 0;
        for (int64_t p = 0; p < parts; p++) total += (double)sums[p * step + j];
        columns[j] = (float)total;
    }
}

fc_status fc_row_norm_backward(const fc_row_norm *norm, const float *dy, const float *x, const float *mean,
                               const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t W = norm->W, parts = fc_min(norm->rows, MOST_PARTS), step = dgamma || dbeta ? 2 * W : 0;
    float *sums = fc_floats(parts * step);
    if (!sums) return FC_OUT_OF_MEMORY;
    memset(sums, 0, sizeof(float) * (size_t)(parts * step));
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(norm->rows, W)))
    for (int64_t p = 0; p < parts; p++)
        for (int64_t r = fc_part(norm->rows, parts, p); r < fc_part(norm->rows, parts, p + 1); r++) {
            const float center = norm->kind == FC_LAYER_NORM ? mean[r] : 0;
            const double of = (double)inverse[r], count = norm->kind == FC_UNIT_NORM ? 1 : (double)W;
            double row[2];
            kernels->row_gradient_sums(W, dy + r * W, x + r * W, center, inverse[r], gamma, row,
                                       dgamma ? sums + p * step : NULL, dbeta ? sums + p * step + W : NULL);
            const double shift = norm->kind == FC_LAYER_NORM ? row[0] / (double)W : 0;
            /* A unit vector that was divided by epsilon, not by its size, is a multiple of x. */
            const int constant = norm->kind == FC_UNIT_NORM && inverse[r] >= (float)(1 / norm->epsilon);
            kernels->normalise_row_backward(W, dy + r * W, x + r * W, center, inverse[r], gamma, (float)shift,
                                            constant ? 0 : (float)(of * of * row[1] / count), dx + r * W);
        }
    if (dgamma) add_parts(parts, step, W, sums, dgamma);
    if (dbeta) add_parts(parts, step, W, sums + W, dbeta);
    fc_free(sums);
    return FC_OK;
}

/* ---- groups ----------------------------------------------------------------------------------------- */

fc_status fc_group_norm_forward(const fc_group_norm *norm, const float *x, const float *gamma, const float *beta,
                                float *y, float *mean, float *inverse) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t P = norm->pixels, C = norm->C, G = norm->groups, D = C / G;
    const int threads = fc_threads_for(operations(norm->N * P, C));
    float *memory = fc_floats(fc_times(threads, 4 * C));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t n = 0; n < norm->N; n++) {
        float *about = memory + fc_thread_index() * 4 * C, *sum = about + C, *squares = sum + C, *shift = squares + C;
        const float *image = x + n * P * C;
        kernels->moments(P, C, image, about, sum, squares);
        for (int64_t g = 0; g < G; g++) {
            double total = 0, distances = 0;
            for (int64_t c = g * D; c < (g + 1) * D; c++) total += (double)about[c] + (double)sum[c] / (double)P;
            const double center = total / (double)D;
            for (int64_t c = g * D; c < (g + 1) * D; c++) {
                const double offset = (double)sum[c] / (double)P, distance = (double)about[c] + offset - center;
                distances += (double)squares[c] - (double)sum[c] * offset + (double)P * distance * distance;
            }
            mean[n * G + g] = (float)center;
            inverse[n * G + g] = (float)(1 / sqrt(fmax(distances, 0) / (double)(P * D) + norm->epsilon));
        }
        for (int64_t c = 0; c < C; c++) {
            about[c] = mean[n * G + c / D];
            squares[c] = gamma ? inverse[n * G + c / D] * gamma[c] : inverse[n * G + c / D];
            shift[c] = beta ? beta[c] : 0;
        }
        kernels->normalise(P, C, image, about, squares, shift, y + n * P * C);
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_group_norm_backward(const fc_group_norm *norm, const float *dy, const float *x, const float *mean,
                                 const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t P = norm->pixels, C = norm->C, G = norm->groups, D = C / G;
    const int threads = fc_threads_for(operations(norm->N * P, C));
    float *memory = fc_floats(fc_plus(fc_volume(norm->N, 2, C), fc_times(threads, 4 * C)));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t n = 0; n < norm->N; n++) {
        float *about = memory + norm->N * 2 * C + fc_thread_index() * 4 * C, *scale = about + C, *shift = scale + C;
        float *slope = shift + C, *products = memory + n * 2 * C, *sum = products + C;
        for (int64_t c = 0; c < C; c++) about[c] = mean[n * G + c / D];
        kernels->gradient_sums(P, C, dy + n * P * C, x + n * P * C, about, sum, products);
        for (int64_t g = 0; g < G; g++) {
            const double of = (double)inverse[n * G + g];
            double total = 0, product = 0;
            for (int64_t c = g * D; c < (g + 1) * D; c++) {
                const double factor = gamma ? (double)gamma[c] : 1;
                total += factor * (double)sum[c];
                product += factor * (double)products[c];
            }
            for (int64_t c = g * D; c < (g + 1) * D; c++) {
                scale[c] = gamma ? (float)(of * (double)gamma[c]) : (float)of;
                shift[c] = (float)(of * total / (double)(P * D));
                slope[c] = (float)(of * of * of * product / (double)(P * D));
                products[c] = (float)(of * (double)products[c]);
            }
        }
        const fc_norm_gradient all = {about, scale, shift, slope};
        kernels->normalise_group_backward(P, C, dy + n * P * C, x + n * P * C, &all, dx + n * P * C);
    }
    if (dgamma) add_parts(norm->N, 2 * C, C, memory, dgamma);
    if (dbeta) add_parts(norm->N, 2 * C, C, memory + C, dbeta);
    fc_free(memory);
    return FC_OK;
}
