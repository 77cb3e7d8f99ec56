/* kernels.h - the table of vector kernels that each instruction set fills in.
 *
 * A kernel is a leaf: no threads, no allocation, no question of which CPU this is. The drivers (the
 * .c files named after an operation) split the work, own the memory and call kernels through this
 * table. The kernels themselves are written once, in the *_kernel.h files, and compiled once per
 * instruction set by the isa_*.c files.
 */
#ifndef FASTCONV_KERNELS_H
#define FASTCONV_KERNELS_H

#include <math.h>
#include <stdint.h>

#include "fastconv.h"
#include "size.h"

/* A sum of products over runs of consecutive floats: what a convolution or a matrix product needs
 * to know besides its operands.  See tile_kernel.h. */
typedef struct {
    int64_t runs;           /* how many runs */
    const int64_t *offset;  /* where each begins, in floats from the first pixel's pointer */
    int64_t length;         /* floats in each */
    int64_t x_step;         /* floats from one output pixel's run to the next pixel's */
    int64_t turn, skip;     /* product_tile only, where tile_turns: floats more to pixels `turn` and later */
    int64_t w_step;         /* floats from one row of weights to the next */
    int64_t w_skip;         /* bundle_tiles only: floats of weights between one run's and the next's */
    int64_t y_step;         /* floats from one output pixel to the next */
    int64_t bias_step;      /* the same of what the sums begin with: 0 for one bias, y_step to go on with y */
} fc_product;

/* Pixels for a sum of outer products: images of rows of pixels, each at a constant step. */
typedef struct {
    int fresh; /* the sums begin at zero, not at what is there */
    int64_t images, rows, pixels;
    int64_t x_image, x_row, x_step;
    int64_t dy_image, dy_row, dy_step;
    int64_t leaf; /* outer_tile only, with fresh: so many pixels are a leaf of the tree of tree.h; 0: all of them */
} fc_pixels;

enum { FC_ROW_VECTORS = 8, FC_MOST_LANES = 16 }; /* in a tile of row_tile, and in a vector of any instruction set */

/* The outputs of a tile of conv2d_winograd.c: 4 x 4, or at an image's edge as few as are left. */
typedef struct {
    int rows, columns;
} fc_winograd_tile;

/* Whether an axis of 1 to 4 outputs has one of the positions 0, 1, -1, 2, -2 and infinity: two more than outputs. */
static inline int fc_winograd_has(int outputs, int position) {
    static const int8_t has[5][6] = {
        {0}, {0, 1, 1, 0, 0, 1}, {1, 1, 1, 0, 0, 1}, {0, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}};
    return has[outputs][position];
}

/* The tap that won each window: in 16 bits, or in 32 where a window is a whole image. The other is NULL. */
typedef struct {
    uint16_t *narrow;
    int32_t *wide;
} fc_switches;

/* An optimizer's rule, all that does not depend on the parameter worked out; see optimizer.c. */
typedef struct {
    float learning_rate, momentum;
    int nesterov;
} fc_sgd;
typedef struct {
    float learning_rate, epsilon;
} fc_adagrad;
typedef struct {
    float learning_rate, rho, rate, momentum, epsilon; /* rate = 1 - rho */
} fc_rmsprop;
typedef struct {
    float learning_rate; /* times the corrections of both means' start at zero */
    float m_rate, v_rate, epsilon;
} fc_adam;
typedef struct {
    float learning_rate; /* times the correction of the mean's start at zero */
    float m_rate, fading, epsilon;
} fc_adamax;
typedef struct {
    float mean_part, grad_part; /* how much of m and of g is in the step */
    float m_rate, v_rate, v_scale, epsilon;
} fc_nadam;
typedef struct {
    float learning_rate, rho, rate, epsilon; /* rate = 1 - rho */
} fc_adadelta;

/* One parameter's step: its arrays, what is done to gradient and value around the rule, and the rule. */
typedef struct {
    float *value;
    const float *grad;
    float *state[FC_OPTIMIZER_STATES], *gathered, *average; /* NULL for what is not kept */
    float scale, limit;                                     /* g = grad scale, between -limit and limit */
    float decay;                                            /* learning rate times weight decay */
    float average_rate;
    int overwrite;
    union {
        fc_sgd sgd;
        fc_adagrad adagrad;
        fc_rmsprop rmsprop;
        fc_adam adam;
        fc_adamax adamax;
        fc_nadam nadam;
        fc_adadelta adadelta;
    } rule;
} fc_update;

