/* conv2d_auto.c - which lesson computes a convolution, where that is left open.
 *
 * The one that is estimated to take least time for this pass (engine/cost.c): "winograd" for 3 x 3 kernels at stride 1
 * with channels enough to sum over between the transforms, "im2col" for the gradient of an input of few channels, which
 * leave the lanes of "direct" empty, "direct" for the rest.
 *
 * "direct" copies all pixels from the first to the last that an output sees, im2col those that taps see. So where the
 * outputs and taps are few beside those pixels, "direct" is im2col as well, also for who asks for it by name.
 */
#include "engine/cost.h"
#include "memory.h"

static fc_conv2d_algorithm fastest(const fc_conv2d *conv, fc_conv2d_pass pass) {
    const fc_kernels *kernels = fc_kernels_active();
    const int winograd = conv->KH == 3 && conv->KW == 3 && conv->stride_h == 1 && conv->stride_w == 1 &&
                         conv->dilation_h == 1 && conv->dilation_w == 1 && conv->groups == 1;
    fc_conv2d_algorithm found = FC_CONV2D_DIRECT;
    double least = 0;
    for (fc_conv2d_algorithm algorithm = FC_CONV2D_IM2COL; algorithm <= FC_CONV2D_WINOGRAD; algorithm++) {
        if (algorithm == FC_CONV2D_WINOGRAD && !winograd) continue;
        const fc_effort effort = fc_conv2d_effort(kernels, conv, pass, algorithm);
        const double cost = fc_cost_of(&effort);
        if (algorithm == FC_CONV2D_IM2COL || cost < least) least = cost, found = algorithm;
    }
    return found;
}

/* Along one axis. */
static int is_sparse(int64_t n, int64_t outputs, int64_t taps, int64_t stride, int64_t dilation) {
    const int64_t seen = fc_plus(fc_times(fc_max(outputs - 1, 0), stride), fc_times(taps - 1, dilation));
    return seen > fc_times(4, fc_plus(fc_plus(n, outputs), taps));
}

fc_conv2d_algorithm fc_conv2d_choose(const fc_conv2d *conv, fc_conv2d_pass pass, fc_conv2d_algorithm algorithm) {
    if (algorithm == FC_CONV2D_AUTO) algorithm = fastest(conv, pass);
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
