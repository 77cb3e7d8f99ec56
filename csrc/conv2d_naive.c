/* conv2d_naive.c - lesson 1: the formula.
 *
 *     y[n, h, w, k] = bias[k] + sum over kh, kw, c of  x[n, h*stride_h + kh*dilation_h - pad_top,
 *                                                           w*stride_w + kw*dilation_w - pad_left, c]
 *                                                    * kernel[kh, kw, c, k]
 *
 * where x is zero outside the image. (Mathematicians call this cross-correlation: a convolution would
 * turn the kernel round. Networks learn the kernel, so either will do.) Seven loops, in the order of
 * the letters. With groups, the channels are dealt out to independent convolutions side by side.
 *
 * The backward passes are the same seven loops: y += x * kernel is one product for each of them, so
 * dx gets dy * kernel and dkernel gets x * dy, added up over every product it was part of.
 *
 * About 1-2 GFLOP/s: each multiply-add loads both operands, and waits for the previous one.
 */
#include <string.h>

#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* Where tap (kh, kw) of output (h, w) falls on x: the pixel's first channel, or -1 in the padding. */
static int64_t pixel_under(const fc_conv2d *conv, int64_t n, int64_t h, int64_t w, int64_t kh, int64_t kw) {
    const int64_t row = h * conv->stride_h + kh * conv->dilation_h - conv->pad_top;
    const int64_t column = w * conv->stride_w + kw * conv->dilation_w - conv->pad_left;
    if (row < 0 || row >= conv->H || column < 0 || column >= conv->W) return -1;
    return ((n * conv->H + row) * conv->W + column) * conv->C_in;
}

fc_status fc_conv2d_forward_naive(const fc_conv2d *conv, const float *x, const float *kernel, const float *bias,
                                  float *y) {
    const int64_t C = conv->C_in / conv->groups, K = conv->C_out / conv->groups;
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(fc_conv2d_operations(conv)))
    for (int64_t nh = 0; nh < conv->N * conv->OH; nh++) {
        const int64_t n = nh / conv->OH, h = nh % conv->OH;
        for (int64_t w = 0; w < conv->OW; w++)
            for (int64_t k = 0; k < conv->C_out; k++) {
                float sum = bias ? bias[k] : 0;
                for (int64_t kh = 0; kh < conv->KH; kh++)
                    for (int64_t kw = 0; kw < conv->KW; kw++) {
                        const int64_t pixel = pixel_under(conv, n, h, w, kh, kw);
                        if (pixel < 0) continue;
                        for (int64_t c = 0; c < C; c++)
                            sum += x[pixel + k / K * C + c] *
                                   kernel[((kh * conv->KW + kw) * C + c) * conv->C_out + k];
                    }
                y[(nh * conv->OW + w) * conv->C_out + k] = sum;
            }
    }
    return FC_OK;
}

fc_status fc_conv2d_backward_data_naive(const fc_conv2d *conv, const float *dy, const float *kernel, float *dx) {
    const int64_t C = conv->C_in / conv->groups, K = conv->C_out / conv->groups;
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    const int64_t image = conv->H * conv->W * conv->C_in;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(fc_conv2d_operations(conv)))
    for (int64_t n = 0; n < conv->N; n++) {
        memset(dx + n * image, 0, sizeof(float) * (size_t)image);
        for (int64_t h = 0; h < conv->OH; h++)
            for (int64_t w = 0; w < conv->OW; w++)
                for (int64_t k = 0; k < conv->C_out; k++)
                    for (int64_t kh = 0; kh < conv->KH; kh++)
                        for (int64_t kw = 0; kw < conv->KW; kw++) {
                            const int64_t pixel = pixel_under(conv, n, h, w, kh, kw);
                            if (pixel < 0) continue;
                            for (int64_t c = 0; c < C; c++)
                                dx[pixel + k / K * C + c] +=
                                    dy[((n * conv->OH + h) * conv->OW + w) * conv->C_out + k] *
                                    kernel[((kh * conv->KW + kw) * C + c) * conv->C_out + k];
                        }
    }
    return FC_OK;
}

fc_status fc_conv2d_backward_kernel_naive(const fc_conv2d *conv, const float *x, const float *dy, float *dkernel,
                                          float *dbias) {
    const int64_t C = conv->C_in / conv->groups, K = conv->C_out / conv->groups;
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    /* One thread to an output channel: every element of dkernel is one thread's sum, in one order. */
#pragma omp parallel for schedule(static) num_threads(fc_threads_for(fc_conv2d_operations(conv)))
    for (int64_t k = 0; k < conv->C_out; k++) {
        dbias[k] = 0;
        for (int64_t tap = 0; tap < conv->KH * conv->KW * C; tap++) dkernel[tap * conv->C_out + k] = 0;
        for (int64_t n = 0; n < conv->N; n++)
            for (int64_t h = 0; h < conv->OH; h++)
                for (int64_t w = 0; w < conv->OW; w++) {
                    const float gradient = dy[((n * conv->OH + h) * conv->OW + w) * conv->C_out + k];
                    dbias[k] += gradient;
                    for (int64_t kh = 0; kh < conv->KH; kh++)
                        for (int64_t kw = 0; kw < conv->KW; kw++) {
                            const int64_t pixel = pixel_under(conv, n, h, w, kh, kw);
                            if (pixel < 0) continue;
                            for (int64_t c = 0; c < C; c++)
                                dkernel[((kh * conv->KW + kw) * C + c) * conv->C_out + k] +=
                                    x[pixel + k / K * C + c] * gradient;
                        }
                }
    }
    return FC_OK;
}
