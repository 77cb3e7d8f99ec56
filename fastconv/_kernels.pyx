# cython: boundscheck=False, wraparound=False, initializedcheck=False, embedsignature=True
# cython: nonecheck=True
"""The compiled kernels: csrc/ as Python functions.

Nothing is checked here but sizes, memory, and that no array is None: fastconv.ops validates, then calls. Arrays
are C-contiguous float32 (memoryview types and data_of insist), outputs are allocated by the caller, and the GIL
is released while C runs.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer)
from libc.stdlib cimport calloc, free, realloc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset, strcmp

import numpy


cdef extern from *:
    """
    #ifndef FASTCONV_SOURCES
    #define FASTCONV_SOURCES 0LL
    #endif
    """
    const int64_t FASTCONV_SOURCES

SOURCES = FASTCONV_SOURCES  # the fingerprint in fastconv/_sources.py of what this was compiled from


cdef extern from "fastconv.h" nogil:
    ctypedef enum fc_status:
        FC_OK
        FC_OUT_OF_MEMORY
        FC_TOO_LARGE
        FC_INVALID
        FC_NOT_EXCHANGED

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

    ctypedef enum fc_conv2d_algorithm:
        FC_CONV2D_AUTO

    ctypedef enum fc_conv2d_pass:
        FC_PASS_FORWARD
        FC_PASS_DATA
        FC_PASS_KERNEL

    fc_conv2d_forward fc_conv2d_forward_naive, fc_conv2d_forward_im2col, fc_conv2d_forward_direct
    fc_conv2d_forward fc_conv2d_forward_winograd
    fc_conv2d_algorithm fc_conv2d_choose(const fc_conv2d *, fc_conv2d_pass, fc_conv2d_algorithm)
    fc_status fc_conv2d_forward_by(
        fc_conv2d_algorithm, const fc_conv2d *, const float *x, const float *kernel, const float *bias, float *y)
    fc_status fc_conv2d_backward_data_by(
        fc_conv2d_algorithm, const fc_conv2d *, const float *dy, const float *kernel, float *dx)
    fc_status fc_conv2d_backward_kernel_by(
        fc_conv2d_algorithm, const fc_conv2d *, const float *x, const float *dy, float *dkernel, float *dbias)

    ctypedef struct fc_connections:
        int64_t count
        const int64_t *input
        const int64_t *filter

    fc_status fc_conv2d_connected_forward(
        const fc_conv2d *, fc_connections, const float *x, const float *kernel, const float *bias, float *y)
    fc_status fc_conv2d_connected_backward_data(
        const fc_conv2d *, fc_connections, const float *dy, const float *kernel, float *dx)
    fc_status fc_conv2d_connected_backward_kernel(
        const fc_conv2d *, fc_connections, const float *x, const float *dy, float *dkernel, float *dbias)

    fc_conv2d_forward fc_conv2d_depthwise_forward
    fc_conv2d_backward_data fc_conv2d_depthwise_backward_data
    fc_conv2d_backward_kernel fc_conv2d_depthwise_backward_kernel

    fc_status fc_dense_forward(
        int64_t M, int64_t C, int64_t K, const float *x, const float *w, const float *bias, float *y)
    fc_status fc_dense_backward_data(
        int64_t M, int64_t C, int64_t K, const float *dy, const float *w, float *dx)
    fc_status fc_dense_backward_kernel(
        int64_t M, int64_t C, int64_t K, const float *x, const float *dy, float *dw, float *dbias)

    void fc_rbf_forward(int64_t M, int64_t C, int64_t K, const float *x, const float *w, float *y)
    void fc_rbf_backward_data(
        int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w, float *dx)
    void fc_rbf_backward_kernel(
        int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w, float *dw)

    ctypedef struct fc_pool2d:
        int64_t N, H, W, C
        int64_t KH, KW
        int64_t OH, OW
        int64_t stride_h, stride_w
        int64_t pad_top, pad_left

    fc_status fc_max_pool2d_forward(const fc_pool2d *, const float *x, float *y, uint16_t *switches)
    fc_status fc_max_pool2d_backward(const fc_pool2d *, const float *dy, const uint16_t *switches, float *dx)
    fc_status fc_avg_pool2d_forward(const fc_pool2d *, const float *x, float *y)
    fc_status fc_avg_pool2d_backward(const fc_pool2d *, const float *dy, float *dx)
    fc_status fc_global_max_pool2d_forward(
        int64_t N, int64_t pixels, int64_t C, const float *x, float *y, int32_t *switches)
    fc_status fc_global_max_pool2d_backward(
        int64_t N, int64_t pixels, int64_t C, const float *dy, const int32_t *switches, float *dx)

    ctypedef enum fc_activation:
        FC_LINEAR
        FC_RELU
        FC_RELU6
        FC_LEAKY_RELU
        FC_SIGMOID
        FC_HARD_SIGMOID
        FC_LOG_SIGMOID
        FC_TANH
        FC_SCALED_TANH
        FC_HARD_TANH
        FC_ELU
        FC_CELU
        FC_SELU
        FC_SOFTPLUS
        FC_SOFTSIGN
        FC_EXPONENTIAL
        FC_HARD_SHRINK
        FC_SOFT_SHRINK
        FC_SPARSE_PLUS
        FC_SPARSE_SIGMOID
        FC_SQUAREPLUS
        FC_SILU
        FC_HARD_SILU
        FC_GELU
        FC_GELU_TANH
        FC_MISH
        FC_TANH_SHRINK

    void fc_activation_forward(fc_activation kind, float alpha, int64_t n, const float *x, float *y)
    void fc_activation_backward(
        fc_activation kind, float alpha, int64_t n, const float *dy, const float *kept, float *dx)

    fc_status fc_prelu_forward(int64_t rows, int64_t K, const float *x, const float *alpha, float *y)
    fc_status fc_prelu_backward(
        int64_t rows, int64_t K, const float *dy, const float *x, const float *alpha, float *dx, float *dalpha)

    ctypedef enum fc_elementwise:
        FC_ADD
        FC_SUBTRACT
        FC_MULTIPLY
        FC_DIVIDE
        FC_AVERAGE
        FC_MAXIMUM
        FC_MINIMUM

    ctypedef struct fc_broadcast:
        fc_elementwise kind
        int64_t outer, rows, width
        int64_t a[3]
        int64_t b[3]

    fc_status fc_elementwise_forward(const fc_broadcast *, const float *a, const float *b, float *y)
    fc_status fc_elementwise_backward(
        const fc_broadcast *, int second, const float *dy, const float *a, const float *b, float *to)

    ctypedef struct fc_random:
        uint64_t seed
        uint32_t call

    ctypedef struct fc_dropout:
        int64_t images, pixels, places
        int64_t first_image
        fc_random stream
        uint32_t threshold
        float scale, shift, fill

    void fc_dropout_forward(const fc_dropout *, const float *x, float *y)
    double fc_l1_l2_penalty(int64_t n, const float *x, double l1, double l2, float *grad, double scale)

    void fc_softmax_forward(int64_t rows, int64_t C, const float *x, float *p)
    void fc_softmax_backward(int64_t rows, int64_t C, const float *dp, const float *p, float *dx)
    void fc_log_softmax(int64_t rows, int64_t C, const float *x, float *y)
    void fc_log_softmax_backward(int64_t rows, int64_t C, const float *dy, const float *y, float *dx)

    fc_status fc_moments(int64_t rows, int64_t C, const float *x, float *mean, float *variance)
    ctypedef struct fc_ending:
        pass
    fc_status fc_batch_norm_forward(
        int64_t rows, int64_t C, const float *x, const float *mean, const float *variance, const float *gamma,
        const float *beta, double epsilon, const fc_ending *ending, float *y)
    fc_status fc_batch_norm_backward_weights(
        int64_t rows, int64_t C, const float *dy, const float *x, const float *mean, const float *variance,
        double epsilon, float *dgamma, float *dbeta)
    fc_status fc_batch_norm_backward_data(
        int64_t rows, int64_t C, const float *dy, const float *x, const float *mean, const float *variance,
        const float *gamma, const float *dgamma, const float *dbeta, double epsilon, float *dx)

    ctypedef enum fc_row_norm_kind:
        FC_LAYER_NORM
        FC_RMS_NORM
        FC_UNIT_NORM

    ctypedef struct fc_row_norm:
        fc_row_norm_kind kind
        int64_t rows, W
        double epsilon

    void fc_row_norm_forward(
        const fc_row_norm *, const float *x, const float *gamma, const float *beta, float *y, float *mean,
        float *inverse)
    fc_status fc_row_norm_backward(
        const fc_row_norm *, const float *dy, const float *x, const float *mean, const float *inverse,
        const float *gamma, float *dx, float *dgamma, float *dbeta)

    ctypedef struct fc_group_norm:
        int64_t N, pixels, C, groups
        double epsilon

    fc_status fc_group_norm_forward(
        const fc_group_norm *, const float *x, const float *gamma, const float *beta, float *y, float *mean,
        float *inverse)
    fc_status fc_group_norm_backward(
        const fc_group_norm *, const float *dy, const float *x, const float *mean, const float *inverse,
        const float *gamma, float *dx, float *dgamma, float *dbeta)

    ctypedef struct fc_resample_axis:
        int64_t source, outputs
        const int64_t *first
        const float *weight
        const float *next

    ctypedef struct fc_resample:
        int64_t N, C
        fc_resample_axis rows, columns

    fc_status fc_resample_forward(const fc_resample *, const float *x, float *y)
    fc_status fc_resample_backward(const fc_resample *, const float *dy, float *dx)

    ctypedef struct fc_targets:
        const int64_t *labels
        const float *rows
        const float *weights

    fc_status fc_softmax_cross_entropy(
        int64_t N, int64_t C, const float *logits, fc_targets targets, double *loss, float *dlogits)

    ctypedef enum fc_loss_kind:
        FC_LOSS_SOFTMAX_CROSS_ENTROPY
        FC_LOSS_SIGMOID_CROSS_ENTROPY
        FC_LOSS_SQUARED
        FC_LOSS_ABSOLUTE
        FC_LOSS_HUBER

    ctypedef enum fc_fill:
        FC_FILL_CONSTANT
        FC_FILL_NEAREST
        FC_FILL_REFLECT
        FC_FILL_WRAP

    ctypedef struct fc_affine:
        int64_t N, H, W, C
        int64_t OH, OW
        const float *maps
        int bilinear
        fc_fill fill
        float fill_value

    fc_status fc_affine_forward(const fc_affine *, const float *x, float *y)
    void fc_affine_backward(const fc_affine *, const float *dy, float *dx)

    enum: FC_OPTIMIZER_STATES, FC_OPTIMIZER_BLOCK

    ctypedef struct fc_parameter:
        int64_t n, first_block
        float *value
        const float *grad
        float *state[3]
        float *gathered
        float *average
        int decays

    ctypedef struct fc_update_options:
        double gradient_scale
        double clip_value, clip_norm, global_clip_norm
        double weight_decay, average_momentum
        int overwrite

    fc_status fc_sgd_step(int64_t count, const fc_parameter *, const fc_update_options *,
                          double learning_rate, double momentum, int nesterov)
    fc_status fc_adagrad_step(int64_t count, const fc_parameter *, const fc_update_options *,
                              double learning_rate, double epsilon)
    fc_status fc_rmsprop_step(int64_t count, const fc_parameter *, const fc_update_options *,
                              double learning_rate, double rho, double momentum, double epsilon)
    fc_status fc_adam_step(int64_t count, const fc_parameter *, const fc_update_options *,
                           double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step)
    fc_status fc_adamax_step(int64_t count, const fc_parameter *, const fc_update_options *,
                             double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step)
    fc_status fc_nadam_step(int64_t count, const fc_parameter *, const fc_update_options *,
                            double learning_rate, double beta_1, double beta_2, double epsilon, double u_t,
                            double u_t1, double u_product, double u_product_1, int64_t step)
    fc_status fc_adadelta_step(int64_t count, const fc_parameter *, const fc_update_options *,
                               double learning_rate, double rho, double epsilon)
    fc_status fc_prepare_step(int64_t count, const fc_parameter *, const fc_update_options *, double learning_rate)
    fc_status fc_average_step(int64_t count, const fc_parameter *, const fc_update_options *)
    fc_status fc_gather_gradients(int64_t count, const fc_parameter *)

    int fc_isa_count()
    const char *fc_isa_name(int index)
    int fc_isa_lanes(int index)
    int fc_isa_active()
    void fc_isa_select(int index)
    int fc_openmp()
    int fc_num_threads()
    void fc_set_num_threads(int threads)
    double fc_fma_peak(int threads, double seconds)

    # ---- networks in files

    ctypedef struct fc_network:
        pass

    enum:
        FC_ERROR_TEXT

    ctypedef struct fc_size:
        int64_t H, W, C

    ctypedef struct fc_port:
        fc_size size
        int axes

    ctypedef struct fc_judgement:
        fc_loss_kind kind
        int output, labels

    ctypedef struct fc_training:
        double learning_rate, momentum, l2

    fc_network *fc_network_read(const void *bytes, int64_t size, char *error)
    void fc_network_free(fc_network *)
    int64_t fc_network_size(const fc_network *)
    void fc_network_write(const fc_network *, void *bytes)
    const char *fc_network_error(const fc_network *)
    int fc_network_inputs(const fc_network *)
    int fc_network_outputs(const fc_network *)
    fc_port fc_network_input(const fc_network *, int i)
    fc_port fc_network_output(const fc_network *, int i)
    int fc_network_losses(const fc_network *)
    fc_judgement fc_network_loss(const fc_network *, int i)
    fc_training fc_network_training(const fc_network *)
    fc_status fc_network_predict(fc_network *, int64_t N, const float **inputs, float **outputs)
    fc_status fc_network_train_step(
        fc_network *, int64_t N, const float **inputs, const fc_targets *targets, const fc_training *,
        float **outputs, double *loss)


cdef extern from "size.h" nogil:
    const int64_t FC_LARGEST
    int64_t fc_times(int64_t a, int64_t b)


cdef extern from "memory.h" nogil:
    float *fc_floats(int64_t count)
    void fc_free(void *memory)


cdef extern from "kernels.h" nogil:
    ctypedef struct fc_kernels:
        pass

    const fc_kernels *fc_kernels_active()


cdef extern from "engine/engine.h" nogil:
    ctypedef struct fc_loss:
        fc_loss_kind kind
        int tensor
        float delta, least, most
        fc_targets targets
        float scale
        float *losses

    void fc_loss_gradient(
        const fc_kernels *, const fc_loss *, int64_t first, int64_t images, fc_size, const float *tensor,
        float *gradient)

    enum:
        FC_MOST_INPUTS
        FC_MOST_WEIGHTS

    ctypedef enum fc_op_kind:
        pass

    ctypedef struct fc_op:
        fc_op_kind kind
        int inputs
        int input[8]
        int output
        int64_t KH, KW, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, groups
        fc_activation activation
        float alpha
        int algorithm
        fc_elementwise elementwise
        float scale, shift, fill
        uint32_t threshold
        int spatial
        double epsilon, momentum
        int training
        float *weight[4]
        float *gradient[4]
        int adds
        const fc_random *random

    ctypedef struct fc_part_of_batch:
        int64_t N
        int parts, number
        int (*exchange)(void *context, int level, int64_t bytes, const void *mine, void *theirs) noexcept nogil
        void *context

    int64_t fc_images_of_part(int64_t N, int parts, int number, int64_t *first)

    enum:
        FC_MOST_LEAVES

    ctypedef struct fc_run:
        int64_t N
        const float **inputs
        float **outputs
        int losses
        const fc_loss *loss
        double *totals
        const fc_part_of_batch *part
        float **gradients
        const fc_random *random

    ctypedef struct fc_program:
        pass

    ctypedef struct fc_held:
        pass

    ctypedef struct fc_arenas:
        int64_t made
        int out, idle, most

    fc_program *fc_program_new(
        const fc_op *ops, int count, const fc_size *tensors, int tensor_count, const int *inputs, const int *wanted,
        int input_count, const int *outputs, int output_count)
    void fc_program_free(fc_program *)
    fc_status fc_program_run(fc_program *, const fc_run *, int keep, fc_held **)
    void fc_program_commit(const fc_program *, const fc_held *)
    void fc_program_let_go(fc_program *, fc_held *)
    fc_arenas fc_program_arenas(fc_program *)
    ctypedef enum fc_way:
        pass

    ctypedef struct fc_described:
        fc_way way
        const char *why
        fc_conv2d_algorithm algorithm[3]
        int stage, back_stage
        double operations, back_operations, estimate, back_estimate, bytes, back_bytes
        int64_t kept

    ctypedef struct fc_footprint:
        int stages, few
        int64_t workspace, batch, fixed, sums

    fc_status fc_program_describe(
        fc_program *, int64_t N, int backward, int losses, const fc_loss *, fc_described *rows, fc_footprint *all)
    void fc_program_time(fc_program *, double *seconds)
    void fc_program_force(fc_program *, const int *ways)
    fc_status fc_program_backward(
        fc_program *, fc_held *, const fc_run *, const float **output_gradients, float **gradients)
    int fc_program_tap(fc_program *, const int *tensors, int count)
    int fc_program_efforts(const fc_program *, int op, fc_way way, int64_t N, int backward, fc_effort *)

cdef extern from "engine/cost.h" nogil:
    ctypedef struct fc_effort:
        int kind
        fc_conv2d_pass of "pass"
        double steps, numbers, weights, rows, calls
    double fc_cost_of(const fc_effort *)


cdef extern from "engine/network.h" nogil:
    ctypedef struct fc_draws:
        uint32_t step

    ctypedef struct fc_table:
        fc_program *program
        int *input_axes
        int *output_axes
        fc_draws *draws

    ctypedef struct fc_rule:
        int kind
        double learning_rate, momentum, rho, beta_1, beta_2, epsilon, momentum_product
        int nesterov
        int64_t steps
        fc_update_options around

    ctypedef struct fc_term:
        fc_judgement what
        int tensor
        double delta, least, most
        int sum
        double weight

    ctypedef struct fc_described_network "fc_network":  # whose fields are known
        int count, learned
        fc_parameter *parameter
        double *l1
        double *l2
        int trains
        fc_table inference, training
        int terms
        fc_term term[8]
        fc_rule rule

    int64_t fc_network_pack(const fc_described_network *, uint8_t *to, char *error)


cdef int check(fc_status status) except -1:
    if status == FC_OUT_OF_MEMORY:
        raise MemoryError("no memory for the kernel's workspace")
    if status == FC_NOT_EXCHANGED:
        raise RuntimeError("the exchange with other parts of the batch failed")
    if status == FC_TOO_LARGE:
        raise ValueError("the operation is too large: the product of its sizes does not fit into 64 bits")
    return 0


# ---- arrays and arguments -------------------------------------------------------------------------

# A memoryview of a type costs a microsecond for each array; of the smallest operations that is most of the time.

cdef void *data_of(array, int64_t size, const char *format, bint written) except NULL:
    """Where a C-contiguous array of so many bytes begins, which the caller keeps alive."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(array, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if written else 0))
    cdef void *data = buffer.buf
    cdef bint fits = buffer.len == size and buffer.format != NULL and strcmp(buffer.format, format) == 0
    PyBuffer_Release(&buffer)
    if not fits:
        raise ValueError(f"an array of {size} bytes of {format.decode()!r} is needed; got {array.dtype} {array.shape}")
    return data


