/* optimizer.c - one step of gradient descent, in its common refinements. In place.
 *
 *     SGD       v = mu v - eta g                            value += v;    Nesterov: value += mu v - eta g
 *     Adagrad   s += g^2                                    value -= eta g / sqrt(s + epsilon)
 *     RMSprop   v = rho v + (1 - rho) g^2                   step = eta g / sqrt(v + epsilon), value -= step
 *     centered  a = rho a + (1 - rho) g                     the same with v - a^2 in place of v
 *     momentum  b = mu b + step                             value -= b
 *     Adam      m += (1 - beta1) (g - m)                    value -= eta sqrt(1 - beta2^t) / (1 - beta1^t)
 *               v += (1 - beta2) (g^2 - v)                           * m / (sqrt(v) + epsilon)
 *     AMSGrad   v_hat = max(v_hat, v)                       the same with v_hat in place of v
 *     Adamax    m as Adam, u = max(beta2 u, |g|)            value -= eta / (1 - beta1^t) * m / (u + epsilon)
 *     Nadam     m, v as Adam                                value -= eta m_hat / (sqrt(v / (1 - beta2^t)) + epsilon)
 *                 m_hat = u_t1 m / (1 - u_product_1) + (1 - u_t) g / (1 - u_product)
 *     Adadelta  s = rho s + (1 - rho) g^2                   step = sqrt(d + epsilon) / sqrt(s + epsilon) g
 *               d = rho d + (1 - rho) step^2                value -= eta step, with the d from before
 *
 * Around the rule, whichever it is, in this order:
 *
 *     gathered gradients            g = (grad + gathered) scale, gathered = 0
 *     clipping by value c           g = min(max(g, -c), c)
 *     clipping by norm c            g = g c / max(|g|, c), |g| the norm of this parameter's gradient
 *     clipping by global norm c     the same, with the norm of all gradients together
 *     weight decay lambda           value -= eta lambda value
 *     the rule
 *     moving average                a += (1 - momentum) (value - a), and, now and then, value = a
 *
 * The arithmetic is that of Keras 3, with its habit of keeping beta and its powers as floats: 1 - beta2^t is
 * 0.001 at first, and the float nearest to beta2 = 0.999 makes it 0.00099998713.
 *
 * What does not depend on the parameter is computed here, once, in double precision. All parameters, one after
 * another, are cut into blocks; a block is the work of one thread, so that a thousand small parameters cost
 * no more than a large one. A norm is the sum over blocks, in their order, of each block's sum of squares.
 */
#include <math.h>

#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* What one number costs, in operations: few, since between two steps of a small network threads have gone to
 * sleep, and waking them takes longer than a quarter of a million numbers. */
enum { COST = 4 };

/* ---- all blocks of all parameters --------------------------------------------------------------- */

static int64_t block_count(int64_t count, const fc_parameter *parameters) {
    if (count == 0) return 0;
    const fc_parameter *last = &parameters[count - 1];
    return last->first_block + (last->n + FC_OPTIMIZER_BLOCK - 1) / FC_OPTIMIZER_BLOCK;
}

static int threads_for(int64_t blocks) { return fc_threads_for((double)blocks * FC_OPTIMIZER_BLOCK * COST); }

/* Numbers first <= i < end of one parameter. */
typedef struct {
    int64_t parameter, first, end;
} block_range;

static block_range range_of(int64_t block, int64_t count, const fc_parameter *parameters) {
    int64_t low = 0, high = count; /* the last parameter that does not begin after the block */
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (parameters[middle].first_block <= block)
            low = middle;
        else
            high = middle;
    }
    const int64_t first = (block - parameters[low].first_block) * FC_OPTIMIZER_BLOCK;
    return (block_range){low, first, fc_min(parameters[low].n, first + FC_OPTIMIZER_BLOCK)};
}

/* ---- norms -------------------------------------------------------------------------------------- */

static void sum_squares_of_blocks(const fc_kernels *kernels, int64_t count, const fc_parameter *parameters,
                                  double *sums) {
    const int64_t blocks = block_count(count, parameters);
#pragma omp parallel for schedule(static) num_threads(threads_for(blocks))
    for (int64_t block = 0; block < blocks; block++) {
        const block_range range = range_of(block, count, parameters);
        const fc_parameter *p = &parameters[range.parameter];
        sums[block] = kernels->sum_of_squares(range.end - range.first, p->grad + range.first,
                                              p->gathered ? p->gathered + range.first : NULL);
    }
}

/* What a gradient of this norm is multiplied by: by 1, or by less; by 0 if it is infinite, by NaN if it is that. */
static double clipping(double norm, double allowed) { return norm <= allowed ? 1 : allowed / norm; }

/* The factors of all parameters' gradients, from the sums of squares of the blocks. */
static void scales_from_norms(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                              const double *sums, float *scales) {
    const double scale = options->gradient_scale;
    const int64_t blocks = block_count(count, parameters);
    double all = 0;
    for (int64_t p = 0; p < count; p++) {
        const int64_t end = p + 1 < count ? parameters[p + 1].first_block : blocks;
        double sum = 0;
        for (int64_t block = parameters[p].first_block; block < end; block++) sum += sums[block];
        all += sum;
        scales[p] = (float)(scale * clipping(scale * sqrt(sum), options->clip_norm));
    }
    if (options->global_clip_norm > 0) {
        const double norm = scale * sqrt(all);
        const double factor = isinf(norm) ? NAN : clipping(norm, options->global_clip_norm);
        for (int64_t p = 0; p < count; p++) scales[p] = (float)(scale * factor);
    }
}

