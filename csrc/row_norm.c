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

#include "fold.h"
#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "threads.h"

enum { MOST_PARTS = 16 };

static double operations(int64_t rows, int64_t W) { return 6.0 * (double)rows * (double)W; }

/* What the row is multiplied with, and its mean where that is taken off. */
static float inverse_of(const fc_kernels *kernels, const fc_row_norm *norm, const float *x, float *mean) {
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
    const int64_t W = norm->W, lanes = kernels->lanes;
    if (W <= FC_SHORT_ROW) {
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(norm->rows, W)))
        for (int64_t r = 0; r < norm->rows; r += lanes)
            kernels->normalise_short_rows(norm, fc_min(lanes, norm->rows - r), x + r * W, gamma, beta, y + r * W,
                                          mean ? mean + r : NULL, inverse + r);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(norm->rows, norm->W)))
    for (int64_t r = 0; r < norm->rows; r++) {
        float center;
        inverse[r] = inverse_of(kernels, norm, x + r * norm->W, &center);
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

/* The rows of one part. sums: dgamma and dbeta (2, W), and room for a vector of each of their numbers. */
static void short_rows_backward(const fc_kernels *kernels, const fc_row_norm *norm, int64_t first, int64_t end,
                                const float *dy, const float *x, const float *mean, const float *inverse,
                                const float *gamma, float *dx, float *sums, int with_dgamma, int with_dbeta) {
    const int64_t W = norm->W, lanes = kernels->lanes;
    float *dgamma = with_dgamma ? sums + 2 * W : NULL, *dbeta = with_dbeta ? sums + 2 * W + W * lanes : NULL;
    for (int64_t r = first; r < end; r += lanes)
        kernels->normalise_short_rows_backward(norm, fc_min(lanes, end - r), dy + r * W, x + r * W,
                                               mean ? mean + r : NULL, inverse + r, gamma, dx + r * W, dgamma, dbeta);
    if (dgamma) kernels->sum_lanes(W, dgamma, sums);
    if (dbeta) kernels->sum_lanes(W, dbeta, sums + W);
}

fc_status fc_row_norm_backward(const fc_row_norm *norm, const float *dy, const float *x, const float *mean,
                               const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t W = norm->W, parts = fc_min(norm->rows, MOST_PARTS), lanes = kernels->lanes;
    const int is_short = W <= FC_SHORT_ROW / 2; /* two arrays, and their sums: benchmarks/test_layer_ops.py */
    const int64_t step = dgamma || dbeta ? 2 * W + (is_short ? 2 * W * lanes : 0) : 0;
    float *sums = fc_floats(parts * step);
    if (!sums) return FC_OUT_OF_MEMORY;
    memset(sums, 0, sizeof(float) * (size_t)(parts * step));
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(operations(norm->rows, W)))
    for (int64_t p = 0; p < parts; p++) {
        const int64_t first = fc_part(norm->rows, parts, p), end = fc_part(norm->rows, parts, p + 1);
        if (is_short)
            short_rows_backward(kernels, norm, first, end, dy, x, mean, inverse, gamma, dx, sums + p * step,
                                dgamma != NULL, dbeta != NULL);
        for (int64_t r = first; !is_short && r < end; r++) {
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
    }
    if (dgamma) add_parts(parts, step, W, sums, dgamma);
    if (dbeta) add_parts(parts, step, W, sums + W, dbeta);
    fc_free(sums);
    return FC_OK;
}

/* ---- groups ----------------------------------------------------------------------------------------- */

/* Room for each thread: of each piece of an image its columns' sums, three or two of them; and four sets of columns. */
static int64_t group_room(const fc_folded *f, int64_t sums) { return (f->pieces * sums + 4) * f->period; }

/* mean and inverse (groups) of one image. */
static void group_moments(const fc_kernels *kernels, const fc_group_norm *norm, const fc_folded *f, const float *image,
                          float *parts, float *mean, float *inverse) {
    const int64_t C = norm->C, D = C / norm->groups, P = f->period;
    for (int64_t p = 0; p < f->pieces; p++) {
        const fc_piece piece = fc_piece_of(f, p);
        float *about = parts + p * 3 * P;
        kernels->moments(piece.rows, piece.width, image + piece.start, about, about + P, about + 2 * P);
    }
    for (int64_t g = 0; g < norm->groups; g++) {
        const double count = (double)(norm->pixels * D);
        double center = 0, distances = 0;
        for (int pass = 0; pass < 2; pass++) /* the mean, then squares of distances from there */
            for (int64_t p = 0; p < f->pieces; p++) {
                const fc_piece piece = fc_piece_of(f, p);
                const float *about = parts + p * 3 * P, *sum = about + P, *squares = sum + P;
                const double rows = (double)piece.rows;
                for (int64_t j = g * D; j < piece.width; j += C)
                    for (int64_t c = j; c < j + D; c++) {
                        const double column = (double)about[c] + (double)sum[c] / rows, distance = column - center;
                        if (pass == 0) center += column * rows / count;
                        else distances += (double)squares[c] - (double)sum[c] * (double)sum[c] / rows +
                                          rows * distance * distance;
                    }
            }
        mean[g] = (float)center;
        inverse[g] = (float)(1 / sqrt(fmax(distances, 0) / count + norm->epsilon));
    }
}

fc_status fc_group_norm_forward(const fc_group_norm *norm, const float *x, const float *gamma, const float *beta,
                                float *y, float *mean, float *inverse) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t C = norm->C, G = norm->groups, D = C / G, image = norm->pixels * C;
    const fc_folded f = fc_fold(kernels->lanes, norm->pixels, C);
    const int threads = fc_threads_for(operations(norm->N * norm->pixels, C));
    float *memory = fc_floats(fc_times(threads, group_room(&f, 3)));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t n = 0; n < norm->N; n++) {
        float *about = memory + fc_thread_index() * group_room(&f, 3), *scale = about + f.period;
        float *shift = scale + f.period;
        group_moments(kernels, norm, &f, x + n * image, about + 4 * f.period, mean + n * G, inverse + n * G);
        for (int64_t c = 0; c < C; c++) {
            about[c] = mean[n * G + c / D];
            scale[c] = gamma ? inverse[n * G + c / D] * gamma[c] : inverse[n * G + c / D];
            shift[c] = beta ? beta[c] : 0;
        }
        fc_repeat(&f, about), fc_repeat(&f, scale), fc_repeat(&f, shift);
        const fc_normalisation columns = {.mean = about, .scale = scale, .shift = shift};
        for (int64_t p = 0; p < f.pieces; p++) {
            const fc_piece piece = fc_piece_of(&f, p);
            const int64_t at = n * image + piece.start;
            kernels->normalise(piece.rows, piece.width, x + at, &columns, NULL, y + at);
        }
    }
    fc_free(memory);
    return FC_OK;
}

