# cython: boundscheck=False, wraparound=False, initializedcheck=False, embedsignature=True
"""The compiled kernels: csrc/ as Python functions.

Nothing is checked here but memory: fastconv.ops validates, then calls. Arrays are C-contiguous float32
(the memoryview types insist), outputs are allocated by the caller, and the GIL is released while C runs.
"""

from libc.stdint cimport int64_t


cdef extern from "fastconv.h" nogil:
    ctypedef enum fc_status:
        FC_OK
        FC_OUT_OF_MEMORY

    ctypedef struct fc_conv2d:
        int64_t N, H, W, C_in
        int64_t KH, KW, C_out
        int64_t OH, OW
        int64_t stride_h, stride_w, dilation_h, dilation_w
        int64_t pad_top, pad_left
        int64_t groups

    ctypedef fc_status fc_conv2d_forward(
        const fc_conv2d *, const float *x, const float *kernel, const float *bias, float *y)
    ctypedef fc_status fc_conv2d_backward_data(
        const fc_conv2d *, const float *dy, const float *kernel, float *dx)
    ctypedef fc_status fc_conv2d_backward_kernel(
        const fc_conv2d *, const float *x, const float *dy, float *dkernel, float *dbias)

    fc_conv2d_forward fc_conv2d_forward_naive, fc_conv2d_forward_im2col, fc_conv2d_forward_direct
    fc_conv2d_forward fc_conv2d_forward_winograd
    fc_conv2d_backward_data fc_conv2d_backward_data_naive, fc_conv2d_backward_data_im2col
    fc_conv2d_backward_data fc_conv2d_backward_data_direct, fc_conv2d_backward_data_winograd
    fc_conv2d_backward_kernel fc_conv2d_backward_kernel_naive, fc_conv2d_backward_kernel_im2col
    fc_conv2d_backward_kernel fc_conv2d_backward_kernel_direct, fc_conv2d_backward_kernel_winograd

    fc_status fc_dense_forward(
        int64_t M, int64_t C, int64_t K, const float *x, const float *w, const float *bias, float *y)
    fc_status fc_dense_backward_data(
        int64_t M, int64_t C, int64_t K, const float *dy, const float *w, float *dx)
    fc_status fc_dense_backward_kernel(
        int64_t M, int64_t C, int64_t K, const float *x, const float *dy, float *dw, float *dbias)

    int fc_isa_count()
    const char *fc_isa_name(int index)
    int fc_isa_lanes(int index)
    int fc_isa_active()
    void fc_isa_select(int index)
    int fc_openmp()
    int fc_num_threads()
    void fc_set_num_threads(int threads)
    double fc_fma_peak(int threads, double seconds)


cdef int check(fc_status status) except -1:
    if status == FC_OUT_OF_MEMORY:
        raise MemoryError("no memory for the kernel's workspace")
    return 0


# ---- the machine --------------------------------------------------------------------------------

def isa_names() -> list:
    return [fc_isa_name(i).decode() for i in range(fc_isa_count())]


def isa_lanes() -> int:
    return fc_isa_lanes(fc_isa_active())


def active_isa() -> str:
    return fc_isa_name(fc_isa_active()).decode()


def select_isa(str name) -> None:
    fc_isa_select(isa_names().index(name))


def openmp() -> bool:
    return fc_openmp() == 1


def num_threads() -> int:
    return fc_num_threads()


def set_num_threads(int threads) -> None:
    fc_set_num_threads(threads)


def fma_peak(int threads, double seconds) -> float:
    cdef double flops
    with nogil:
        flops = fc_fma_peak(threads, seconds)
    return flops


# ---- convolution --------------------------------------------------------------------------------

# In the order of the tables below.
ALGORITHMS = ("naive", "im2col", "direct", "winograd")

cdef fc_conv2d_forward *forward_algorithms[4]
cdef fc_conv2d_backward_data *backward_data_algorithms[4]
cdef fc_conv2d_backward_kernel *backward_kernel_algorithms[4]
forward_algorithms[:] = [
    fc_conv2d_forward_naive, fc_conv2d_forward_im2col, fc_conv2d_forward_direct, fc_conv2d_forward_winograd]