/* Does it to the numbers first <= i < end of the parameter. */
typedef void fc_update_kernel(const fc_update *update, int64_t first, int64_t end);

/* See threefry.h. */
typedef struct {
    uint32_t k0, k1;
} fc_random_key;

/* Which numbers stay, and what becomes of them; see dropout.c. */
typedef struct {
    uint32_t threshold;
    float scale, shift, fill;
} fc_dropout_rule;

/* Of every -log p in a loss, as where p is clipped. */
typedef struct {
    float least, most;
} fc_limits;
static const fc_limits FC_NO_LIMITS = {-INFINITY, INFINITY};

/* See penalty.c; scale is the gradient's. */
typedef struct {
    float l1, l2, scale;
} fc_penalty;

/* What each column of y is made with: y = phi((x - mean) scale + shift + residual). phi is one whose derivative is made
 * of y. */
typedef struct {
    const float *mean, *scale, *shift;
    fc_activation activation;
    float alpha;
} fc_normalisation;

/* What each column of dx is made with: dx = scale (dy - mean_dy - slope (x - mean)); see batch_norm.c. In row_norm.c
 * scale belongs to dy alone. */
typedef struct {
    const float *mean, *scale, *mean_dy, *slope;
} fc_norm_gradient;

/* Rows of outputs of a depthwise convolution, or of their gradients: depthwise_kernel.h. */
typedef struct {
    int64_t taps;
    const int64_t *offset;  /* where each tap's pixels begin, in floats from the first output's pointer */
    int64_t rows, length;   /* rows of `length` floats */
    int64_t x_row, y_row;   /* floats from one row to the next: of what the taps see, and of outputs */
    int64_t period;         /* floats after which the weights repeat */
    int64_t x_step, y_step; /* and from a period to the next in what the taps see, and in outputs; `length` has no gaps */
    int roomy;              /* a vector may be read past what the taps see, and past dy */
} fc_depthwise_rows;

enum { FC_SHORT_ROW = 64 }; /* numbers in a row of normalise_short_rows */

enum { FC_CONNECTED_PIXELS = 12 }; /* in a tile of connected_kernel.h */

/* Of a Winograd tile in a bundle: its channels, and how many of its outputs are inside the image; y_row in vectors. */
typedef struct {
    int64_t K, rows, columns, y_row;
} fc_bundle_tile;

/* Of its 6 x 6 inputs: channels, those rows and columns that are inside the image; dx_row in vectors. */
typedef struct {
    int64_t C, first_row, end_row, first_column, end_column, dx_row;
} fc_bundle_patch;

/* Some neighbouring pooling windows in a bundle, steps in vectors: see bundle_kernel.h. */
typedef struct {
    int64_t pixels, C; /* of the output row */
    int64_t size_h, size_w;
    int64_t x_step;        /* from one window's input to the next window's */
    int64_t x_row, dx_row; /* from one input row to the next */
    int adds;              /* gradients are added to dx: windows may overlap */
} fc_bundle_pool;

