/* conv2d_auto.c - which lesson computes a convolution, where that is left open.
 *
 *     winograd    3 x 3 kernels at stride 1, where fewer multiplications outweigh the transforms: enough channels to
 *                 sum over between transforming images, and enough tiles to transform the kernel for
 *                 (benchmarks/test_algorithms_auto.py)
 *     im2col      the gradient of an input of few channels: "direct" does C_out steps for a tap and a pixel whatever
 *                 C_in is, up to a vector's lanes; im2col's product fills the lanes with taps. Cycles for a tap and a
 *                 pixel, fitted to measurements of 3 x 3 to 7 x 7 kernels on AVX2 and AVX-512:
 *
 *                     direct  10 C_out / lanes        im2col  4 + C_in (C_out / (2 lanes) + 0.9)
 *
 *     direct      everything else
 *
 * "direct" copies all pixels from the first to the last that an output sees, im2col those that taps see. So where the
 * outputs and taps are few beside those pixels, "direct" is im2col as well, also for who asks for it by name.
 */
#include "kernels.h"
#include "memory.h"

enum { WINOGRAD_CHANNELS = 32, WINOGRAD_TILES = 16 };

static int winograd_pays(const fc_conv2d *conv, fc_conv2d_pass pass) {
    const int fits = conv->KH == 3 && conv->KW == 3 && conv->stride_h == 1 && conv->stride_w == 1 &&
                     conv->dilation_h == 1 && conv->dilation_w == 1 && conv->groups == 1;
    const int64_t rows = pass == FC_PASS_DATA ? conv->H : conv->OH;
    const int64_t columns = pass == FC_PASS_DATA ? conv->W : conv->OW;
    const double tiles = (double)conv->N * (double)((rows + 3) / 4) * (double)((columns + 3) / 4);
    return fits && fc_min(conv->C_in, conv->C_out) >= WINOGRAD_CHANNELS && tiles >= WINOGRAD_TILES;
}

static int leaves_lanes_empty(const fc_conv2d *conv) {
    const double lanes = fc_kernels_active()->lanes, C_in = (double)conv->C_in, C_out = (double)conv->C_out;
    return conv->stride_h == 1 && conv->stride_w == 1 && conv->groups == 1 &&
           4 + C_in * (C_out / (2 * lanes) + 0.9) < C_out * 10 / lanes;
}

/* Along one axis. */
static int is_sparse(int64_t n, int64_t outputs, int64_t taps, int64_t stride, int64_t dilation) {
    const int64_t seen = fc_plus(fc_times(fc_max(outputs - 1, 0), stride), fc_times(taps - 1, dilation));
    return seen > fc_times(4, fc_plus(fc_plus(n, outputs), taps));
}

fc_conv2d_algorithm fc_conv2d_choose(const fc_conv2d *conv, fc_conv2d_pass pass, fc_conv2d_algorithm algorithm) {
    if (algorithm == FC_CONV2D_AUTO) {
        algorithm = FC_CONV2D_DIRECT;
        if (pass == FC_PASS_DATA && leaves_lanes_empty(conv)) return FC_CONV2D_IM2COL;
        if (winograd_pays(conv, pass)) return FC_CONV2D_WINOGRAD;
    }
    const int sparse = is_sparse(conv->H, conv->OH, conv->KH, conv->stride_h, conv->dilation_h) ||
                       is_sparse(conv->W, conv->OW, conv->KW, conv->stride_w, conv->dilation_w);
    return algorithm == FC_CONV2D_DIRECT && sparse ? FC_CONV2D_IM2COL : algorithm;
}

static fc_conv2d_forward *const forward[] = {
    [FC_CONV2D_NAIVE] = fc_conv2d_forward_naive, [FC_CONV2D_IM2COL] = fc_conv2d_forward_im2col,
    [FC_CONV2D_DIRECT] = fc_conv2d_forward_direct, [FC_CONV2D_WINOGRAD] = fc_conv2d_forward_winograd};

static fc_conv2d_backward_data *const backward_data[] = {
    [FC_CONV2D_NAIVE] = fc_conv2d_backward_data_naive, [FC_CONV2D_IM2COL] = fc_conv2d_backward_data_im2col,
    [FC_CONV2D_DIRECT] = fc_conv2d_backward_data_direct, [FC_CONV2D_WINOGRAD] = fc_conv2d_backward_data_winograd};

static fc_conv2d_backward_kernel *const backward_kernel[] = {
    [FC_CONV2D_NAIVE] = fc_conv2d_backward_kernel_naive, [FC_CONV2D_IM2COL] = fc_conv2d_backward_kernel_im2col,
    [FC_CONV2D_DIRECT] = fc_conv2d_backward_kernel_direct,
    [FC_CONV2D_WINOGRAD] = fc_conv2d_backward_kernel_winograd};

fc_status fc_conv2d_forward_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *x,
                               const float *kernel, const float *bias, float *y) {
    return forward[fc_conv2d_choose(conv, FC_PASS_FORWARD, algorithm)](conv, x, kernel, bias, y);
}

fc_status fc_conv2d_backward_data_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *dy,
                                     const float *kernel, float *dx) {
    return backward_data[fc_conv2d_choose(conv, FC_PASS_DATA, algorithm)](conv, dy, kernel, dx);
}

fc_status fc_conv2d_backward_kernel_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *x,
                                       const float *dy, float *dkernel, float *dbias) {
    return backward_kernel[fc_conv2d_choose(conv, FC_PASS_KERNEL, algorithm)](conv, x, dy, dkernel, dbias);
}
