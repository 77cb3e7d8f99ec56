/* conv2d_im2col.c - lesson 2: patches as a matrix.
 *
 * Lay the KH*KW*C_in numbers under the kernel at each output pixel out as a row: the convolution is then
 *
 *     patches (pixels, KH*KW*C_in)  times  kernel (KH*KW*C_in, C_out)
 *
 * a matrix product, which decades of work have made fast. The price is memory: every input pixel is
 * copied KH*KW times (49 times for a 7x7 kernel), written once and read once.
 *
 * Backward: dkernel = patches^T dy, and dpatches = dy kernel^T, whose rows col2im adds back to the pixels
 * they were copied from: the adjoint of copying is adding.
 *
 * Images go through in blocks whose patches fit into a cache.
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "threads.h"

typedef struct {
    const fc_kernels *kernels;
    int64_t image_pixels; /* OH * OW: rows of the matrix for one image */
    int64_t C, K;         /* channels in and out of one group */
    int64_t columns;      /* KH * KW * C */
    int64_t images;       /* in a block */
    float *rows;          /* (images * image_pixels, columns) */
} patches;

static fc_status plan(const fc_conv2d *conv, patches *p) {
    const int64_t cache_floats = 1 << 17; /* half a megabyte */
    if (!fc_conv2d_fits(conv, 0)) return FC_TOO_LARGE;
    *p = (patches){.kernels = fc_kernels_active(), .image_pixels = conv->OH * conv->OW,
                   .C = conv->C_in / conv->groups, .K = conv->C_out / conv->groups};
    p->columns = conv->KH * conv->KW * p->C;
    p->images = fc_max(1, fc_min(conv->N, cache_floats / fc_max(1, p->image_pixels * p->columns)));
    p->rows = fc_floats(fc_volume(p->images, p->image_pixels, p->columns));
    return p->rows ? FC_OK : FC_OUT_OF_MEMORY;
}

/* Visit every patch of a block of images of one group: copy it from x, or add it back to dx. */
static void im2col(const fc_conv2d *conv, const patches *p, const float *x, int64_t images) {
    const int64_t pixels = images * p->image_pixels;
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)(pixels * p->columns)))
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        const int64_t n = pixel / p->image_pixels, h = pixel % p->image_pixels / conv->OW, w = pixel % conv->OW;
        float *patch = p->rows + pixel * p->columns;
        for (int64_t kh = 0; kh < conv->KH; kh++)
            for (int64_t kw = 0; kw < conv->KW; kw++, patch += p->C) {
                const int64_t row = h * conv->stride_h + kh * conv->dilation_h - conv->pad_top;
                const int64_t column = w * conv->stride_w + kw * conv->dilation_w - conv->pad_left;
                if (row < 0 || row >= conv->H || column < 0 || column >= conv->W)
                    memset(patch, 0, sizeof(float) * (size_t)p->C);
                else
                    memcpy(patch, x + ((n * conv->H + row) * conv->W + column) * conv->C_in,
                           sizeof(float) * (size_t)p->C);
            }
    }
}

static void col2im(const fc_conv2d *conv, const patches *p, float *dx, int64_t images) {
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)(images * p->image_pixels * p->columns)))
    for (int64_t n = 0; n < images; n++) {
        const float *patch = p->rows + n * p->image_pixels * p->columns;
        for (int64_t h = 0; h < conv->OH; h++)
            for (int64_t w = 0; w < conv->OW; w++)
                for (int64_t kh = 0; kh < conv->KH; kh++)
                    for (int64_t kw = 0; kw < conv->KW; kw++, patch += p->C) {
                        const int64_t row = h * conv->stride_h + kh * conv->dilation_h - conv->pad_top;
                        const int64_t column = w * conv->stride_w + kw * conv->dilation_w - conv->pad_left;
                        if (row < 0 || row >= conv->H || column < 0 || column >= conv->W) continue;
                        float *to = dx + ((n * conv->H + row) * conv->W + column) * conv->C_in;
                        for (int64_t c = 0; c < p->C; c++) to[c] += patch[c];
                    }
    }
}

fc_status fc_conv2d_forward_im2col(const fc_conv2d *conv, const float *x, const float *kernel, const float *bias,
                                   float *y) {
    patches p;
    fc_status status = plan(conv, &p);
    if (status != FC_OK) return status;
    for (int64_t n = 0; n < conv->N && status == FC_OK; n += p.images) {
        const int64_t images = fc_min(p.images, conv->N - n);
        for (int64_t g = 0; g < conv->groups && status == FC_OK; g++) {
            im2col(conv, &p, x + n * conv->H * conv->W * conv->C_in + g * p.C, images);
            status = fc_matmul(p.kernels, images * p.image_pixels, p.columns, p.K, p.rows, p.columns,
                               (fc_weights){kernel + g * p.K, conv->C_out, 1}, bias ? bias + g * p.K : NULL,
                               y + n * p.image_pixels * conv->C_out + g * p.K, conv->C_out);
        }
    }
    fc_free(p.rows);
    return status;
}

fc_status fc_conv2d_backward_data_im2col(const fc_conv2d *conv, const float *dy, const float *kernel, float *dx) {
    patches p;
    fc_status status = plan(conv, &p);
    if (status != FC_OK) return status;
    memset(dx, 0, sizeof(float) * (size_t)(conv->N * conv->H * conv->W * conv->C_in));
    for (int64_t n = 0; n < conv->N && status == FC_OK; n += p.images) {
        const int64_t images = fc_min(p.images, conv->N - n);
        for (int64_t g = 0; g < conv->groups && status == FC_OK; g++) {
            status = fc_matmul(p.kernels, images * p.image_pixels, p.K, p.columns,
                               dy + n * p.image_pixels * conv->C_out + g * p.K, conv->C_out,
                               (fc_weights){kernel + g * p.K, 1, conv->C_out}, NULL, p.rows, p.columns);
            if (status == FC_OK) col2im(conv, &p, dx + n * conv->H * conv->W * conv->C_in + g * p.C, images);
        }
    }
    fc_free(p.rows);
    return status;
}

fc_status fc_conv2d_backward_kernel_im2col(const fc_conv2d *conv, const float *x, const float *dy, float *dkernel,
                                           float *dbias) {
    patches p;
    fc_status status = plan(conv, &p);
    if (status != FC_OK) return status;
    memset(dkernel, 0, sizeof(float) * (size_t)(p.columns * conv->C_out));
    status = fc_column_sums(p.kernels, conv->N * p.image_pixels, conv->C_out, dy, dbias);
    for (int64_t n = 0; n < conv->N && status == FC_OK; n += p.images) {
        const int64_t images = fc_min(p.images, conv->N - n);
        for (int64_t g = 0; g < conv->groups && status == FC_OK; g++) {
            im2col(conv, &p, x + n * conv->H * conv->W * conv->C_in + g * p.C, images);
            status = fc_matmul_outer(p.kernels, images * p.image_pixels, p.columns, p.K, p.rows, p.columns,
                                     dy + n * p.image_pixels * conv->C_out + g * p.K, conv->C_out,
                                     dkernel + g * p.K, conv->C_out, 0);
        }
    }
    fc_free(p.rows);
    return status;
}