typedef struct {
    const char *name;
    int lanes;       /* floats in a vector */
    int tile_pixels; /* most pixels (or rows of dkernel) that a register tile holds */
    int tile_lanes;  /* most channels that a register tile holds: two vectors */
    int tile_turns;  /* whether product_tile's pixels may begin in one row of an image and end in the next */

    /* y[p, k] = bias[p*bias_step + k] + sum over runs r, j of x[p*x_step + offset[r] + j] w[(r*length + j)*w_step + k]
     * for p < pixels <= tile_pixels, k < channels <= tile_lanes; w and bias readable to a whole vector. */
    void (*product_tile)(const fc_product *product, int pixels, int channels, const float *x, const float *w,
                         const float *bias, float *y);

    /* dw[j, k] += sum over pixels p of x[p, j] dy[p, k], or = where pixels->fresh
     * for j < rows <= tile_pixels, k < channels <= tile_lanes; dy readable to a whole vector. */
    void (*outer_tile)(const fc_pixels *pixels, int rows, int channels, const float *x, const float *dy,
                       float *dw, int64_t dw_step);

    /* y[c] = sum over k of w[c, k] x[k], c < rows <= lanes, rows of w w_step apart */
    void (*dot_rows)(int rows, int64_t K, const float *w, int64_t w_step, const float *x, float *y);

    /* y[k] = bias[k] + sum over c of x[c] w[c, k], k < channels <= FC_ROW_VECTORS * lanes; w and bias readable to a
     * whole vector. */
    void (*row_tile)(int64_t C, int channels, const float *x, const float *w, int64_t w_step, const float *bias,
                     float *y);

    /* sums[i] += the lanes of vector i, added up */
    void (*sum_lanes)(int64_t n, const float *vectors, float *sums);

    /* to[j, i] = from[i, j], i < rows, j < columns; and 0 for rows <= i < width <= lanes. untranspose is the way
     * back, from[j, i] to to[i, j]. */
    void (*transpose)(int rows, int width, int64_t columns, const float *from, int64_t from_step, float *to,
                      int64_t to_step);
    void (*untranspose)(int rows, int64_t columns, const float *from, int64_t from_step, float *to, int64_t to_step);

    /* The transforms of conv2d_winograd.c. Pixels and taps are pointers to C (or `channels`) floats each, `ahead`
     * those of a later call; the transformed side is 36 blocks of as many floats, `step` apart. Of an input's pixels
     * 6 are a row, of an output's 4. */
    void (*winograd_input)(fc_winograd_tile tile, const float *const *pixel, const float *const *ahead, int64_t C,
                           float *to, int64_t step);
    void (*winograd_gradient)(fc_winograd_tile tile, const float *const *pixel, const float *const *ahead, int64_t C,
                              float *to, int64_t step);
    void (*winograd_weights)(const float *const *tap, const float *const *ahead, int64_t C, float *to, int64_t step);
    void (*winograd_output)(fc_winograd_tile tile, const float *from, int64_t step, const float *bias, int channels,
                            float *const *pixel, float *const *ahead);
    void (*winograd_weights_gradient)(const float *from, int64_t step, int channels, float *const *tap,
                                      float *const *ahead, int fresh);

    /* The same two sums with a vector of images in place of each float of x, y and dy: bundle_kernel.h. Steps
     * and offsets count vectors; dw is a vector for each element. A tile has at most bundle_pixels by bundle_channels
     * sums, or bundle_wide_pixels by bundle_wide_channels; bundle_tiles takes any number of pixels. */
    int bundle_pixels, bundle_channels, bundle_wide_pixels, bundle_wide_channels;
    void (*bundle_tiles)(const fc_product *product, int64_t pixels, int channels, const float *x, const float *w,
                         const float *bias, float *y);
    void (*bundle_outer_tile)(const fc_pixels *pixels, int rows, int channels, const float *x, const float *dy,
                              float *dw, int64_t dw_step);
    /* The transforms of Winograd tiles of a bundle, kernels of side x side: bundle_winograd_kernel.h. The first two
     * give pair 0, 1 or 2 of the six rows of positions: 0 and 5, 1 and 2, 3 and 4; the third takes one back to the
     * data's gradient, and adds to it. */
    void (*bundle_winograd_input)(int pair, int64_t C, const float *x, int64_t x_row, float *to_r, float *to_q,
                                  int64_t step);
    void (*bundle_winograd_gradient)(int side, int pair, int64_t K, const float *dy, int64_t dy_row, float *to_r,
                                     float *to_q, int64_t step);
    void (*bundle_winograd_input_gradient)(int pair, const fc_bundle_patch *patch, const float *from_r,
                                           const float *from_q, int64_t step, float *dx);
    void (*bundle_winograd_output)(int side, const fc_bundle_tile *tile, const float *from, int64_t step,
                                   const float *bias, float *y);
    void (*bundle_winograd_weights)(int side, int64_t K, const float *kernel, int64_t tap, float *to, int64_t step);
    void (*bundle_winograd_weights_gradient)(int side, int64_t K, const float *from, int64_t step, float *dkernel,
                                             int64_t tap);
    void (*bundle_max_pool)(const fc_bundle_pool *pool, const float *x, float *y);
    void (*bundle_max_pool_backward)(const fc_bundle_pool *pool, const float *x, const float *y, const float *dy,
                                     float *dx);
    void (*bundle_avg_pool)(const fc_bundle_pool *pool, const float *x, float *y);
    void (*bundle_avg_pool_backward)(const fc_bundle_pool *pool, const float *dy, float *dx);

    /* And with maps and filters that are not all connected, tiles of FC_CONNECTED_PIXELS by 1, and of bundle_pixels
     * taps by bundle_channels filters: connected_kernel.h. */
    void (*connected_tile)(const fc_product *product, const int64_t *reach, int pixels, const float *x, const float *w,
                           float bias, float *y);
    void (*connected_outer_tile)(const fc_pixels *pixels, int64_t tap_step, const int64_t *filter, int taps,
                                 int filters, const float *x, const float *dy, float *dw, int64_t dw_step);

    /* y[r*y_row + p*y_step + j] = bias[j] + sum over taps t of x[r*x_row + offset[t] + p*x_step + j] w[t, j] for rows r,
     * periods p and j < period;  sums[t, j] += the sum over rows and periods of x[r*x_row + offset[t] + p*x_step + j]
     * dy[r*y_row + p*y_step + j]. The last period may be cut. */
    void (*depthwise_rows)(const fc_depthwise_rows *rows, const float *x, const float *w, const float *bias, float *y);
    void (*depthwise_gradient)(const fc_depthwise_rows *rows, const float *x, const float *dy, float *sums);

    /* y = a with b, and dy times the derivative by a or, where `second`, by b; n numbers, steps 1, or one of them 0 */
    void (*combine)(fc_elementwise kind, int64_t n, const float *a, int64_t a_step, const float *b, int64_t b_step,
                    float *y);
    void (*combine_gradient)(fc_elementwise kind, int second, int64_t n, const float *dy, const float *a,
                             int64_t a_step, const float *b, int64_t b_step, float *to);
    /* y = scale x + shift */
    void (*scale_shift)(int64_t n, float scale, float shift, const float *x, float *y);

    /* y[k] = |x - w[k]|^2, rows of C floats;  to[c] = sum over rows of 2 weight[r*weight_step] (a[c] - from[r, c]) */
    void (*squared_distances)(int64_t C, int64_t K, const float *x, const float *w, float *y);
    void (*weighted_differences)(int64_t C, int64_t rows, const float *weight, int64_t weight_step, const float *a,
                                 const float *from, float *to);

    /* sums[k] += a[0, k] + a[1, k] + ... + a[rows-1, k], in that order */
    void (*add_rows)(int64_t rows, int64_t K, const float *a, float *sums);

    /* Rows [first, first + rows) of all images' outputs (forward) or inputs (backward). Pointers are to the
     * start of the arrays. Without switches max_pool keeps none. */
    void (*max_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y,
                     fc_switches switches);
    void (*max_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy,
                              fc_switches switches, float *dx);
    void (*avg_pool)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *x, float *y);
    void (*avg_pool_backward)(const fc_pool2d *pool, int64_t first, int64_t rows, const float *dy, float *dx);

    /* y = phi(x), dx = dy phi'(x), of n elements; `kept` is y or x */
    void (*activate)(fc_activation kind, float alpha, int64_t n, const float *x, float *y);
    void (*activate_backward)(fc_activation kind, float alpha, int64_t n, const float *dy, const float *kept,
                              float *dx);

    /* Rows of `width` floats, a column for each slope. sums[j] = the sum over rows of dy x where x < 0 */
    void (*prelu)(int64_t rows, int64_t width, const float *x, const float *alpha, float *y);
    void (*prelu_backward)(int64_t rows, int64_t width, const float *dy, const float *x, const float *alpha, float *dx,
                           float *sums);

    /* Rows of `width` floats, each column by itself: batch_norm_kernel.h. */
    void (*moments)(int64_t rows, int64_t width, const float *x, float *about, float *sum, float *squares);
    /* sum += x - from, and squares += its square */
    void (*distance_sums)(int64_t rows, int64_t width, const float *x, const float *from, float *sum, float *squares);
    /* residual may be NULL: none is added */
    void (*normalise)(int64_t rows, int64_t width, const float *x, const fc_normalisation *columns,
                      const float *residual, float *y);
    void (*gradient_sums)(int64_t rows, int64_t width, const float *dy, const float *x, const float *mean, float *sum,
                          float *products);
    /* dy = dy phi'(y), and then those sums */
    void (*sloped_gradient_sums)(fc_activation kind, float alpha, int64_t rows, int64_t width, float *dy,
                                 const float *y, const float *x, const float *mean, float *sum, float *products);
    void (*normalise_backward)(int64_t rows, int64_t width, const float *dy, const float *x,
                               const fc_norm_gradient *columns, float *dx);

    /* One row, shifted and scaled by its own sums: row_norm_kernel.h. gamma and beta, dgamma and dbeta may be NULL. */
    void (*row_squares)(int64_t n, const float *x, float from, double sums[2]);
    void (*normalise_row)(int64_t n, const float *x, float mean, float inverse, const float *gamma, const float *beta,
                          float *y);
    void (*row_gradient_sums)(int64_t n, const float *dy, const float *x, float mean, float inverse,
                              const float *gamma, double sums[2], float *dgamma, float *dbeta);
    void (*normalise_row_backward)(int64_t n, const float *dy, const float *x, float mean, float inverse,
                                   const float *gamma, float shift, float slope, float *dx);
    /* `count` <= lanes rows of at most FC_SHORT_ROW numbers; dgamma and dbeta (W, lanes) += */
    void (*normalise_short_rows)(const fc_row_norm *norm, int64_t count, const float *x, const float *gamma,
                                 const float *beta, float *y, float *mean, float *inverse);
    void (*normalise_short_rows_backward)(const fc_row_norm *norm, int64_t count, const float *dy, const float *x,
                                          const float *mean, const float *inverse, const float *gamma, float *dx,
                                          float *dgamma, float *dbeta);
    void (*normalise_group_backward)(int64_t rows, int64_t C, const float *dy, const float *x,
                                     const fc_norm_gradient *channels, float *dx);

    /* y = u a + v b;  y += u x;  and a row of pixels of C floats, each blended from two: resample_kernel.h. */
    void (*blend)(int64_t n, float u, const float *a, float v, const float *b, float *y);
    void (*add_scaled)(int64_t n, float u, const float *x, float *y);
    void (*resample_row)(const fc_resample_axis *axis, int64_t C, const float *x, float *y);
    void (*resample_row_backward)(const fc_resample_axis *axis, int64_t C, const float *dy, float *dx);

    /* Rows of C scores. cross_entropy gives each row's loss, and its gradient times scale and the row's weight. Limits
     * do not change gradients. */
    void (*softmax)(int64_t rows, int64_t C, const float *x, float *p);
    void (*softmax_backward)(int64_t rows, int64_t C, const float *dp, const float *p, float *dx);
    void (*log_softmax)(int64_t rows, int64_t C, const float *x, float *y);
    void (*log_softmax_backward)(int64_t rows, int64_t C, const float *dy, const float *y, float *dx);
    void (*cross_entropy)(int64_t rows, int64_t C, const float *logits, fc_targets targets, float scale,
                          fc_limits limits, float *losses, float *dlogits);
    /* Losses of n numbers x with targets t, any but softmax's: returns their sum; gradient = scale times the slopes. */
    double (*loss)(fc_loss_kind kind, float delta, fc_limits limits, int64_t n, const float *x, const float *t,
                   float scale, float *gradient);

    /* Words of n places of an image from `first` on, a multiple of FC_RANDOM_BLOCK; of so many images in the lanes, from
     * `image` on, and then vectors. There is room for n rounded up to FC_RANDOM_BLOCK. */
    void (*random_words)(fc_random_key key, uint32_t image, int64_t first, int64_t n, uint32_t *words);
    void (*bundle_random_words)(fc_random_key key, uint32_t image, int64_t first, int64_t n, uint32_t *words);
    /* y = scale x + shift, or fill, of n numbers; words readable to a whole vector */
    void (*drop)(const fc_dropout_rule *rule, int64_t n, const uint32_t *words, const float *x, float *y);

    /* sums[0] += |x|, sums[1] += x^2, grad += its slope (or NULL), of n elements */
    void (*penalize)(const fc_penalty *penalty, int64_t n, const float *x, float *grad, double sums[2]);

    /* Rows [first, first + rows) of all images' outputs; `outside` is a pixel of the fill value. Backward, dx of
     * image n. Pointers are to the start of the arrays. */
    void (*affine)(const fc_affine *affine, int64_t first, int64_t rows, const float *x, const float *outside,
                   float *y);
    void (*affine_backward)(const fc_affine *affine, int64_t n, const float *dy, float *dx);

    /* The optimizers' rules with all that goes on around them, and the parts that are also needed alone. */
    fc_update_kernel *sgd, *adagrad, *rmsprop, *adam, *adamax, *nadam, *adadelta;
    fc_update_kernel *prepare_step, *average_step, *gather_gradients;
    /* of (grad + gathered)^2, where gathered may be NULL */
    double (*sum_of_squares)(int64_t n, const float *grad, const float *gathered);

    /* rounds x 2 x 12 x lanes multiply-adds in registers; returns something that depends on all of them */
    float (*fma_burst)(int64_t rounds);
} fc_kernels;