backward_data_algorithms[:] = [
    fc_conv2d_backward_data_naive, fc_conv2d_backward_data_im2col, fc_conv2d_backward_data_direct,
    fc_conv2d_backward_data_winograd]
backward_kernel_algorithms[:] = [
    fc_conv2d_backward_kernel_naive, fc_conv2d_backward_kernel_im2col, fc_conv2d_backward_kernel_direct,
    fc_conv2d_backward_kernel_winograd]


cdef fc_conv2d describe(tuple x_shape, tuple kernel_shape, tuple y_shape, window, int64_t groups):
    cdef fc_conv2d conv
    conv.N, conv.H, conv.W, conv.C_in = x_shape
    conv.KH, conv.KW = kernel_shape[:2]
    conv.OH, conv.OW, conv.C_out = y_shape[1:]
    conv.stride_h, conv.stride_w = window.strides
    conv.dilation_h, conv.dilation_w = window.dilation
    conv.pad_top, conv.pad_left = window.rows.before, window.columns.before
    conv.groups = groups
    return conv


def conv2d(int algorithm, x, kernel, bias, window, int64_t groups, y) -> None:
    cdef fc_conv2d conv = describe(x.shape, kernel.shape, y.shape, window, groups)
    cdef const float[:, :, :, ::1] x_view = x, kernel_view = kernel
    cdef const float[::1] bias_view = bias
    cdef float[:, :, :, ::1] y_view = y
    cdef const float *bias_data = NULL if bias is None else &bias_view[0]
    cdef fc_status status
    with nogil:
        status = forward_algorithms[algorithm](
            &conv, &x_view[0, 0, 0, 0], &kernel_view[0, 0, 0, 0], bias_data, &y_view[0, 0, 0, 0])
    check(status)


def conv2d_backward_data(int algorithm, dy, kernel, window, int64_t groups, dx) -> None:
    cdef fc_conv2d conv = describe(dx.shape, kernel.shape, dy.shape, window, groups)
    cdef const float[:, :, :, ::1] dy_view = dy, kernel_view = kernel
    cdef float[:, :, :, ::1] dx_view = dx
    cdef fc_status status
    with nogil:
        status = backward_data_algorithms[algorithm](
            &conv, &dy_view[0, 0, 0, 0], &kernel_view[0, 0, 0, 0], &dx_view[0, 0, 0, 0])
    check(status)


def conv2d_backward_kernel(int algorithm, x, dy, window, int64_t groups, dkernel, dbias) -> None:
    cdef fc_conv2d conv = describe(x.shape, dkernel.shape, dy.shape, window, groups)
    cdef const float[:, :, :, ::1] x_view = x, dy_view = dy
    cdef float[:, :, :, ::1] dkernel_view = dkernel
    cdef float[::1] dbias_view = dbias
    cdef fc_status status
    with nogil:
        status = backward_kernel_algorithms[algorithm](
            &conv, &x_view[0, 0, 0, 0], &dy_view[0, 0, 0, 0], &dkernel_view[0, 0, 0, 0], &dbias_view[0])
    check(status)


# ---- dense --------------------------------------------------------------------------------------

def dense(const float[:, ::1] x, const float[:, ::1] kernel, const float[::1] bias, float[:, ::1] y) -> None:
    cdef fc_status status
    cdef const float *bias_data = NULL if bias is None else &bias[0]
    with nogil:
        status = fc_dense_forward(
            x.shape[0], x.shape[1], kernel.shape[1], &x[0, 0], &kernel[0, 0], bias_data, &y[0, 0])
    check(status)


def dense_backward_data(const float[:, ::1] dy, const float[:, ::1] kernel, float[:, ::1] dx) -> None:
    cdef fc_status status
    with nogil:
        status = fc_dense_backward_data(
            dy.shape[0], kernel.shape[0], dy.shape[1], &dy[0, 0], &kernel[0, 0], &dx[0, 0])
    check(status)


def dense_backward_kernel(
    const float[:, ::1] x, const float[:, ::1] dy, float[:, ::1] dkernel, float[::1] dbias
) -> None:
    cdef fc_status status
    with nogil:
        status = fc_dense_backward_kernel(
            x.shape[0], x.shape[1], dy.shape[1], &x[0, 0], &dy[0, 0], &dkernel[0, 0], &dbias[0])
    check(status)
