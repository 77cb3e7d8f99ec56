/* fastconv.h - the C API: what the Cython binding calls, and all of it.
 *
 * Every array is dense float32. Images are NHWC, convolution kernels HWIO, matrices row-major.
 * The letters mean the same in every file:
 *
 *   N            images in the batch              n   index of an image
 *   H, W         rows and columns of the input    h, w   output row and column
 *   OH, OW       rows and columns of the output
 *   C_in, C_out  channels in and out              c, k   input and output channel
 *   KH, KW       rows and columns of the kernel   kh, kw  a tap of the kernel
 *   x, kernel, bias, y        the forward pass    dx, dkernel, dbias, dy   their gradients
 *
 * Functions that can fail return a status; none exits, prints, or leaves half an answer: what can fail
 * (sizes, memory) is checked and taken before anything is written. The caller guarantees that shapes fit; fastconv/ops
 * does.
 */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stdint.h>

typedef enum {
    FC_OK = 0,
    FC_OUT_OF_MEMORY = 1,
    FC_TOO_LARGE = 2, /* sizes whose products do not fit into 64 bits: size.h */
    FC_INVALID = 3,   /* of networks alone: fc_network_error says what is wrong */
    FC_NOT_EXCHANGED = 4, /* the caller's exchange with other parts of a batch failed: engine/engine.h */
} fc_status;

/* ---- the machine: instruction set and threads ------------------------------------------------- */

/* Instruction sets this CPU can run, best last: fc_isa_name(0) .. fc_isa_name(fc_isa_count() - 1). */
int fc_isa_count(void);
const char *fc_isa_name(int index);
int fc_isa_lanes(int index); /* floats per vector */
int fc_isa_active(void);
void fc_isa_select(int index);

int fc_openmp(void); /* 1 if built with OpenMP */
int fc_num_threads(void);
void fc_set_num_threads(int threads);

/* Multiply-adds in a register, nothing else: the peak every kernel is measured against, in FLOP/s. */
double fc_fma_peak(int threads, double seconds);

/* ---- convolution ------------------------------------------------------------------------------ */

typedef struct {
    int64_t N, H, W, C_in;
    int64_t KH, KW, C_out;
    int64_t OH, OW;
    int64_t stride_h, stride_w;
    int64_t dilation_h, dilation_w;
    int64_t pad_top, pad_left; /* bottom and right follow from OH and OW */
    int64_t groups;            /* kernel is (KH, KW, C_in / groups, C_out) */
} fc_conv2d;

/* y = activation(x * kernel + bias);  bias may be NULL */
typedef fc_status fc_conv2d_forward(const fc_conv2d *conv, const float *x, const float *kernel,
                                    const float *bias, float *y);
/* dx = the adjoint of the above, applied to dy */
typedef fc_status fc_conv2d_backward_data(const fc_conv2d *conv, const float *dy, const float *kernel,
                                          float *dx);
/* dkernel[kh,kw,c,k] = sum over n,h,w of x[tap] dy[n,h,w,k];  dbias[k] = sum over n,h,w of dy[n,h,w,k] */
typedef fc_status fc_conv2d_backward_kernel(const fc_conv2d *conv, const float *x, const float *dy,
                                            float *dkernel, float *dbias);

fc_conv2d_forward fc_conv2d_forward_naive, fc_conv2d_forward_im2col, fc_conv2d_forward_direct,
    fc_conv2d_forward_winograd;
fc_conv2d_backward_data fc_conv2d_backward_data_naive, fc_conv2d_backward_data_im2col,
    fc_conv2d_backward_data_direct, fc_conv2d_backward_data_winograd;
fc_conv2d_backward_kernel fc_conv2d_backward_kernel_naive, fc_conv2d_backward_kernel_im2col,
    fc_conv2d_backward_kernel_direct, fc_conv2d_backward_kernel_winograd;

/* In the order of _kernels.ALGORITHMS. */
typedef enum {
    FC_CONV2D_AUTO = -1, FC_CONV2D_NAIVE, FC_CONV2D_IM2COL, FC_CONV2D_DIRECT, FC_CONV2D_WINOGRAD
} fc_conv2d_algorithm;
typedef enum { FC_PASS_FORWARD, FC_PASS_DATA, FC_PASS_KERNEL } fc_conv2d_pass;