extern const fc_kernels fc_kernels__baseline, fc_kernels__avx2, fc_kernels__avx512, fc_kernels__neon;

const fc_kernels *fc_kernels_active(void);

/* What batch norm sums over rows of C, in double precision: mean and sum of squares of distances from it; of
 * dy phi'(y), which replaces dy, the sum, and that of its products with x - mean. And dx of some of the m rows that dgamma and dbeta are of. */
fc_status fc_wide_moments(int64_t rows, int64_t C, const float *x, double *mean, double *squares);
fc_status fc_wide_gradient_sums(int64_t rows, int64_t C, const fc_ending *ending, float *dy, const float *y,
                                const float *x, const float *mean, double *sums, double *products);
fc_status fc_batch_norm_backward_rows(double m, int64_t rows, int64_t C, const float *dy, const float *x,
                                      const float *mean, const float *variance, const float *gamma,
                                      const float *dgamma, const float *dbeta, double epsilon, float *dx);

/* A multiplication and an addition for every tap of every output; any of the three passes. */
static inline double fc_conv2d_operations(const fc_conv2d *conv) {
    return 2.0 * (double)conv->N * (double)conv->OH * (double)conv->OW * (double)conv->C_out * (double)conv->KH *
           (double)conv->KW * (double)(conv->C_in / conv->groups);
}