/* ---- a step ------------------------------------------------------------------------------------- */

/* The kernel on every block. `update` holds the rule. */
static fc_status run(const fc_kernels *kernels, fc_update_kernel *kernel, fc_update update, double learning_rate, int64_t count,
                     const fc_parameter *parameters, const fc_update_options *options) {
    const int64_t blocks = block_count(count, parameters);
    const int by_norm = options->clip_norm > 0 || options->global_clip_norm > 0;
    double *sums = NULL;
    float *scales = NULL;
    if (by_norm) {
        sums = malloc((size_t)fc_max(blocks, 1) * sizeof *sums);
        scales = fc_floats(count);
        if (!sums || !scales) {
            free(sums), fc_free(scales);
            return FC_OUT_OF_MEMORY;
        }
        sum_squares_of_blocks(kernels, count, parameters, sums);
        scales_from_norms(count, parameters, options, sums, scales);
    }
    update.limit = options->clip_value > 0 ? (float)options->clip_value : INFINITY;
    update.average_rate = 1.0f - (float)options->average_momentum;
    update.overwrite = options->overwrite;
#pragma omp parallel for schedule(static) num_threads(threads_for(blocks))
    for (int64_t block = 0; block < blocks; block++) {
        const block_range range = range_of(block, count, parameters);
        const fc_parameter *p = &parameters[range.parameter];
        fc_update u = update;
        u.value = p->value, u.grad = p->grad, u.gathered = p->gathered, u.average = p->average;
        for (int s = 0; s < FC_OPTIMIZER_STATES; s++) u.state[s] = p->state[s];
        u.scale = by_norm ? scales[range.parameter] : (float)options->gradient_scale;
        u.decay = p->decays ? (float)(learning_rate * options->weight_decay) : 0;
        kernel(&u, range.first, range.end);
    }
    free(sums), fc_free(scales);
    return FC_OK;
}

/* 1 - beta^t, beta and its power each rounded to a float. */
static double missing_weight(double beta, int64_t step) {
    return 1.0 - (double)(float)pow((double)(float)beta, (double)step);
}

fc_status fc_sgd_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                      double learning_rate, double momentum, int nesterov) {
    const fc_update update = {.rule.sgd = {(float)learning_rate, (float)momentum, nesterov}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->sgd, update, learning_rate, count, parameters, options);
}

fc_status fc_adagrad_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate, double epsilon) {
    const fc_update update = {.rule.adagrad = {(float)learning_rate, (float)epsilon}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->adagrad, update, learning_rate, count, parameters, options);
}

fc_status fc_rmsprop_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate, double rho, double momentum, double epsilon) {
    const fc_update update = {
        .rule.rmsprop = {(float)learning_rate, (float)rho, (float)(1.0 - rho), (float)momentum, (float)epsilon}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->rmsprop, update, learning_rate, count, parameters, options);
}

fc_status fc_adam_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                       double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step) {
    const double unbiased = sqrt(missing_weight(beta_2, step)) / missing_weight(beta_1, step);
    const fc_update update = {.rule.adam = {(float)(learning_rate * unbiased), (float)(1.0 - beta_1),
                                            (float)(1.0 - beta_2), (float)epsilon}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->adam, update, learning_rate, count, parameters, options);
}

fc_status fc_adamax_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                         double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step) {
    const fc_update update = {.rule.adamax = {(float)(learning_rate / missing_weight(beta_1, step)),
                                              (float)(1.0 - beta_1), (float)beta_2, (float)epsilon}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->adamax, update, learning_rate, count, parameters, options);
}

fc_status fc_nadam_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                        double learning_rate, double beta_1, double beta_2, double epsilon, double u_t, double u_t1,
                        double u_product, double u_product_1, int64_t step) {
    const fc_update update = {.rule.nadam = {
                                  .mean_part = (float)(learning_rate * u_t1 / (1.0 - u_product_1)),
                                  .grad_part = (float)(learning_rate * (1.0 - u_t) / (1.0 - u_product)),
                                  .m_rate = 1.0f - (float)beta_1,
                                  .v_rate = 1.0f - (float)beta_2,
                                  .v_scale = (float)(1.0 / missing_weight(beta_2, step)),
                                  .epsilon = (float)epsilon,
                              }};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->nadam, update, learning_rate, count, parameters, options);
}

fc_status fc_adadelta_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                           double learning_rate, double rho, double epsilon) {
    const fc_update update = {
        .rule.adadelta = {(float)learning_rate, (float)rho, (float)(1.0 - rho), (float)epsilon}};
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->adadelta, update, learning_rate, count, parameters, options);
}

/* ---- parts of a step ---------------------------------------------------------------------------- */

fc_status fc_prepare_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options,
                          double learning_rate) {
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->prepare_step, (fc_update){0}, learning_rate, count, parameters, options);
}

static const fc_update_options nothing_around = {.gradient_scale = 1};

fc_status fc_average_step(int64_t count, const fc_parameter *parameters, const fc_update_options *options) {
    fc_update_options averaging = nothing_around;
    averaging.average_momentum = options->average_momentum, averaging.overwrite = options->overwrite;
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->average_step, (fc_update){0}, 0, count, parameters, &averaging);
}

fc_status fc_gather_gradients(int64_t count, const fc_parameter *parameters) {
    const fc_kernels *kernels = fc_kernels_active();
    return run(kernels, kernels->gather_gradients, (fc_update){0}, 0, count, parameters, &nothing_around);
}