/* Which one computes it: the fastest for FC_CONV2D_AUTO, else the one that is asked for, or im2col in the place of
 * "direct" where that would copy far more pixels than are seen. See conv2d_auto.c. */
fc_conv2d_algorithm fc_conv2d_choose(const fc_conv2d *conv, fc_conv2d_pass pass, fc_conv2d_algorithm algorithm);

/* By the one that fc_conv2d_choose names. Winograd must fit: 3 x 3, strides, dilation and groups of 1. */
fc_status fc_conv2d_forward_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *x,
                               const float *kernel, const float *bias, float *y);
fc_status fc_conv2d_backward_data_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *dy,
                                     const float *kernel, float *dx);
fc_status fc_conv2d_backward_kernel_by(fc_conv2d_algorithm algorithm, const fc_conv2d *conv, const float *x,
                                       const float *dy, float *dkernel, float *dbias);

/* Which filters see which maps: connection e is of map input[e] with filter[e], ascending by map, then by filter.
 * Then a kernel is (KH, KW, count), a weight for every tap of every connection, and groups is not looked at. */
typedef struct {
    int64_t count;
    const int64_t *input, *filter;
} fc_connections;

fc_status fc_conv2d_connected_forward(const fc_conv2d *conv, fc_connections connections, const float *x,
                                      const float *kernel, const float *bias, float *y);
fc_status fc_conv2d_connected_backward_data(const fc_conv2d *conv, fc_connections connections, const float *dy,
                                            const float *kernel, float *dx);
fc_status fc_conv2d_connected_backward_kernel(const fc_conv2d *conv, fc_connections connections, const float *x,
                                              const float *dy, float *dkernel, float *dbias);

/* Every channel by itself, with C_out / C_in filters of its own: output channel c*M + m is of input channel c. The
 * kernel is (KH, KW, C_in, M), and groups is not looked at. */
fc_conv2d_forward fc_conv2d_depthwise_forward;
fc_conv2d_backward_data fc_conv2d_depthwise_backward_data;
fc_conv2d_backward_kernel fc_conv2d_depthwise_backward_kernel;

/* ---- dense ------------------------------------------------------------------------------------ */

/* y (M, K) = x (M, C) w (C, K) + bias */
fc_status fc_dense_forward(int64_t M, int64_t C, int64_t K, const float *x, const float *w, const float *bias,
                           float *y);
/* dx (M, C) = dy (M, K) w^T */
fc_status fc_dense_backward_data(int64_t M, int64_t C, int64_t K, const float *dy, const float *w, float *dx);
/* dw (C, K) = x^T dy;  dbias[k] = sum over m of dy[m,k] */
fc_status fc_dense_backward_kernel(int64_t M, int64_t C, int64_t K, const float *x, const float *dy, float *dw,
                                   float *dbias);

/* ---- squared distances -------------------------------------------------------------------------- */

/* y (M, K): y[m, k] = sum over c of (x[m, c] - w[k, c])^2, with w (K, C) */
void fc_rbf_forward(int64_t M, int64_t C, int64_t K, const float *x, const float *w, float *y);
/* dx (M, C) */
void fc_rbf_backward_data(int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w, float *dx);
/* dw (K, C) */
void fc_rbf_backward_kernel(int64_t M, int64_t C, int64_t K, const float *dy, const float *x, const float *w,
                            float *dw);

/* ---- pooling ------------------------------------------------------------------------------------ */

typedef struct {
    int64_t N, H, W, C;
    int64_t KH, KW;
    int64_t OH, OW;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left; /* bottom and right follow from OH and OW; every window sees the image */
} fc_pool2d;