cdef const float *floats(array, int64_t count) except NULL:
    return <const float *>data_of(array, count * sizeof(float), b"f", False)


cdef float *written(array, int64_t count) except NULL:
    return <float *>data_of(array, count * sizeof(float), b"f", True)


cdef const int64_t *whole(array, int64_t count) except NULL:
    cdef const char *format = b"l" if sizeof(long) == sizeof(int64_t) else b"q"  # NumPy's of int64
    return <const int64_t *>data_of(array, count * sizeof(int64_t), format, False)


cdef int64_t count_of(tuple shape) except? -1:
    cdef int64_t count = 1
    for n in shape:
        count *= <int64_t>n
    return count


cdef bint like(Py_buffer *buffer, tuple shape) noexcept:
    """Whether it is of this shape, apart from the first axis."""
    if buffer.ndim != len(shape) + 1:
        return False
    for i in range(len(shape)):
        if buffer.shape[i + 1] != <int64_t>shape[i]:
            return False
    return True


cdef bint is_plain(value):
    """Whole numbers, names, None, and tuples of them, of just these types."""
    if value is None or type(value) is int or type(value) is str:
        return True
    if type(value) is not tuple:
        return False
    for part in <tuple>value:
        if not is_plain(part):
            return False
    return True


cdef class Cached:
    """A function of plain arguments that computes each result once.

    Others it takes too, and computes anew: 1, True and 1.0 are equal, and are not the same argument.
    """

    cdef object function
    cdef dict found

    def __init__(self, function):
        self.function, self.found = function, {}

    def __call__(self, *arguments):
        if not is_plain(arguments):
            return self.function(*arguments)
        result = self.found.get(arguments)
        if result is None:
            result = self.function(*arguments)
            if len(self.found) >= 1024:
                self.found.clear()
            self.found[arguments] = result
        return result


# ---- memory -------------------------------------------------------------------------------------

cdef class Memory:
    """Room for ``count`` floats, for NumPy to lay an array in; large ones are used again: memory.c."""
    cdef float *floats
    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        self.count = count
        self.floats = fc_floats(count)
        if self.floats == NULL:
            raise MemoryError(f"no memory for an array of {count:,} floats")

    def __dealloc__(self):
        fc_free(self.floats)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.floats, self.count * sizeof(float), False, flags)


cdef object new_array = numpy.empty, ndarray = numpy.ndarray, float32 = numpy.float32, type_of = numpy.dtype
cdef object of_floats = numpy.dtype(numpy.float32)

DEF LARGE = 1 << 18  # bytes