/* At least as large as any pixel's number along an axis: of the image, or in the padding around it. */
static inline int64_t fc_span(int64_t n, int64_t outputs, int64_t taps, int64_t stride, int64_t dilation, int64_t pad) {
    const int64_t reach = fc_plus(fc_times(outputs, stride), fc_times(taps, dilation));
    return fc_plus(fc_plus(reach, fc_plus(n, outputs)), pad < 0 ? -pad : pad);
}

/* Whether a convolution's sizes fit: its arrays, patches and places; and if it copies `strips`, of all pixels from the
 * first to the last that an output sees, those. */
static inline int fc_conv2d_fits(const fc_conv2d *conv, int strips) {
    enum { TILE = 2 * FC_MOST_LANES };
    const int64_t rows =
        fc_span(conv->H, conv->OH, conv->KH, conv->stride_h, conv->dilation_h, conv->pad_top);
    const int64_t columns =
        fc_span(conv->W, conv->OW, conv->KW, conv->stride_w, conv->dilation_w, conv->pad_left);
    const int64_t N = fc_plus(conv->N, TILE), C = fc_plus(conv->C_in, TILE), K = fc_plus(conv->C_out, TILE);
    return fc_fits(rows) && fc_fits(columns) && fc_fits(N, conv->H, conv->W, C) && fc_fits(N, conv->OH, conv->OW, K) &&
           fc_fits(conv->KH, conv->KW, C, K) && fc_fits(conv->OH, conv->OW, conv->KH, conv->KW, C) &&
           (!strips || fc_fits(N, rows, columns, fc_plus(C, K)));
}

#endif