/* y (N, OH, OW, C) = the maximum of each window;  switches = its tap, kh*KW + kw < 65536 */
fc_status fc_max_pool2d_forward(const fc_pool2d *pool, const float *x, float *y, uint16_t *switches);
/* dx[pixel] = sum of dy over the windows that this pixel won */
fc_status fc_max_pool2d_backward(const fc_pool2d *pool, const float *dy, const uint16_t *switches, float *dx);
/* y = the mean of each window's pixels, those in the padding not counted */
fc_status fc_avg_pool2d_forward(const fc_pool2d *pool, const float *x, float *y);
fc_status fc_avg_pool2d_backward(const fc_pool2d *pool, const float *dy, float *dx);
/* y (N, C) = the maximum over all pixels, at most 2^31;  switches = its pixel, h*W + w */
fc_status fc_global_max_pool2d_forward(int64_t N, int64_t pixels, int64_t C, const float *x, float *y,
                                       int32_t *switches);
fc_status fc_global_max_pool2d_backward(int64_t N, int64_t pixels, int64_t C, const float *dy, const int32_t *switches,
                                        float *dx);

/* ---- activations -------------------------------------------------------------------------------- */

typedef enum {
    /* their derivative is made of the output y */
    FC_LINEAR, FC_RELU, FC_RELU6, FC_LEAKY_RELU, FC_SIGMOID, FC_HARD_SIGMOID, FC_LOG_SIGMOID, FC_TANH, FC_SCALED_TANH,
    FC_HARD_TANH, FC_ELU, FC_CELU, FC_SELU, FC_SOFTPLUS, FC_SOFTSIGN, FC_EXPONENTIAL,
    FC_HARD_SHRINK, FC_SOFT_SHRINK, FC_SPARSE_PLUS, FC_SPARSE_SIGMOID, FC_SQUAREPLUS,
    /* theirs of the input x */
    FC_FIRST_OF_INPUT, FC_SILU = FC_FIRST_OF_INPUT, FC_HARD_SILU, FC_GELU, FC_GELU_TANH, FC_MISH, FC_TANH_SHRINK
} fc_activation;

/* y = phi(x);  alpha is the slope of leaky ReLU, the depth of ELU and CELU, the threshold of the shrinks,
 * the b of squareplus. y may be x. */
void fc_activation_forward(fc_activation kind, float alpha, int64_t n, const float *x, float *y);
/* dx = dy phi'(x), from what the derivative is made of: y = phi(x), or x. dx may be dy. */
void fc_activation_backward(fc_activation kind, float alpha, int64_t n, const float *dy, const float *kept, float *dx);

/* y = x, or alpha[k] x where x < 0;  x is (rows, K) */
fc_status fc_prelu_forward(int64_t rows, int64_t K, const float *x, const float *alpha, float *y);
/* dx = dy, or alpha[k] dy;  dalpha[k] = sum over rows of dy x where x < 0 */
fc_status fc_prelu_backward(int64_t rows, int64_t K, const float *dy, const float *x, const float *alpha, float *dx,
                            float *dalpha);

/* ---- two arrays, number by number --------------------------------------------------------------- */

typedef enum { FC_ADD, FC_SUBTRACT, FC_MULTIPLY, FC_DIVIDE, FC_AVERAGE, FC_MAXIMUM, FC_MINIMUM } fc_elementwise;

/* y and dy are (outer, rows, width), none of them 0; a and b have steps along these axes, 0 where they are repeated:
 * along the last axis 1 or 0, and not 0 for both. */
typedef struct {
    fc_elementwise kind;
    int64_t outer, rows, width;
    int64_t a[3], b[3];
    fc_activation activation; /* forward, of what the two make: y = phi(a with b) */
    float alpha;
} fc_broadcast;

fc_status fc_elementwise_forward(const fc_broadcast *shape, const float *a, const float *b, float *y);
/* da, or db where `second`: dense, without the axes along which the operand is repeated */
fc_status fc_elementwise_backward(const fc_broadcast *shape, int second, const float *dy, const float *a,
                                  const float *b, float *to);

/* ---- dropout ------------------------------------------------------------------------------------ */

/* A stream of random words for every image; see threefry.h. They are dealt in blocks of FC_RANDOM_BLOCK. */
typedef struct {
    uint64_t seed;
    uint32_t call;
} fc_random;
enum { FC_RANDOM_BLOCK = 32 };