fc_status fc_group_norm_backward(const fc_group_norm *norm, const float *dy, const float *x, const float *mean,
                                 const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta) {
    const fc_kernels *kernels = fc_kernels_active();
    const int64_t C = norm->C, G = norm->groups, D = C / G, image = norm->pixels * C;
    const fc_folded f = fc_fold(kernels->lanes, norm->pixels, C);
    const int threads = fc_threads_for(operations(norm->N * norm->pixels, C));
    float *memory = fc_floats(fc_plus(fc_volume(norm->N, 2, C), fc_times(threads, group_room(&f, 2))));
    if (!memory) return FC_OUT_OF_MEMORY;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t n = 0; n < norm->N; n++) {
        float *about = memory + norm->N * 2 * C + fc_thread_index() * group_room(&f, 2), *scale = about + f.period;
        float *shift = scale + f.period, *slope = shift + f.period, *parts = slope + f.period;
        float *products = memory + n * 2 * C, *sums = products + C;
        for (int64_t c = 0; c < C; c++) about[c] = mean[n * G + c / D];
        fc_repeat(&f, about);
        for (int64_t p = 0; p < f.pieces; p++) {
            const fc_piece piece = fc_piece_of(&f, p);
            const int64_t at = n * image + piece.start;
            float *sum = parts + p * 2 * f.period;
            kernels->gradient_sums(piece.rows, piece.width, dy + at, x + at, about, sum, sum + f.period);
        }
        for (int64_t g = 0; g < G; g++) {
            const double of = (double)inverse[n * G + g], count = (double)(norm->pixels * D);
            double total = 0, product = 0;
            for (int64_t c = g * D; c < (g + 1) * D; c++) {
                double of_dy = 0, of_products = 0;
                for (int64_t p = 0; p < f.pieces; p++)
                    for (int64_t j = c, width = fc_piece_of(&f, p).width; j < width; j += C) {
                        of_dy += (double)parts[p * 2 * f.period + j];
                        of_products += (double)parts[(p * 2 + 1) * f.period + j];
                    }
                total += (gamma ? (double)gamma[c] : 1) * of_dy;
                product += (gamma ? (double)gamma[c] : 1) * of_products;
                sums[c] = (float)of_dy;
                products[c] = (float)(of * of_products);
            }
            for (int64_t c = g * D; c < (g + 1) * D; c++) {
                scale[c] = gamma ? (float)(of * (double)gamma[c]) : (float)of;
                shift[c] = (float)(of * total / count);
                slope[c] = (float)(of * of * of * product / count);
            }
        }
        fc_repeat(&f, scale), fc_repeat(&f, shift), fc_repeat(&f, slope);
        const fc_norm_gradient all = {about, scale, shift, slope};
        for (int64_t p = 0; p < f.pieces; p++) {
            const fc_piece piece = fc_piece_of(&f, p);
            const int64_t at = n * image + piece.start;
            kernels->normalise_group_backward(piece.rows, piece.width, dy + at, x + at, &all, dx + at);
        }
    }
    if (dgamma) add_parts(norm->N, 2 * C, C, memory, dgamma);
    if (dbeta) add_parts(norm->N, 2 * C, C, memory + C, dbeta);
    fc_free(memory);
    return FC_OK;
}