def empty(tuple shape, dtype=float32):
    """A new array, to be filled. Large ones are laid in memory that earlier ones had: memory.c."""
    if dtype is float32:
        dtype = of_floats
    cdef int64_t bytes_ = 4 if dtype is of_floats else <int64_t>type_of(dtype).itemsize
    try:
        for n in shape:
            bytes_ = fc_times(bytes_, <int64_t>n)
    except OverflowError:
        bytes_ = FC_LARGEST + 1
    if bytes_ > FC_LARGEST:
        raise MemoryError(f"no memory for an array of shape {shape}")
    if bytes_ < LARGE:
        return new_array(shape, dtype)
    return ndarray(shape, dtype, Memory((bytes_ + 3) // 4))


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

# In the order of fc_conv2d_algorithm; -1 for the fastest.
ALGORITHMS = ("naive", "im2col", "direct", "winograd")

_PASSES = {"forward": FC_PASS_FORWARD, "backward_data": FC_PASS_DATA, "backward_kernel": FC_PASS_KERNEL}


cdef int64_t within(int64_t stride, int64_t outputs, int64_t pixels):
    """A stride that leads to a second output, or else none longer than the image: work grows with strides."""
    return min(stride, max(pixels, 1)) if outputs <= 1 else stride


cdef fc_conv2d describe(tuple x_shape, tuple kernel_shape, tuple y_shape, window, int64_t groups):
    cdef fc_conv2d conv
    conv.N, conv.H, conv.W, conv.C_in = x_shape
    conv.KH, conv.KW = kernel_shape[:2]
    conv.OH, conv.OW, conv.C_out = y_shape[1:]
    conv.stride_h = within(window.strides[0], conv.OH, conv.H)
    conv.stride_w = within(window.strides[1], conv.OW, conv.W)
    conv.dilation_h, conv.dilation_w = window.dilation
    conv.pad_top, conv.pad_left = window.rows.before, window.columns.before
    conv.groups = groups
    return conv


def chosen_algorithm(
    str direction, int algorithm, tuple x_shape, tuple kernel_shape, tuple y_shape, window, int64_t groups
) -> int:
    """The place in ALGORITHMS of what computes a "forward", "backward_data" or "backward_kernel" pass."""
    cdef fc_conv2d conv = describe(x_shape, kernel_shape, y_shape, window, groups)
    return fc_conv2d_choose(&conv, _PASSES[direction], <fc_conv2d_algorithm>algorithm)


cdef class Convolution:
    """What the kernels are told of a convolution besides its arrays. ``algorithm`` is a place in ALGORITHMS, or -1."""

    cdef fc_conv2d conv
    cdef fc_conv2d_algorithm algorithm
    cdef int64_t x, kernel, y  # numbers in each

    def __cinit__(
        self, int algorithm, tuple x_shape, tuple kernel_shape, tuple y_shape, window, int64_t groups
    ):
        self.algorithm = <fc_conv2d_algorithm>algorithm
        self.conv = describe(x_shape, kernel_shape, y_shape, window, groups)
        self.x, self.kernel, self.y = count_of(x_shape), count_of(kernel_shape), count_of(y_shape)


def conv2d(Convolution how, x, kernel, bias, y) -> None:
    cdef const float *x_data = floats(x, how.x)
    cdef const float *kernel_data = floats(kernel, how.kernel)
    cdef const float *bias_data = NULL if bias is None else floats(bias, how.conv.C_out)
    cdef float *y_data = written(y, how.y)
    cdef fc_status status
    with nogil:
        status = fc_conv2d_forward_by(how.algorithm, &how.conv, x_data, kernel_data, bias_data, y_data)
    check(status)


def conv2d_backward_data(Convolution how, dy, kernel, dx) -> None:
    cdef const float *dy_data = floats(dy, how.y)
    cdef const float *kernel_data = floats(kernel, how.kernel)
    cdef float *dx_data = written(dx, how.x)
    cdef fc_status status
    with nogil:
        status = fc_conv2d_backward_data_by(how.algorithm, &how.conv, dy_data, kernel_data, dx_data)
    check(status)


def conv2d_backward_kernel(Convolution how, x, dy, dkernel, dbias) -> None:
    cdef const float *x_data = floats(x, how.x)
    cdef const float *dy_data = floats(dy, how.y)
    cdef float *dkernel_data = written(dkernel, how.kernel)
    cdef float *dbias_data = written(dbias, how.conv.C_out)
    cdef fc_status status
    with nogil:
        status = fc_conv2d_backward_kernel_by(
            how.algorithm, &how.conv, x_data, dy_data, dkernel_data, dbias_data)
    check(status)


# Of the table, input and filter of each connection.

def conv2d_connected(
    x, kernel, bias, const int64_t[::1] input, const int64_t[::1] filter, window, y
) -> None:
    cdef fc_conv2d conv = describe(x.shape, kernel.shape, y.shape, window, 1)
    cdef fc_connections connections = fc_connections(input.shape[0], &input[0], &filter[0])
    cdef const float[:, :, :, ::1] x_view = x
    cdef const float[:, :, ::1] kernel_view = kernel
    cdef const float[::1] bias_view = bias
    cdef float[:, :, :, ::1] y_view = y
    cdef const float *bias_data = NULL
    cdef fc_status status
    if bias is not None:
        bias_data = &bias_view[0]
    with nogil:
        status = fc_conv2d_connected_forward(
            &conv, connections, &x_view[0, 0, 0, 0], &kernel_view[0, 0, 0], bias_data, &y_view[0, 0, 0, 0])
    check(status)


def conv2d_connected_backward_data(
    dy, kernel, const int64_t[::1] input, const int64_t[::1] filter, window, dx
) -> None:
    cdef fc_conv2d conv = describe(dx.shape, kernel.shape, dy.shape, window, 1)
    cdef fc_connections connections = fc_connections(input.shape[0], &input[0], &filter[0])
    cdef const float[:, :, :, ::1] dy_view = dy
    cdef const float[:, :, ::1] kernel_view = kernel
    cdef float[:, :, :, ::1] dx_view = dx
    cdef fc_status status
    with nogil:
        status = fc_conv2d_connected_backward_data(
            &conv, connections, &dy_view[0, 0, 0, 0], &kernel_view[0, 0, 0], &dx_view[0, 0, 0, 0])
    check(status)


def conv2d_connected_backward_kernel(
    x, dy, const int64_t[::1] input, const int64_t[::1] filter, window, dkernel, dbias
) -> None:
    cdef fc_conv2d conv = describe(x.shape, dkernel.shape, dy.shape, window, 1)
    cdef fc_connections connections = fc_connections(input.shape[0], &input[0], &filter[0])
    cdef const float[:, :, :, ::1] x_view = x, dy_view = dy
    cdef float[:, :, ::1] dkernel_view = dkernel
    cdef float[::1] dbias_view = dbias
    cdef fc_status status
    with nogil:
        status = fc_conv2d_connected_backward_kernel(
            &conv, connections, &x_view[0, 0, 0, 0], &dy_view[0, 0, 0, 0], &dkernel_view[0, 0, 0], &dbias_view[0])
    check(status)


def conv2d_depthwise(x, kernel, bias, window, y) -> None:
    cdef fc_conv2d conv = describe(x.shape, kernel.shape, y.shape, window, 1)
    cdef const float[:, :, :, ::1] x_view = x, kernel_view = kernel
    cdef const float[::1] bias_view = bias
    cdef float[:, :, :, ::1] y_view = y
    cdef const float *bias_data = optional(bias_view)
    cdef fc_status status
    with nogil:
        status = fc_conv2d_depthwise_forward(
            &conv, &x_view[0, 0, 0, 0], &kernel_view[0, 0, 0, 0], bias_data, &y_view[0, 0, 0, 0])
    check(status)


def conv2d_depthwise_backward_data(dy, kernel, window, dx) -> None:
    cdef fc_conv2d conv = describe(dx.shape, kernel.shape, dy.shape, window, 1)
    cdef const float[:, :, :, ::1] dy_view = dy, kernel_view = kernel
    cdef float[:, :, :, ::1] dx_view = dx
    cdef fc_status status
    with nogil:
        status = fc_conv2d_depthwise_backward_data(
            &conv, &dy_view[0, 0, 0, 0], &kernel_view[0, 0, 0, 0], &dx_view[0, 0, 0, 0])
    check(status)


def conv2d_depthwise_backward_kernel(x, dy, window, dkernel, dbias) -> None:
    cdef fc_conv2d conv = describe(x.shape, dkernel.shape, dy.shape, window, 1)
    cdef const float[:, :, :, ::1] x_view = x, dy_view = dy
    cdef float[:, :, :, ::1] dkernel_view = dkernel
    cdef float[::1] dbias_view = dbias
    cdef fc_status status
    with nogil:
        status = fc_conv2d_depthwise_backward_kernel(
            &conv, &x_view[0, 0, 0, 0], &dy_view[0, 0, 0, 0], &dkernel_view[0, 0, 0, 0], &dbias_view[0])
    check(status)


# ---- dense --------------------------------------------------------------------------------------

def dense(x, kernel, bias, y) -> None:
    """x (..., C) and y (..., K), kernel (C, K)"""
    cdef int64_t C = kernel.shape[0], K = kernel.shape[1], M = y.size // K
    cdef const float *x_data = floats(x, M * C)
    cdef const float *kernel_data = floats(kernel, C * K)
    cdef const float *bias_data = NULL if bias is None else floats(bias, K)
    cdef float *y_data = written(y, M * K)
    cdef fc_status status
    with nogil:
        status = fc_dense_forward(M, C, K, x_data, kernel_data, bias_data, y_data)
    check(status)


def dense_backward_data(dy, kernel, dx) -> None:
    cdef int64_t C = kernel.shape[0], K = kernel.shape[1], M = dx.size // C
    cdef const float *dy_data = floats(dy, M * K)
    cdef const float *kernel_data = floats(kernel, C * K)
    cdef float *dx_data = written(dx, M * C)
    cdef fc_status status
    with nogil:
        status = fc_dense_backward_data(M, C, K, dy_data, kernel_data, dx_data)
    check(status)


def dense_backward_kernel(x, dy, dkernel, dbias) -> None:
    cdef int64_t C = dkernel.shape[0], K = dkernel.shape[1], M = x.size // C
    cdef const float *x_data = floats(x, M * C)
    cdef const float *dy_data = floats(dy, M * K)
    cdef float *dkernel_data = written(dkernel, C * K)
    cdef float *dbias_data = written(dbias, K)
    cdef fc_status status
    with nogil:
        status = fc_dense_backward_kernel(M, C, K, x_data, dy_data, dkernel_data, dbias_data)
    check(status)


# ---- squared distances --------------------------------------------------------------------------

def rbf(const float[:, ::1] x, const float[:, ::1] prototypes, float[:, ::1] y) -> None:
    with nogil:
        fc_rbf_forward(x.shape[0], x.shape[1], y.shape[1], &x[0, 0], &prototypes[0, 0], &y[0, 0])


def rbf_backward_data(
    const float[:, ::1] dy, const float[:, ::1] x, const float[:, ::1] prototypes, float[:, ::1] dx
) -> None:
    with nogil:
        fc_rbf_backward_data(
            x.shape[0], x.shape[1], dy.shape[1], &dy[0, 0], &x[0, 0], &prototypes[0, 0], &dx[0, 0])


def rbf_backward_kernel(
    const float[:, ::1] dy, const float[:, ::1] x, const float[:, ::1] prototypes, float[:, ::1] dprototypes
) -> None:
    with nogil:
        fc_rbf_backward_kernel(
            x.shape[0], x.shape[1], dy.shape[1], &dy[0, 0], &x[0, 0], &prototypes[0, 0], &dprototypes[0, 0])


# ---- pooling ------------------------------------------------------------------------------------

cdef class Pooling:
    """What the kernels are told of pooling (N, H, W, C) besides its arrays."""

    cdef fc_pool2d pool
    cdef int64_t x, y  # numbers in each

    def __cinit__(self, tuple x_shape, window):
        self.pool.N, self.pool.H, self.pool.W, self.pool.C = x_shape
        self.pool.KH, self.pool.KW = window.size
        self.pool.OH, self.pool.OW = window.output_size
        self.pool.stride_h = within(window.strides[0], self.pool.OH, self.pool.H)
        self.pool.stride_w = within(window.strides[1], self.pool.OW, self.pool.W)
        self.pool.pad_top, self.pool.pad_left = window.rows.before, window.columns.before
        self.x = count_of(x_shape)
        self.y = count_of((self.pool.N, self.pool.OH, self.pool.OW, self.pool.C))


def max_pool2d(Pooling how, x, y, switches) -> None:
    cdef const float *x_data = floats(x, how.x)
    cdef float *y_data = written(y, how.y)
    cdef uint16_t *switches_data = <uint16_t *>data_of(switches, how.y * sizeof(uint16_t), b"H", True)
    cdef fc_status status
    with nogil:
        status = fc_max_pool2d_forward(&how.pool, x_data, y_data, switches_data)
    check(status)


def max_pool2d_backward(Pooling how, dy, switches, dx) -> None:
    cdef const float *dy_data = floats(dy, how.y)
    cdef const uint16_t *switches_data = <uint16_t *>data_of(switches, how.y * sizeof(uint16_t), b"H", False)
    cdef float *dx_data = written(dx, how.x)
    cdef fc_status status
    with nogil:
        status = fc_max_pool2d_backward(&how.pool, dy_data, switches_data, dx_data)
    check(status)


def avg_pool2d(Pooling how, x, y) -> None:
    cdef const float *x_data = floats(x, how.x)
    cdef float *y_data = written(y, how.y)
    cdef fc_status status
    with nogil:
        status = fc_avg_pool2d_forward(&how.pool, x_data, y_data)
    check(status)


def avg_pool2d_backward(Pooling how, dy, dx) -> None:
    cdef const float *dy_data = floats(dy, how.y)
    cdef float *dx_data = written(dx, how.x)
    cdef fc_status status
    with nogil:
        status = fc_avg_pool2d_backward(&how.pool, dy_data, dx_data)
    check(status)


def global_max_pool2d(const float[:, :, ::1] x, float[:, ::1] y, int32_t[:, ::1] switches) -> None:
    cdef fc_status status
    with nogil:
        status = fc_global_max_pool2d_forward(
            x.shape[0], x.shape[1], x.shape[2], &x[0, 0, 0], &y[0, 0], &switches[0, 0])
    check(status)


def global_max_pool2d_backward(
    const float[:, ::1] dy, const int32_t[:, ::1] switches, float[:, :, ::1] dx
) -> None:
    cdef fc_status status
    with nogil:
        status = fc_global_max_pool2d_backward(
            dx.shape[0], dx.shape[1], dx.shape[2], &dy[0, 0], &switches[0, 0], &dx[0, 0, 0])
    check(status)


# ---- activations --------------------------------------------------------------------------------

ACTIVATIONS = {
    "linear": FC_LINEAR,
    "relu": FC_RELU,
    "relu6": FC_RELU6,
    "leaky_relu": FC_LEAKY_RELU,
    "sigmoid": FC_SIGMOID,
    "hard_sigmoid": FC_HARD_SIGMOID,
    "log_sigmoid": FC_LOG_SIGMOID,
    "tanh": FC_TANH,
    "scaled_tanh": FC_SCALED_TANH,
    "hard_tanh": FC_HARD_TANH,
    "elu": FC_ELU,
    "celu": FC_CELU,
    "selu": FC_SELU,
    "softplus": FC_SOFTPLUS,
    "softsign": FC_SOFTSIGN,
    "exponential": FC_EXPONENTIAL,
    "hard_shrink": FC_HARD_SHRINK,
    "soft_shrink": FC_SOFT_SHRINK,
    "sparse_plus": FC_SPARSE_PLUS,
    "sparse_sigmoid": FC_SPARSE_SIGMOID,
    "squareplus": FC_SQUAREPLUS,
    "silu": FC_SILU,
    "hard_silu": FC_HARD_SILU,
    "gelu": FC_GELU,
    "gelu_tanh": FC_GELU_TANH,
    "mish": FC_MISH,
    "tanh_shrink": FC_TANH_SHRINK,
}


def activation(int kind, float alpha, x, y) -> None:
    cdef int64_t n = x.size
    cdef const float *x_data = floats(x, n)
    cdef float *y_data = written(y, n)
    with nogil:
        fc_activation_forward(<fc_activation>kind, alpha, n, x_data, y_data)


def activation_backward(int kind, float alpha, dy, kept, dx) -> None:
    cdef int64_t n = kept.size
    cdef const float *dy_data = floats(dy, n)
    cdef const float *kept_data = floats(kept, n)
    cdef float *dx_data = written(dx, n)
    with nogil:
        fc_activation_backward(<fc_activation>kind, alpha, n, dy_data, kept_data, dx_data)


def prelu(const float[:, ::1] x, const float[::1] alpha, float[:, ::1] y) -> None:
    cdef fc_status status
    with nogil:
        status = fc_prelu_forward(x.shape[0], x.shape[1], &x[0, 0], &alpha[0], &y[0, 0])
    check(status)


def prelu_backward(
    const float[:, ::1] dy, const float[:, ::1] x, const float[::1] alpha, float[:, ::1] dx, float[::1] dalpha
) -> None:
    cdef fc_status status
    with nogil:
        status = fc_prelu_backward(
            x.shape[0], x.shape[1], &dy[0, 0], &x[0, 0], &alpha[0], &dx[0, 0], &dalpha[0])
    check(status)


# ---- dropout and penalties ----------------------------------------------------------------------

def dropout(
    uint64_t seed, uint32_t call, uint32_t first_image, uint32_t threshold, float scale, float shift, float fill,
    const float[:, ::1] x, float[:, ::1] y,
) -> None:
    cdef fc_dropout d
    d.images, d.pixels, d.places, d.first_image = x.shape[0], 1, x.shape[1], first_image
    d.stream, d.threshold = fc_random(seed, call), threshold
    d.scale, d.shift, d.fill = scale, shift, fill
    with nogil:
        fc_dropout_forward(&d, &x[0, 0], &y[0, 0])


def l1_l2_penalty(const float[::1] x, double l1, double l2, float[::1] grad, double scale) -> float:
    cdef float *gradient = NULL if grad is None else &grad[0]
    cdef double penalty
    with nogil:
        penalty = fc_l1_l2_penalty(x.shape[0], &x[0], l1, l2, gradient, scale)
    return penalty


# ---- two arrays, number by number ----------------------------------------------------------------

ELEMENTWISE = {
    "add": FC_ADD,
    "subtract": FC_SUBTRACT,
    "multiply": FC_MULTIPLY,
    "divide": FC_DIVIDE,
    "average": FC_AVERAGE,
    "maximum": FC_MAXIMUM,
    "minimum": FC_MINIMUM,
}


cdef fc_broadcast describe_broadcast(int kind, tuple shape, tuple a_steps, tuple b_steps):
    cdef fc_broadcast s
    s.kind = <fc_elementwise>kind
    s.outer, s.rows, s.width = shape
    for i in range(3):
        s.a[i], s.b[i] = a_steps[i], b_steps[i]
    return s


def elementwise(
    int kind, tuple shape, const float[::1] a, tuple a_steps, const float[::1] b, tuple b_steps, float[::1] y
) -> None:
    cdef fc_broadcast s = describe_broadcast(kind, shape, a_steps, b_steps)
    cdef fc_status status
    with nogil:
        status = fc_elementwise_forward(&s, &a[0], &b[0], &y[0])
    check(status)


def elementwise_backward(
    int kind, bint second, tuple shape, const float[::1] dy, const float[::1] a, tuple a_steps,
    const float[::1] b, tuple b_steps, float[::1] to
) -> None:
    cdef fc_broadcast s = describe_broadcast(kind, shape, a_steps, b_steps)
    cdef fc_status status
    with nogil:
        status = fc_elementwise_backward(&s, second, &dy[0], &a[0], &b[0], &to[0])
    check(status)


# ---- softmax and cross-entropy ------------------------------------------------------------------

def softmax(const float[:, ::1] x, float[:, ::1] p) -> None:
    with nogil:
        fc_softmax_forward(x.shape[0], x.shape[1], &x[0, 0], &p[0, 0])


def softmax_backward(const float[:, ::1] dp, const float[:, ::1] p, float[:, ::1] dx) -> None:
    with nogil:
        fc_softmax_backward(p.shape[0], p.shape[1], &dp[0, 0], &p[0, 0], &dx[0, 0])


def log_softmax(const float[:, ::1] x, float[:, ::1] y) -> None:
    with nogil:
        fc_log_softmax(x.shape[0], x.shape[1], &x[0, 0], &y[0, 0])


def log_softmax_backward(const float[:, ::1] dy, const float[:, ::1] y, float[:, ::1] dx) -> None:
    with nogil:
        fc_log_softmax_backward(y.shape[0], y.shape[1], &dy[0, 0], &y[0, 0], &dx[0, 0])


def softmax_cross_entropy(
    const float[:, ::1] logits,
    const int64_t[::1] labels,
    const float[:, ::1] target_rows,
    const float[::1] weights,
    float[:, ::1] dlogits,
) -> float:
    cdef fc_targets targets = fc_targets(NULL, NULL, NULL)
    if labels is not None:
        targets.labels = &labels[0]
    if target_rows is not None:
        targets.rows = &target_rows[0, 0]
    if weights is not None:
        targets.weights = &weights[0]
    cdef double loss
    cdef fc_status status
    with nogil:
        status = fc_softmax_cross_entropy(
            logits.shape[0], logits.shape[1], &logits[0, 0], targets, &loss, &dlogits[0, 0])
    check(status)
    return loss


LOSSES = {
    "softmax_cross_entropy": FC_LOSS_SOFTMAX_CROSS_ENTROPY,
    "sigmoid_cross_entropy": FC_LOSS_SIGMOID_CROSS_ENTROPY,
    "squared": FC_LOSS_SQUARED,
    "absolute": FC_LOSS_ABSOLUTE,
    "huber": FC_LOSS_HUBER,
}


def loss_gradient(
    str kind, const float[:, :, :, ::1] x, const int64_t[:, :, ::1] labels, const float[:, :, :, ::1] rows,
    const float[::1] weights, float delta, float least, float most, float scale, int64_t first, int64_t images,
    float[::1] losses, float[:, :, :, ::1] gradient
) -> None:
    """Of images first to first + images - 1 out of all: their losses, and the gradient at x."""
    cdef fc_loss loss
    cdef fc_size size = fc_size(x.shape[1], x.shape[2], x.shape[3])
    loss.kind = <fc_loss_kind><int>LOSSES[kind]
    loss.tensor, loss.delta, loss.least, loss.most, loss.scale = 0, delta, least, most, scale
    loss.targets = fc_targets(NULL, NULL, NULL)
    if labels is not None:
        loss.targets.labels = &labels[0, 0, 0]
    if rows is not None:
        loss.targets.rows = &rows[0, 0, 0, 0]
    loss.targets.weights = optional(weights)
    loss.losses = &losses[0]
    with nogil:
        fc_loss_gradient(
            fc_kernels_active(), &loss, first, images, size, &x[first, 0, 0, 0], &gradient[first, 0, 0, 0])


# ---- batch normalisation ------------------------------------------------------------------------

cdef const float *optional(const float[::1] columns) noexcept:
    if columns is None:
        return NULL
    return &columns[0]


def moments(const float[:, ::1] x, float[::1] mean, float[::1] variance) -> None:
    cdef fc_status status
    with nogil:
        status = fc_moments(x.shape[0], x.shape[1], &x[0, 0], &mean[0], &variance[0])
    check(status)


def batch_norm(
    const float[:, ::1] x, const float[::1] mean, const float[::1] variance, const float[::1] gamma,
    const float[::1] beta, double epsilon, float[:, ::1] y
) -> None:
    cdef const float *gamma_data = optional(gamma)
    cdef const float *beta_data = optional(beta)
    cdef fc_status status
    with nogil:
        status = fc_batch_norm_forward(
            x.shape[0], x.shape[1], &x[0, 0], &mean[0], &variance[0], gamma_data, beta_data, epsilon, NULL, &y[0, 0])
    check(status)


def batch_norm_backward_weights(
    const float[:, ::1] dy, const float[:, ::1] x, const float[::1] mean, const float[::1] variance,
    double epsilon, float[::1] dgamma, float[::1] dbeta
) -> None:
    cdef fc_status status
    with nogil:
        status = fc_batch_norm_backward_weights(
            x.shape[0], x.shape[1], &dy[0, 0], &x[0, 0], &mean[0], &variance[0], epsilon, &dgamma[0], &dbeta[0])
    check(status)


def batch_norm_backward_data(
    const float[:, ::1] dy, const float[:, ::1] x, const float[::1] mean, const float[::1] variance,
    const float[::1] gamma, const float[::1] dgamma, const float[::1] dbeta, double epsilon, float[:, ::1] dx
) -> None:
    cdef const float *gamma_data = optional(gamma)
    cdef const float *dgamma_data = optional(dgamma)
    cdef const float *dbeta_data = optional(dbeta)
    cdef fc_status status
    with nogil:
        status = fc_batch_norm_backward_data(
            x.shape[0], x.shape[1], &dy[0, 0], &x[0, 0], &mean[0], &variance[0], gamma_data, dgamma_data,
            dbeta_data, epsilon, &dx[0, 0])
    check(status)


# ---- layer, root mean square, unit and group normalisation ----------------------------------------

ROW_NORMS = {"layer": FC_LAYER_NORM, "rms": FC_RMS_NORM, "unit": FC_UNIT_NORM}


cdef float *optional_output(float[::1] columns) noexcept:
    if columns is None:
        return NULL
    return &columns[0]


cdef fc_row_norm describe_row_norm(int kind, const float[:, ::1] x, double epsilon):
    cdef fc_row_norm norm
    norm.kind, norm.rows, norm.W, norm.epsilon = <fc_row_norm_kind>kind, x.shape[0], x.shape[1], epsilon
    return norm


def row_norm(
    int kind, const float[:, ::1] x, const float[::1] gamma, const float[::1] beta, double epsilon,
    float[:, ::1] y, float[::1] mean, float[::1] inverse
) -> None:
    cdef fc_row_norm norm = describe_row_norm(kind, x, epsilon)
    cdef const float *gamma_data = optional(gamma)
    cdef const float *beta_data = optional(beta)
    cdef float *mean_data = optional_output(mean)
    with nogil:
        fc_row_norm_forward(&norm, &x[0, 0], gamma_data, beta_data, &y[0, 0], mean_data, &inverse[0])


def row_norm_backward(
    int kind, const float[:, ::1] dy, const float[:, ::1] x, const float[::1] mean, const float[::1] inverse,
    const float[::1] gamma, double epsilon, float[:, ::1] dx, float[::1] dgamma, float[::1] dbeta
) -> None:
    cdef fc_row_norm norm = describe_row_norm(kind, x, epsilon)
    cdef const float *mean_data = optional(mean)
    cdef const float *gamma_data = optional(gamma)
    cdef float *dgamma_data = optional_output(dgamma)
    cdef float *dbeta_data = optional_output(dbeta)
    cdef fc_status status
    with nogil:
        status = fc_row_norm_backward(
            &norm, &dy[0, 0], &x[0, 0], mean_data, &inverse[0], gamma_data, &dx[0, 0], dgamma_data, dbeta_data)
    check(status)


cdef fc_group_norm describe_group_norm(const float[:, :, ::1] x, int64_t groups, double epsilon):
    cdef fc_group_norm norm
    norm.N, norm.pixels, norm.C, norm.groups, norm.epsilon = x.shape[0], x.shape[1], x.shape[2], groups, epsilon
    return norm


def group_norm(
    const float[:, :, ::1] x, int64_t groups, const float[::1] gamma, const float[::1] beta, double epsilon,
    float[:, :, ::1] y, float[:, ::1] mean, float[:, ::1] inverse
) -> None:
    cdef fc_group_norm norm = describe_group_norm(x, groups, epsilon)
    cdef const float *gamma_data = optional(gamma)
    cdef const float *beta_data = optional(beta)
    cdef fc_status status
    with nogil:
        status = fc_group_norm_forward(
            &norm, &x[0, 0, 0], gamma_data, beta_data, &y[0, 0, 0], &mean[0, 0], &inverse[0, 0])
    check(status)


def group_norm_backward(
    const float[:, :, ::1] dy, const float[:, :, ::1] x, const float[:, ::1] mean, const float[:, ::1] inverse,
    const float[::1] gamma, float[:, :, ::1] dx, float[::1] dgamma, float[::1] dbeta
) -> None:
    cdef fc_group_norm norm = describe_group_norm(x, mean.shape[1], 0)
    cdef const float *gamma_data = optional(gamma)
    cdef fc_status status
    with nogil:
        status = fc_group_norm_backward(
            &norm, &dy[0, 0, 0], &x[0, 0, 0], &mean[0, 0], &inverse[0, 0], gamma_data, &dx[0, 0, 0], &dgamma[0],
            &dbeta[0])
    check(status)


# ---- images resampled -----------------------------------------------------------------------------

cdef fc_resample_axis describe_resample_axis(int64_t source, tuple axis) except *:
    cdef const int64_t[::1] first = axis[0]
    cdef const float[::1] weight = axis[1], next = axis[2]
    cdef fc_resample_axis described
    described.source, described.outputs = source, first.shape[0]
    described.first, described.weight, described.next = &first[0], &weight[0], &next[0]
    return described


def resample(const float[:, :, :, ::1] x, tuple rows, tuple columns, float[:, :, :, ::1] y) -> None:
    """rows, columns: of each output the first pixel, its weight, and that of the next."""
    cdef fc_resample r
    cdef fc_status status
    r.N, r.C = x.shape[0], x.shape[3]
    r.rows = describe_resample_axis(x.shape[1], rows)
    r.columns = describe_resample_axis(x.shape[2], columns)
    with nogil:
        status = fc_resample_forward(&r, &x[0, 0, 0, 0], &y[0, 0, 0, 0])
    check(status)


def resample_backward(const float[:, :, :, ::1] dy, tuple rows, tuple columns, float[:, :, :, ::1] dx) -> None:
    cdef fc_resample r
    cdef fc_status status
    r.N, r.C = dx.shape[0], dx.shape[3]
    r.rows = describe_resample_axis(dx.shape[1], rows)
    r.columns = describe_resample_axis(dx.shape[2], columns)
    with nogil:
        status = fc_resample_backward(&r, &dy[0, 0, 0, 0], &dx[0, 0, 0, 0])
    check(status)


# ---- images under affine maps -------------------------------------------------------------------

FILL_MODES = {
    "constant": FC_FILL_CONSTANT,
    "nearest": FC_FILL_NEAREST,
    "reflect": FC_FILL_REFLECT,
    "wrap": FC_FILL_WRAP,
}


cdef fc_affine describe_affine(
    tuple x_shape, tuple y_shape, const float[:, ::1] maps, bint bilinear, int fill, float fill_value
):
    cdef fc_affine affine
    affine.N, affine.H, affine.W, affine.C = x_shape
    affine.OH, affine.OW = y_shape[1:3]
    affine.maps, affine.bilinear = &maps[0, 0], bilinear
    affine.fill, affine.fill_value = <fc_fill>fill, fill_value
    return affine


def affine(x, const float[:, ::1] maps, bint bilinear, int fill, float fill_value, y) -> None:
    cdef fc_affine affine = describe_affine(x.shape, y.shape, maps, bilinear, fill, fill_value)
    cdef const float[:, :, :, ::1] x_view = x
    cdef float[:, :, :, ::1] y_view = y
    cdef fc_status status
    with nogil:
        status = fc_affine_forward(&affine, &x_view[0, 0, 0, 0], &y_view[0, 0, 0, 0])
    check(status)


def affine_backward(dy, const float[:, ::1] maps, bint bilinear, int fill, dx) -> None:
    cdef fc_affine affine = describe_affine(dx.shape, dy.shape, maps, bilinear, fill, 0)
    cdef const float[:, :, :, ::1] dy_view = dy
    cdef float[:, :, :, ::1] dx_view = dx
    with nogil:
        fc_affine_backward(&affine, &dy_view[0, 0, 0, 0], &dx_view[0, 0, 0, 0])


# ---- optimizers ---------------------------------------------------------------------------------

cdef class Parameters:
    """What a step works on, by its addresses: a row (value, grad, states, gathered, average, decays) for each.

    None stands for an array that is not kept. Of the states C knows as many as its rules have; a rule in Python
    may have more. Keeps all arrays alive; they must stay where they are.
    """

    cdef fc_parameter *parameters
    cdef int64_t count
    cdef list kept

    def __cinit__(self, list rows):
        cdef fc_parameter *p
        cdef int64_t blocks = 0
        self.kept = rows
        self.count = len(rows)
        self.parameters = <fc_parameter *>calloc(self.count + 1, sizeof(fc_parameter))
        if self.parameters == NULL:
            raise MemoryError("no memory for the addresses of the optimizer's arrays")
        for r, (value, grad, states, gathered, average, decays) in enumerate(rows):
            p = &self.parameters[<int64_t>r]
            p.n, p.first_block = grad.size, blocks
            blocks += (p.n + FC_OPTIMIZER_BLOCK - 1) // FC_OPTIMIZER_BLOCK
            p.value, p.grad = address_of(value), address_of(grad)
            for s, state in enumerate(states[:FC_OPTIMIZER_STATES]):
                p.state[<int>s] = address_of(state)
            p.gathered, p.average, p.decays = address_of(gathered), address_of(average), decays

    def __dealloc__(self):
        free(self.parameters)


cdef float *address_of(array) except? NULL:
    """The first float of an array that is read or written; NULL for None and for an empty one."""
    cdef const float[::1] view
    if array is None or not array.size:
        return NULL
    view = array.reshape(-1)
    return <float *>&view[0]


cdef fc_update_options around(options) except *:
    """fastconv.ops.UpdateOptions as C has it: 0 for None."""
    cdef fc_update_options o
    o.gradient_scale = options.gradient_scale
    o.clip_value = options.clipvalue or 0
    o.clip_norm = options.clipnorm or 0
    o.global_clip_norm = options.global_clipnorm or 0
    o.weight_decay = options.weight_decay or 0
    o.average_momentum = options.ema_momentum
    o.overwrite = options.overwrite
    return o


def sgd_step(Parameters p, options, double learning_rate, double momentum, bint nesterov) -> None:
    """States: velocity"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_sgd_step(p.count, p.parameters, &o, learning_rate, momentum, nesterov)
    check(status)


def adagrad_step(Parameters p, options, double learning_rate, double epsilon) -> None:
    """States: accumulator"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_adagrad_step(p.count, p.parameters, &o, learning_rate, epsilon)
    check(status)


def rmsprop_step(
    Parameters p, options, double learning_rate, double rho, double momentum, double epsilon
) -> None:
    """States: velocity, average_grad, momentum_buffer"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_rmsprop_step(p.count, p.parameters, &o, learning_rate, rho, momentum, epsilon)
    check(status)


def adam_step(
    Parameters p, options, double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step
) -> None:
    """States: m, v, v_hat"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_adam_step(p.count, p.parameters, &o, learning_rate, beta_1, beta_2, epsilon, step)
    check(status)


def adamax_step(
    Parameters p, options, double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step
) -> None:
    """States: m, u"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_adamax_step(p.count, p.parameters, &o, learning_rate, beta_1, beta_2, epsilon, step)
    check(status)


def nadam_step(
    Parameters p, options, double learning_rate, double beta_1, double beta_2, double epsilon, double u_t,
    double u_t1, double u_product, double u_product_1, int64_t step,
) -> None:
    """States: m, v"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_nadam_step(p.count, p.parameters, &o, learning_rate, beta_1, beta_2, epsilon, u_t, u_t1,
                               u_product, u_product_1, step)
    check(status)


def adadelta_step(Parameters p, options, double learning_rate, double rho, double epsilon) -> None:
    """States: squared_grads, squared_steps"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_adadelta_step(p.count, p.parameters, &o, learning_rate, rho, epsilon)
    check(status)


def prepare_step(Parameters p, options, double learning_rate) -> None:
    """States: the gradients as a rule is to get them"""
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_prepare_step(p.count, p.parameters, &o, learning_rate)
    check(status)


def average_step(Parameters p, options) -> None:
    cdef fc_update_options o = around(options)
    cdef fc_status status
    with nogil:
        status = fc_average_step(p.count, p.parameters, &o)
    check(status)


def gather_gradients(Parameters p) -> None:
    cdef fc_status status
    with nogil:
        status = fc_gather_gradients(p.count, p.parameters)
    check(status)


# ---- programs -----------------------------------------------------------------------------------

OP_KINDS = (
    "conv", "depthwise", "conv_transposed", "dense", "max_pool", "avg_pool", "global_max_pool", "global_avg_pool",
    "batch_norm", "activation", "prelu", "softmax", "dropout", "elementwise", "scale", "concatenate", "pad",
    "upsample", "reshape")
WAYS = ("lanes", "pixels", "whole")


cdef class Stream:
    """The random numbers of one operation: a seed, and the number of the call, which may be set between runs."""

    cdef fc_random random

    def __init__(self, seed, call=0):
        self.random.seed = seed
        self.random.call = call

    @property
    def call(self):
        return self.random.call

    @call.setter
    def call(self, uint32_t call):
        self.random.call = call

    @property
    def seed(self):
        return self.random.seed

    @seed.setter
    def seed(self, uint64_t seed):
        self.random.seed = seed


cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()
    object PyMemoryView_FromMemory(char *memory, Py_ssize_t size, int flags)
    int PyBUF_READ, PyBUF_WRITE


cdef class Part:
    """A part of a batch that several processes or threads work on: fc_part_of_batch in csrc/engine/engine.h.

    Of a batch of N images ``number`` of ``parts`` parts, 1, 2, 4, 8 or 16, has ``images`` images from ``first`` on,
    perhaps none. ``exchange(level, mine, theirs)`` sends the bytes ``mine`` to part ``number ^ (1 << level)``, and
    fills ``theirs`` with as many that come from there. What it raises, the run raises.
    """

    cdef fc_part_of_batch part
    cdef object exchange, error
    cdef readonly int64_t first, images

    def __init__(self, int64_t N, int parts, int number, exchange):
        if N < 1:
            raise ValueError(f"a batch has at least one image; got N={N}")
        if not 1 <= parts <= FC_MOST_LEAVES or parts & (parts - 1):
            raise ValueError(f"a batch is cut into 1, 2, 4, ... or {FC_MOST_LEAVES} parts; got parts={parts}")
        if not 0 <= number < parts:
            raise ValueError(f"the {parts} parts of a batch are numbered from 0; got number={number}")
        self.part.N, self.part.parts, self.part.number = N, parts, number
        self.part.exchange, self.part.context = exchange_in_python, <void *>self
        self.exchange, self.error = exchange, None
        self.images = fc_images_of_part(N, parts, number, &self.first)

    cdef int check(self, fc_status status) except -1:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return check(status)


cdef int exchange_in_python(
        void *context, int level, int64_t size, const void *mine, void *theirs) noexcept with gil:
    cdef Part part = <Part>context
    try:
        part.exchange(
            level, PyMemoryView_FromMemory(<char *>mine, size, PyBUF_READ),
            PyMemoryView_FromMemory(<char *>theirs, size, PyBUF_WRITE))
        return 0
    except BaseException as error:
        part.error = error
        return 1


cdef class Run:
    """One run of a ``Program``, with the arena that it has checked out, until it lets go of it.

    totals    of each loss, the sum over the batch of weight times loss
    """

    cdef Program of
    cdef fc_run run
    cdef fc_held *held
    cdef list arrays
    cdef Part part
    cdef fc_random *random
    cdef const float **inputs  # and behind them the tables of outputs and of both gradients
    cdef float **outputs
    cdef const float **output_gradients
    cdef float **gradients  # of the inputs, of what is tapped
    cdef readonly list totals
    cdef bint waits_for_backward, waits_for_commit

    def __cinit__(self, Program of, list inputs, list outputs, Part part, list draws):
        cdef int ins = of.input_count, outs = of.output_count
        self.of, self.arrays, self.part, self.totals = of, [inputs, outputs], part, []
        self.inputs = <const float **>calloc(2 * (ins + outs) + of.tap_count + 1, sizeof(float *))
        if self.inputs == NULL:
            raise MemoryError("no memory for the run")
        self.outputs = <float **>self.inputs + ins
        self.output_gradients = <const float **>self.outputs + outs
        self.gradients = <float **>self.output_gradients + outs
        self.run.N = inputs[0].shape[0]
        if part is not None:
            if self.run.N != part.images:
                raise ValueError(
                    f"part {part.part.number} of {part.part.parts} of a batch of {part.part.N} images has "
                    f"{part.images}, from number {part.first} on; got {self.run.N}")
            self.run.part = &part.part
        for i in range(ins):
            self.inputs[i] = floats(inputs[i], of.count_of_input(i, self.run.N))
        for i in range(outs):
            self.outputs[i] = written(outputs[i], of.count_of_output(i, self.run.N))
        self.run.inputs, self.run.outputs = self.inputs, self.outputs
        if draws:
            self.draw(draws)

    cdef int draw(self, list draws) except -1:
        if len(draws) != len(self.of.random):
            raise ValueError(f"the program draws {len(self.of.random)} times in a run; got {len(draws)} draws")
        self.random = <fc_random *>calloc(self.of.op_count, sizeof(fc_random))
        if self.random == NULL:
            raise MemoryError("no memory for the run")
        for op, (seed, call) in zip(self.of.random, draws):
            self.random[<int>op].seed, self.random[<int>op].call = seed, call
        self.run.random = self.random
        return 0

    def __dealloc__(self):
        if self.held != NULL:
            fc_program_let_go(self.of.program, self.held)
        free(self.random)
        free(self.inputs)

    cdef int go(self, bint keep, bint waits) except -1:
        cdef fc_status status
        cdef fc_held **held = &self.held if keep or waits else NULL
        with nogil:
            status = fc_program_run(self.of.program, &self.run, keep, held)
        self.run.random = NULL
        self.ended(status)
        self.waits_for_backward, self.waits_for_commit = keep, waits
        if keep and not waits:
            fc_program_commit(self.of.program, self.held)
        self.tidy()
        return 0

    cdef int ended(self, fc_status status) except -1:
        return check(status) if self.part is None else self.part.check(status)

    cdef void tidy(self):
        """Give back what nothing waits for any more."""
        if self.waits_for_backward:
            return
        self.arrays = None
        if not self.waits_for_commit and self.held != NULL:
            fc_program_let_go(self.of.program, self.held)
            self.held = NULL

    cdef int take_gradients(self, list gradients) except -1:
        """The arrays to fill: of each input, then of each tensor that is tapped."""
        cdef Program of = self.of
        for i in range(of.input_count + of.tap_count):
            gradient = gradients[i]
            count = (of.count_of_input(i, self.run.N) if i < of.input_count
                     else of.count_of_output(of.output_count + i - of.input_count, self.run.N))
            self.gradients[i] = NULL if gradient is None else written(gradient, count)
        return 0

    def backward(self, list output_gradients, list gradients) -> None:
        """After one with ``keep``, once: fill the gradients of all weights, of the inputs that are wanted, and behind
        them of the tensors that are tapped.

        After one of a ``part`` of a batch, those of weights are of the whole batch.
        """
        cdef fc_status status
        if not self.waits_for_backward:
            raise RuntimeError("a run with keep goes back once; this one has, or was run without")
        for i in range(self.of.output_count):
            gradient = output_gradients[i]
            self.output_gradients[i] = (
                NULL if gradient is None else floats(gradient, self.of.count_of_output(i, self.run.N)))
        self.take_gradients(gradients)
        self.waits_for_backward = False
        with nogil:
            status = fc_program_backward(
                self.of.program, self.held, &self.run, self.output_gradients, self.gradients)
        self.tidy()
        self.ended(status)

    def commit(self) -> None:
        """After one that ``waits``, once: move the moving statistics."""
        if self.waits_for_commit:
            fc_program_commit(self.of.program, self.held)
            self.waits_for_commit = False
            self.tidy()


cdef class Program:
    """A network as a table of operations that run in one call: csrc/engine/; fastconv.engine makes them.

    An operation is a dictionary of the fields of fc_op. Its arrays are kept alive, and must stay where they are.
    ``tapped``: tensors made by operations, whose gradients are asked for.
    Several threads may run it at the same time, each run in an arena of its own.
    """

    cdef fc_program *program
    cdef list kept, random  # random: the operations that have a stream
    cdef fc_size *sizes  # of all tensors
    cdef int *numbers  # of the inputs, whether each is wanted, of the outputs, of what is tapped
    cdef double *seconds  # while it is timed
    cdef readonly int input_count, output_count, tap_count, op_count

    def __cinit__(self, list ops, list sizes, list inputs, list wanted, list outputs, list ways=None,
                  list tapped=[]):
        cdef fc_op *table = <fc_op *>calloc(len(ops) + 1, sizeof(fc_op))
        cdef int *forced
        self.kept, self.random = [], []
        self.input_count, self.output_count, self.op_count = len(inputs), len(outputs), len(ops)
        self.tap_count = len(tapped)
        self.sizes = <fc_size *>calloc(len(sizes) + 1, sizeof(fc_size))
        self.numbers = <int *>calloc(2 * len(inputs) + len(outputs) + len(tapped) + 1, sizeof(int))
        try:
            if table == NULL or self.sizes == NULL or self.numbers == NULL:
                raise MemoryError("no memory for the program")
            for i, op in enumerate(ops):
                self.fill(&table[i], op)
                if table[<int>i].random != NULL:
                    self.random.append(i)
            for i, (H, W, C) in enumerate(sizes):
                self.sizes[i].H, self.sizes[i].W, self.sizes[i].C = H, W, C
            for i, number in enumerate([*inputs, *wanted, *outputs, *tapped]):
                self.numbers[i] = number
            self.program = fc_program_new(
                table, len(ops), self.sizes, len(sizes), self.numbers, self.numbers + len(inputs), len(inputs),
                self.numbers + 2 * len(inputs), len(outputs))
            if self.program == NULL:
                raise MemoryError("no memory for the program, or sizes that do not fit into 64 bits")
            if tapped and not fc_program_tap(
                    self.program, self.numbers + 2 * len(inputs) + len(outputs), len(tapped)):
                raise MemoryError("no memory for the program")
            if ways is not None:
                forced = <int *>calloc(len(ops) + 1, sizeof(int))
                if forced == NULL:
                    raise MemoryError("no memory for the program")
                for i, way in enumerate(ways):
                    forced[i] = -1 if way is None else WAYS.index(way)
                fc_program_force(self.program, forced)
                free(forced)
        finally:
            free(table)

    def __dealloc__(self):
        fc_program_free(self.program)
        free(self.seconds)
        free(self.sizes)
        free(self.numbers)

    cdef int fill(self, fc_op *op, dict given) except -1:
        op.kind = <fc_op_kind><int>OP_KINDS.index(given["kind"])
        numbers = given["inputs"]
        if len(numbers) > FC_MOST_INPUTS:
            raise ValueError(f"an operation has at most {FC_MOST_INPUTS} inputs; got {len(numbers)}")
        op.inputs = len(numbers)
        for i, number in enumerate(numbers):
            op.input[i] = number
        op.output = given["output"]
        op.KH, op.KW = given.get("size", (1, 1))
        op.stride_h, op.stride_w = given.get("strides", (1, 1))
        op.dilation_h, op.dilation_w = given.get("dilation", (1, 1))
        op.pad_top, op.pad_left = given.get("padding", (0, 0))
        op.groups = given.get("groups", 1)
        op.activation = <fc_activation><int>ACTIVATIONS[given.get("activation", "linear")]
        op.alpha = given.get("alpha", 0.0)
        op.algorithm = given.get("algorithm", -1)
        op.elementwise = <fc_elementwise><int>ELEMENTWISE[given.get("elementwise", "add")]
        op.scale, op.shift, op.fill = given.get("scale", 1.0), given.get("shift", 0.0), given.get("fill", 0.0)
        op.threshold, op.spatial = given.get("threshold", 0), given.get("spatial", False)
        op.epsilon, op.momentum = given.get("epsilon", 0.0), given.get("momentum", 0.0)
        op.training = given.get("training", False)
        for i, array in enumerate(given.get("weights", ())):
            op.weight[i] = self.address(array)
        for i, array in enumerate(given.get("gradients", ())):
            op.gradient[i] = self.address(array)
        op.adds = given.get("adds", False)
        cdef Stream stream = given.get("random")
        if stream is not None:
            self.kept.append(stream)
            op.random = &stream.random
        return 0

    cdef float *address(self, array) except? NULL:
        cdef float[::1] view
        if array is None or not array.size:
            return NULL
        view = array.reshape(-1)
        self.kept.append(array)
        return &view[0]

    cdef int64_t count_at(self, int tensor, int64_t N):
        """Floats of a tensor, for N images."""
        return N * self.sizes[tensor].H * self.sizes[tensor].W * self.sizes[tensor].C

    cdef int64_t count_of_input(self, int i, int64_t N):
        return self.count_at(self.numbers[i], N)

    cdef int64_t count_of_output(self, int i, int64_t N):
        return self.count_at(self.numbers[2 * self.input_count + i], N)

    def run(self, list inputs, list outputs, bint keep=False, Part part=None, list draws=None,
            bint waits=False) -> Run:
        """Forward: fill the outputs.

        keep    ``Run.backward`` will follow
        part    of a batch, these images
        draws   (seed, call) of each operation that has a stream, in the place of that
        waits   moving statistics move with ``Run.commit``, else at once
        """
        cdef Run run = Run(self, inputs, outputs, part, draws)
        run.go(keep, waits)
        return run

    @property
    def arenas(self):
        """{"made": so far, "out": checked out now, "idle": ..., "most": checked out at once}"""
        return fc_program_arenas(self.program)

    def infer(self, x, tuple shape, tuple output_shape):
        """Forward alone, of a program with one input and one output: the output, a new array.

        The shapes are those of one example. None where x is no array of them that C can read as it is.
        """
        cdef fc_status status
        cdef Py_buffer buffer
        cdef fc_run run
        cdef const float *inputs
        cdef float *outputs
        if type(x) is not ndarray:
            return None
        try:
            PyObject_GetBuffer(x, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        except (BufferError, ValueError):
            return None
        try:
            if (buffer.itemsize != sizeof(float) or strcmp(buffer.format, b"f") != 0 or not like(&buffer, shape)
                    or buffer.shape[0] == 0 or <size_t>buffer.buf % sizeof(float) != 0):
                return None
            memset(&run, 0, sizeof(fc_run))
            run.N = buffer.shape[0]
            y = empty((run.N, *output_shape))
            inputs = <const float *>buffer.buf
            outputs = written(y, self.count_of_output(0, run.N))
            run.inputs, run.outputs = &inputs, &outputs
            with nogil:
                status = fc_program_run(self.program, &run, 0, NULL)
            check(status)
        finally:
            PyBuffer_Release(&buffer)
        return y

    def train(self, list inputs, list outputs, list losses, Part part=None, list draws=None,
              bint waits=False, list gradients=None) -> Run:
        """Forward, losses and backward: fill the outputs, the losses of each image, and all gradients.

        A loss is (kind, tensor, delta, (least, most), labels, rows, weights, scale, losses). With ``part`` the
        arrays are of its images, gradients and sums of the whole batch; so is the scale. ``draws`` and ``waits``
        as those of ``run``, ``gradients`` as those of ``Run.backward``.
        """
        cdef fc_loss table[8]
        cdef double totals[8]
        cdef int64_t N
        if len(losses) > FC_MOST_INPUTS:
            raise ValueError(f"a program takes at most {FC_MOST_INPUTS} losses; got {len(losses)}")
        cdef Run run = Run(self, inputs, outputs, part, draws)
        N = run.run.N
        for i, (kind, tensor, delta, limits, labels, rows, weights, scale, values) in enumerate(losses):
            table[i].kind = <fc_loss_kind><int>LOSSES[kind]
            table[i].tensor, table[i].delta, table[i].scale = tensor, delta, scale
            table[i].least, table[i].most = limits
            table[i].targets = fc_targets(NULL, NULL, NULL)
            if labels is not None:
                table[i].targets.labels = whole(labels, N * self.sizes[tensor].H * self.sizes[tensor].W)
            if rows is not None:
                table[i].targets.rows = floats(rows, self.count_at(tensor, N))
            if weights is not None:
                table[i].targets.weights = floats(weights, N)
            table[i].losses = written(values, N)
        run.run.losses, run.run.loss, run.run.totals = len(losses), table, totals
        if gradients is not None:
            run.take_gradients(gradients)
            run.run.gradients = run.gradients
        run.go(False, waits)
        run.run.losses, run.run.loss, run.run.totals, run.run.gradients = 0, NULL, NULL, NULL
        run.totals = [totals[i] for i in range(len(losses))]
        return run

    def describe(self, int64_t images, bint backward, tensors_of_losses=()) -> tuple:
        """(a dictionary for each operation, the fields of fc_described; another one, of fc_footprint).

        ``tensors_of_losses``: as ``train`` runs with losses of these tensors; else as ``run``, with ``keep`` where
        ``backward``.
        """
        cdef fc_footprint all
        cdef fc_loss losses[8]
        if len(tensors_of_losses) > FC_MOST_INPUTS:
            raise ValueError(f"a program takes at most {FC_MOST_INPUTS} losses; got {len(tensors_of_losses)}")
        for i, tensor in enumerate(tensors_of_losses):
            losses[i].tensor = tensor
        cdef fc_described *rows = <fc_described *>calloc(self.op_count + 1, sizeof(fc_described))
        if rows == NULL:
            raise MemoryError("no memory for the description")
        try:
            check(fc_program_describe(
                self.program, images, backward, len(tensors_of_losses), losses, rows, &all))
            listed = [
                {"way": WAYS[<int>rows[i].way], "why": rows[i].why.decode(), "stage": rows[i].stage,
                 "back_stage": rows[i].back_stage, "operations": rows[i].operations,
                 "back_operations": rows[i].back_operations, "estimate": rows[i].estimate,
                 "back_estimate": rows[i].back_estimate, "bytes": rows[i].bytes, "back_bytes": rows[i].back_bytes,
                 "kept": rows[i].kept,
                 "algorithms": [ALGORITHMS[<int>a] for a in rows[i].algorithm if <int>a >= 0]}
                for i in range(self.op_count)]
        finally:
            free(rows)
        return listed, all

    def efforts(self, int op, way, int64_t images, bint backward) -> list:
        """What an operation would take in this way: [(kind, pass, steps, numbers, weights, rows, calls, estimate), ...]
        as in csrc/engine/cost.h.
        """
        cdef fc_effort found[3]
        count = fc_program_efforts(self.program, op, <fc_way><int>WAYS.index(way), images, backward, found)
        return [(found[i].kind, <int>found[i].of, found[i].steps, found[i].numbers, found[i].weights, found[i].rows,
                 found[i].calls, fc_cost_of(&found[i])) for i in range(count)]

    def time(self, bint on) -> None:
        """From now on, runs are timed, or not: see ``seconds``."""
        free(self.seconds)
        self.seconds = NULL
        if on:
            self.seconds = <double *>calloc(2 * self.op_count + 2, sizeof(double))
            if self.seconds == NULL:
                raise MemoryError("no memory for the seconds")
        fc_program_time(self.program, self.seconds)

    def take_seconds(self) -> list:
        """Of the runs since it was last asked: of each operation forward and back, then of changes of layout and
        sums of gradients, then of losses. They begin at 0 again.
        """
        if self.seconds == NULL:
            raise ValueError("the program is not timed")
        taken = [self.seconds[i] for i in range(2 * self.op_count + 2)]
        for i in range(len(taken)):
            self.seconds[i] = 0
        return taken


# ---- weights that are read ------------------------------------------------------------------------
#
# Who is reading the weights of what: one table for the process, changed by whoever has the interpreter's lock. So a
# reader whom nobody is in the way of notes itself and goes on; all else is in fastconv/_core/turns.py.

cdef struct fc_reader:
    unsigned long thread
    void *what


cdef fc_reader *readers = NULL
cdef int reader_count = 0, reader_room = 0
cdef int writer_count = 0  # that write, or wait until they may


cdef int add_reader(void *what) except -1:
    global readers, reader_count, reader_room
    cdef fc_reader *more
    if reader_count == reader_room:
        more = <fc_reader *>realloc(readers, (2 * reader_room + 8) * sizeof(fc_reader))
        if more == NULL:
            raise MemoryError("no memory for one more reader")
        readers, reader_room = more, 2 * reader_room + 8
    readers[reader_count].thread, readers[reader_count].what = PyThread_get_thread_ident(), what
    reader_count += 1
    return 0


cdef class Reading:
    """A ``with`` block in which weights are read. It may be entered by several threads, and again by the same one.

    of      whose weights, for those who write them
    wait    called with this where there is a writer: calls ``enter_now`` once the block may be entered
    wake    called after the block, where there is a writer
    """

    cdef readonly object of
    cdef object wait, wake

    def __init__(self, of, wait, wake):
        self.of, self.wait, self.wake = of, wait, wake

    def __enter__(self):
        if writer_count:
            self.wait(self)
        else:
            add_reader(<void *>self)

    def enter_now(self) -> None:
        add_reader(<void *>self)

    def __exit__(self, kind, error, traceback):
        global reader_count
        cdef unsigned long me = PyThread_get_thread_ident()
        for i in range(reader_count - 1, -1, -1):
            if readers[i].what == <void *>self and readers[i].thread == me:
                reader_count -= 1
                readers[i] = readers[reader_count]
                break
        if writer_count:
            self.wake()


def reading_now() -> list:
    """(thread, Reading) of all readers."""
    return [(readers[i].thread, <object>readers[i].what) for i in range(reader_count)]


def count_writers(int count) -> None:
    """From now on there are so many that write, or wait until they may."""
    global writer_count
    writer_count = count


def forget_readers_but(unsigned long thread) -> None:
    """In a forked child: the others are not in it."""
    global reader_count
    cdef int kept = 0
    for i in range(reader_count):
        if readers[i].thread == thread:
            readers[kept] = readers[i]
            kept += 1
    reader_count = kept


# ---- networks in files ----------------------------------------------------------------------------

RULES = ("sgd", "adagrad", "rmsprop", "adam", "adamax", "nadam", "adadelta")


cdef int fill_table(fc_table *table, given) except -1:
    cdef Program program = given[0]
    table.program = program.program
    table.input_axes = <int *>calloc(program.input_count + 1, sizeof(int))
    table.output_axes = <int *>calloc(program.output_count + 1, sizeof(int))
    table.draws = <fc_draws *>calloc(program.op_count + 1, sizeof(fc_draws))
    if table.input_axes == NULL or table.output_axes == NULL or table.draws == NULL:
        raise MemoryError("no memory for the program")
    for i, axes in enumerate(given[1]):
        table.input_axes[i] = axes
    for i, axes in enumerate(given[2]):
        table.output_axes[i] = axes
    for i, step in enumerate(given[3]):
        table.draws[i].step = step
    return 0


cdef void free_table(fc_table *table) noexcept:
    free(table.input_axes)
    free(table.output_axes)
    free(table.draws)


cdef int fill_rule(fc_rule *rule, dict given) except -1:
    rule.kind = RULES.index(given["kind"])
    rule.learning_rate, rule.momentum, rule.nesterov = given["learning_rate"], given["momentum"], given["nesterov"]
    rule.rho, rule.beta_1, rule.beta_2 = given["rho"], given["beta_1"], given["beta_2"]
    rule.epsilon, rule.momentum_product = given["epsilon"], given["momentum_product"]
    rule.steps, rule.around = given["steps"], around(given["options"])
    return 0


cdef int fill_term(fc_term *term, dict given) except -1:
    term.what.kind = <fc_loss_kind><int>LOSSES[given["kind"]]
    term.what.output, term.what.labels, term.tensor = given["output"], given["labels"], given["tensor"]
    term.delta, term.sum, term.weight = given["delta"], given["sum"], given["weight"]
    term.least, term.most = given["limits"]
    return 0


def network_bytes(Parameters weights, list penalties, inference, training, rule, list terms) -> bytes:
    """A network as a program file: docs/program-file.md. Raises ValueError where the format does not hold it.

    weights     those that learn first
    penalties   (l1, l2) of those that learn
    inference   (Program, axes of its inputs, axes of its outputs, draws of each operation in a run)
    training    the same, or None; then ``rule`` is None, and ``terms`` is empty
    """
    cdef fc_described_network network
    cdef char error[FC_ERROR_TEXT]
    cdef int64_t size
    memset(&network, 0, sizeof(network))
    network.count, network.learned, network.parameter = weights.count, len(penalties), weights.parameters
    network.trains, network.terms = training is not None, len(terms)
    network.l1 = <double *>calloc(weights.count + 1, sizeof(double))
    network.l2 = <double *>calloc(weights.count + 1, sizeof(double))
    try:
        if network.l1 == NULL or network.l2 == NULL:
            raise MemoryError("no memory for the program")
        for i, (l1, l2) in enumerate(penalties):
            network.l1[i], network.l2[i] = l1, l2
        fill_table(&network.inference, inference)
        if training is not None:
            fill_table(&network.training, training)
            fill_rule(&network.rule, rule)
        if len(terms) > FC_MOST_INPUTS:
            raise ValueError(f"a program takes at most {FC_MOST_INPUTS} losses; got {len(terms)}")
        for i, term in enumerate(terms):
            fill_term(&network.term[i], term)
        size = fc_network_pack(&network, NULL, error)
        if size < 0:
            raise ValueError(error.decode())
        packed = bytearray(size)
        fc_network_pack(&network, packed, error)
    finally:
        free(network.l1)
        free(network.l2)
        free_table(&network.inference)
        free_table(&network.training)
    return bytes(packed)


cdef class Network:
    """A network from the bytes of a program file. Raises ValueError that says what is wrong with them.

    inputs, outputs   the shape of one example of each
    losses            of each loss (kind, number of its output, whether it takes labels)
    """

    cdef fc_network *network
    cdef readonly list inputs, outputs, losses

    def __cinit__(self, const uint8_t[::1] data):
        cdef char error[FC_ERROR_TEXT]
        self.network = fc_network_read(&data[0] if len(data) else NULL, len(data), error)
        if self.network == NULL:
            raise ValueError(error.decode(errors="replace"))
        self.inputs = [shape_of(fc_network_input(self.network, i)) for i in range(fc_network_inputs(self.network))]
        self.outputs = [shape_of(fc_network_output(self.network, i)) for i in range(fc_network_outputs(self.network))]
        self.losses = [loss_of(fc_network_loss(self.network, i)) for i in range(fc_network_losses(self.network))]

    def __dealloc__(self):
        fc_network_free(self.network)

    cdef int refuse(self, fc_status status) except -1:
        if status == FC_INVALID:
            raise ValueError(fc_network_error(self.network).decode(errors="replace"))
        return check(status)

    def training(self) -> tuple:
        """(learning rate, momentum) of the file."""
        cdef fc_training training = fc_network_training(self.network)
        return training.learning_rate, training.momentum

    def predict(self, list inputs, list outputs) -> None:
        """Fill the outputs."""
        cdef Arrays arrays = Arrays(self, inputs, outputs)
        cdef fc_status status
        with nogil:
            status = fc_network_predict(self.network, arrays.N, arrays.inputs, arrays.outputs)
        self.refuse(status)

    def train_step(
        self, list inputs, list outputs, list targets, double learning_rate, double momentum, double l2
    ) -> float:
        """One step, on targets (labels, rows, weights) for each loss; None for those that are not given.

        Fills the outputs, and returns the loss before the step.
        """
        cdef Arrays arrays = Arrays(self, inputs, outputs)
        cdef fc_targets table[8]
        cdef fc_training training
        cdef fc_status status
        cdef double loss = 0
        training.learning_rate, training.momentum, training.l2 = learning_rate, momentum, l2
        for i, ((_, output, _), (labels, rows, weights)) in enumerate(zip(self.losses, targets, strict=True)):
            shape = <tuple>self.outputs[output]
            table[i] = fc_targets(NULL, NULL, NULL)
            if labels is not None:
                table[i].labels = whole(labels, arrays.N * (count_of(shape) // <int64_t>shape[len(shape) - 1]))
            if rows is not None:
                table[i].rows = floats(rows, arrays.N * count_of(shape))
            if weights is not None:
                table[i].weights = floats(weights, arrays.N)
        with nogil:
            status = fc_network_train_step(
                self.network, arrays.N, arrays.inputs, table, &training, arrays.outputs, &loss)
        self.refuse(status)
        return loss

    def packed(self) -> bytes:
        """As a program file, with the weights of now."""
        data = bytearray(fc_network_size(self.network))
        cdef uint8_t[::1] view = data
        fc_network_write(self.network, &view[0])
        return bytes(data)


cdef tuple shape_of(fc_port port):
    return (port.size.H, port.size.W, port.size.C)[3 - port.axes:]


cdef tuple loss_of(fc_judgement what):
    names = {number: name for name, number in LOSSES.items()}
    return names[<int>what.kind], what.output, bool(what.labels)


cdef class Arrays:
    """The addresses of a network's inputs and outputs for N images."""

    cdef int64_t N
    cdef const float **inputs
    cdef float **outputs

    def __cinit__(self, Network network, list inputs, list outputs):
        self.inputs = <const float **>calloc(len(inputs) + 1, sizeof(float *))
        self.outputs = <float **>calloc(len(outputs) + 1, sizeof(float *))
        if self.inputs == NULL or self.outputs == NULL:
            raise MemoryError("no memory for the network's arrays")
        self.N = inputs[0].shape[0]
        for i, (array, shape) in enumerate(zip(inputs, network.inputs, strict=True)):
            self.inputs[i] = floats(array, self.N * count_of(shape))
        for i, (array, shape) in enumerate(zip(outputs, network.outputs, strict=True)):
            self.outputs[i] = written(array, self.N * count_of(shape))

    def __dealloc__(self):
        free(self.inputs)
        free(self.outputs)