typedef struct {
    int64_t images, pixels, places; /* x and y are (images, pixels, places); all pixels have the same words */
    int64_t first_image;            /* its number, of 32 bits as the others' */
    fc_random stream;
    uint32_t threshold;
    float scale, shift, fill;
} fc_dropout;

/* y = scale x + shift where the random word of image and place is at least the threshold, else fill. y may be x. */
void fc_dropout_forward(const fc_dropout *dropout, const float *x, float *y);

/* ---- penalties ---------------------------------------------------------------------------------- */

/* Returns l1 sum |x| + l2 sum x^2;  grad += scale (l1 sign x + 2 l2 x), or NULL. */
double fc_l1_l2_penalty(int64_t n, const float *x, double l1, double l2, float *grad, double scale);

/* ---- softmax and cross-entropy, along the last axis of (rows, C) -------------------------------- */

void fc_softmax_forward(int64_t rows, int64_t C, const float *x, float *p);
void fc_softmax_backward(int64_t rows, int64_t C, const float *dp, const float *p, float *dx);
void fc_log_softmax(int64_t rows, int64_t C, const float *x, float *y);
void fc_log_softmax_backward(int64_t rows, int64_t C, const float *dy, const float *y, float *dx);

typedef struct {
    const int64_t *labels; /* (N,) class numbers, or NULL and then */
    const float *rows;     /* (N, C) a distribution for each */
    const float *weights;  /* (N,) or NULL for ones */
} fc_targets;

typedef enum {
    FC_LOSS_SOFTMAX_CROSS_ENTROPY, /* of logits */
    FC_LOSS_SIGMOID_CROSS_ENTROPY, /* of logits */
    FC_LOSS_SQUARED, FC_LOSS_ABSOLUTE, FC_LOSS_HUBER,
} fc_loss_kind;

/* loss = sum over n of weight[n] * cross-entropy[n] / N, and its gradient at the logits (N, C); N > 0 */
fc_status fc_softmax_cross_entropy(int64_t N, int64_t C, const float *logits, fc_targets targets, double *loss,
                                   float *dlogits);

/* ---- batch normalisation, of x (rows, C) with rows > 0 ------------------------------------------- */

/* mean[c] and biased variance[c] over the rows */
fc_status fc_moments(int64_t rows, int64_t C, const float *x, float *mean, float *variance);
/* What may follow: y = phi(z + residual), where residual may be NULL, and phi' is made of y. */
typedef struct {
    fc_activation activation;
    float alpha;
    const float *residual;
} fc_ending;

/* y = gamma (x - mean) / sqrt(variance + epsilon) + beta, and then the ending, which may be NULL;  gamma and beta may be
 * NULL: ones, zeros */
fc_status fc_batch_norm_forward(int64_t rows, int64_t C, const float *x, const float *mean, const float *variance,
                                const float *gamma, const float *beta, double epsilon, const fc_ending *ending,
                                float *y);
/* dgamma[c] = sum over rows of dy (x - mean) / sqrt(variance + epsilon);  dbeta[c] = sum over rows of dy */
fc_status fc_batch_norm_backward_weights(int64_t rows, int64_t C, const float *dy, const float *x, const float *mean,
                                         const float *variance, double epsilon, float *dgamma, float *dbeta);
/* dx where mean and variance are x's own; with dgamma and dbeta NULL, where they are constants (x may be NULL) */
fc_status fc_batch_norm_backward_data(int64_t rows, int64_t C, const float *dy, const float *x, const float *mean,
                                      const float *variance, const float *gamma, const float *dgamma,
                                      const float *dbeta, double epsilon, float *dx);

/* ---- layer, root mean square, unit and group normalisation ---------------------------------------- */

typedef enum { FC_LAYER_NORM, FC_RMS_NORM, FC_UNIT_NORM } fc_row_norm_kind;

typedef struct {
    fc_row_norm_kind kind;
    int64_t rows, W; /* W > 0 */
    double epsilon;
} fc_row_norm;

/* y = (x - mean) inverse gamma + beta, rows (rows, W), each with its mean (layer normalisation only) and inverse.
 * gamma and beta (W,) may be NULL. */
void fc_row_norm_forward(const fc_row_norm *norm, const float *x, const float *gamma, const float *beta, float *y,
                         float *mean, float *inverse);
/* dgamma and dbeta may be NULL: not wanted */
fc_status fc_row_norm_backward(const fc_row_norm *norm, const float *dy, const float *x, const float *mean,
                               const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta);

typedef struct {
    int64_t N, pixels, C, groups; /* pixels > 0 */
    double epsilon;
} fc_group_norm;

/* The same of each group of C / groups channels in all pixels of an image: mean and inverse are (N, groups), gamma and
 * beta (C,). */
fc_status fc_group_norm_forward(const fc_group_norm *norm, const float *x, const float *gamma, const float *beta,
                                float *y, float *mean, float *inverse);
fc_status fc_group_norm_backward(const fc_group_norm *norm, const float *dy, const float *x, const float *mean,
                                 const float *inverse, const float *gamma, float *dx, float *dgamma, float *dbeta);

/* ---- images resampled ----------------------------------------------------------------------------- */

/* Output i along an axis is weight[i] times source pixel first[i], plus next[i] times the one after it. */
typedef struct {
    int64_t source, outputs;
    const int64_t *first;
    const float *weight, *next;
} fc_resample_axis;

typedef struct {
    int64_t N, C;
    fc_resample_axis rows, columns;
} fc_resample;

fc_status fc_resample_forward(const fc_resample *resample, const float *x, float *y);
fc_status fc_resample_backward(const fc_resample *resample, const float *dy, float *dx);

/* ---- images under affine maps ------------------------------------------------------------------- */

typedef enum { FC_FILL_CONSTANT, FC_FILL_NEAREST, FC_FILL_REFLECT, FC_FILL_WRAP } fc_fill;

typedef struct {
    int64_t N, H, W, C;
    int64_t OH, OW;
    const float *maps; /* (N, 6): column = a0 w + a1 h + a2, row = b0 w + b1 h + b2; both within 32 bits */
    int bilinear;      /* the four pixels around, else the nearest one */
    fc_fill fill;      /* what stands for pixels outside; the constant is fill_value */
    float fill_value;
} fc_affine;

/* y (N, OH, OW, C) = x at (row, column);  dx = dy handed to the pixels that y came from */
fc_status fc_affine_forward(const fc_affine *affine, const float *x, float *y);
void fc_affine_backward(const fc_affine *affine, const float *dy, float *dx);

/* ---- optimizers: one step of many parameters, in place ------------------------------------------ */

enum { FC_OPTIMIZER_STATES = 3, FC_OPTIMIZER_BLOCK = 1 << 13 };

/* n numbers, their gradient, and what an optimizer keeps for each of them. */
typedef struct {
    int64_t n;
    int64_t first_block;                /* blocks of FC_OPTIMIZER_BLOCK numbers in the parameters before this one */
    float *value;
    const float *grad;
    float *state[FC_OPTIMIZER_STATES];  /* the rule's own, in the order told below */
    float *gathered;                    /* sum of the gradients before this one that wait for a step, or NULL */
    float *average;                     /* of the values, or NULL */
    int decays;                         /* whether weight decay is meant for this one */
} fc_parameter;

/* What goes on around every rule; see optimizer.c. */
typedef struct {
    double gradient_scale;                         /* factor of the gradient, before it is clipped; 1 for none */
    double clip_value, clip_norm, global_clip_norm; /* at most one is not 0 */
    double weight_decay;
    double average_momentum;
    int overwrite; /* the values by their averages */
} fc_update_options;

/* state: velocity, NULL for no momentum */
fc_status fc_sgd_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                      double learning_rate, double momentum, int nesterov);
/* state: sum of squared gradients */
fc_status fc_adagrad_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate, double epsilon);
/* state: velocity; average gradient (centered) or NULL; momentum buffer or NULL */
fc_status fc_rmsprop_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate, double rho, double momentum, double epsilon);
/* state: m; v; v_hat of AMSGrad or NULL. The first step is 1. */
fc_status fc_adam_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                       double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step);
/* state: m; u, the infinity norm */
fc_status fc_adamax_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                         double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step);
/* state: m; v. u_t, u_t1: the momentum of this step and of the next; u_product, u_product_1: the products so far */
fc_status fc_nadam_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                        double learning_rate, double beta_1, double beta_2, double epsilon, double u_t, double u_t1,
                        double u_product, double u_product_1, int64_t step);
/* state: mean of squared gradients; mean of squared steps */
fc_status fc_adadelta_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                           double learning_rate, double rho, double epsilon);

/* For rules that are not written in C: state[0] = the gradient as a rule would get it, and the weights decay. */
fc_status fc_prepare_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate);
/* What follows a rule: the averages move, and overwrite the values if they are told to. */
fc_status fc_average_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options);
/* gathered += grad */
fc_status fc_gather_gradients(int64_t count, const fc_parameter *parameters);

/* ---- networks in files: docs/program-file.md ---------------------------------------------------- */

/* A network that Model.export wrote: its operations, its weights and, where it can be trained, its losses and its
 * optimizer. Predictions of one network may run in several threads at the same time, unless they draw random numbers;
 * all else by one thread at a time, and no prediction meanwhile. Each call uses several threads by itself. */
typedef struct fc_network fc_network;

enum { FC_ERROR_TEXT = 256 };

/* The network in a file, or in so many bytes of memory, which are copied. NULL where it is damaged or there is no
 * memory: then `error` says what is wrong. Everything in it is checked; nothing in it is executed. */
fc_network *fc_network_load(const char *path, char error[FC_ERROR_TEXT]);
fc_network *fc_network_read(const void *bytes, int64_t size, char error[FC_ERROR_TEXT]);
void fc_network_free(fc_network *network);

/* The same file again, with the weights of now. */
fc_status fc_network_save(fc_network *network, const char *path);
int64_t fc_network_size(const fc_network *network); /* bytes that fc_network_write writes */
void fc_network_write(const fc_network *network, void *bytes);

/* What is wrong, after a call that returned FC_INVALID. */
const char *fc_network_error(const fc_network *network);

/* Images of H x W x C numbers. A vector is 1 x 1 x C, with one axis; a sequence 1 x W x C, with two. */
typedef struct {
    int64_t H, W, C;
} fc_size;
typedef struct {
    fc_size size; /* of one image */
    int axes;
} fc_port;

/* Inputs, outputs and losses are numbered from 0, in the model's order. */
int fc_network_inputs(const fc_network *network);
int fc_network_outputs(const fc_network *network);
fc_port fc_network_input(const fc_network *network, int i);
fc_port fc_network_output(const fc_network *network, int i);

/* The outputs for N images. Arrays are (N, H, W, C). */
fc_status fc_network_predict(fc_network *network, int64_t N, const float *const *inputs, float *const *outputs);

/* What an output is compared with. */
typedef struct {
    fc_loss_kind kind;
    int output; /* its number */
    int labels; /* 1: class numbers (N, H, W); 0: rows (N, H, W, C) */
} fc_judgement;

/* 0 for a network that can only predict. */
int fc_network_losses(const fc_network *network);
fc_judgement fc_network_loss(const fc_network *network, int i);

typedef struct {
    double learning_rate;
    double momentum; /* of SGD and RMSprop; others have none */
    double l2;       /* loss += l2 sum w^2 over the kernels of convolutions and dense layers, besides the file's own */
} fc_training;

/* As the model was compiled. */
fc_training fc_network_training(const fc_network *network);

/* One step on N images: forward, the losses, backward, and the optimizer's rule. `targets` has an item for each loss.
 * `training`: NULL for that of the file. `outputs`: NULL where they are not wanted. *loss is the loss of the batch
 * before the step, penalties included. Where it fails the weights that learn stay as they are. */
fc_status fc_network_train_step(fc_network *network, int64_t N, const float *const *inputs, const fc_targets *targets,
                                const fc_training *training, float *const *outputs, double *loss);

#endif
