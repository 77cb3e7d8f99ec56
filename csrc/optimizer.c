/* optimizer.c - one step of gradient descent, in its common refinements. In place.
 *
 *     SGD       v = mu v - eta g                            value += v;    Nesterov: value += mu v - eta g
 *     Adam      m += (1 - beta1) (g - m)                    value -= eta sqrt(1 - beta2^t) / (1 - beta1^t)
 *               v += (1 - beta2) (g^2 - v)                           * m / (sqrt(v) + epsilon)
 *     AMSGrad   v_hat = max(v_hat, v)                       the same with v_hat in place of v
 *     Nadam     m, v as Adam                                value -= eta m_hat / (sqrt(v / (1 - beta2^t)) + epsilon)
 *                 m_hat = u_t1 m / (1 - u_product_1) + (1 - u_t) g / (1 - u_product)
 *     RMSprop   v = rho v + (1 - rho) g^2                   step = eta g / sqrt(v + epsilon), value -= step
 *     centered  a = rho a + (1 - rho) g                     the same with v - a^2 in place of v
 *     momentum  b = mu b + step                             value -= b
 *
 * The arithmetic is that of Keras 3, with its habit of keeping beta and its powers as floats: 1 - beta2^t is
 * 0.001 at first, and the float nearest to beta2 = 0.999 makes it 0.00099998713.
 *
 * What does not depend on the parameter is computed here, once, in double precision.
 */
#include <math.h>

#include "kernels.h"
#include "memory.h"
#include "threads.h"

/* Parameters in a task; and what one costs, in operations. */
enum { BLOCK = 1 << 13, COST = 10 };

void fc_sgd_update(int64_t n, float *value, const float *grad, float *velocity, double learning_rate, double momentum,
                   int nesterov) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_sgd rule = {(float)learning_rate, (float)momentum, nesterov};
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->sgd(&rule, i, fc_min(n, i + BLOCK), value, grad, velocity);
}

/* 1 - beta^t, beta and its power each rounded to a float. */
static double missing_weight(double beta, int64_t step) {
    return 1.0 - (double)(float)pow((double)(float)beta, (double)step);
}

void fc_adam_update(int64_t n, float *value, const float *grad, float *m, float *v, float *v_hat,
                    double learning_rate, double beta_1, double beta_2, double epsilon, int64_t step) {
    const fc_kernels *kernels = fc_kernels_active();
    const double unbiased = sqrt(missing_weight(beta_2, step)) / missing_weight(beta_1, step);
    const fc_adam rule = {(float)(learning_rate * unbiased), (float)(1.0 - beta_1), (float)(1.0 - beta_2),
                          (float)epsilon};
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->adam(&rule, i, fc_min(n, i + BLOCK), value, grad, m, v, v_hat);
}

void fc_nadam_update(int64_t n, float *value, const float *grad, float *m, float *v, double learning_rate,
                     double beta_1, double beta_2, double epsilon, double u_t, double u_t1, double u_product,
                     double u_product_1, int64_t step) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_nadam rule = {
        .mean_part = (float)(learning_rate * u_t1 / (1.0 - u_product_1)),
        .grad_part = (float)(learning_rate * (1.0 - u_t) / (1.0 - u_product)),
        .m_rate = 1.0f - (float)beta_1,
        .v_rate = 1.0f - (float)beta_2,
        .v_scale = (float)(1.0 / missing_weight(beta_2, step)),
        .epsilon = (float)epsilon,
    };
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t i = 0; i < n; i += BLOCK) kernels->nadam(&rule, i, fc_min(n, i + BLOCK), value, grad, m, v);
}

void fc_rmsprop_update(int64_t n, float *value, const float *grad, float *velocity, float *average_grad,
                       float *momentum_buffer, double learning_rate, double rho, double momentum, double epsilon) {
    const fc_kernels *kernels = fc_kernels_active();
    const fc_rmsprop rule = {(float)learning_rate, (float)rho, (float)(1.0 - rho), (float)momentum, (float)epsilon};
#pragma omp parallel for schedule(static) num_threads(fc_threads_for((double)n * COST))
    for (int64_t i = 0; i < n; i += BLOCK)
        kernels->rmsprop(&rule, i, fc_min(n, i + BLOCK), value, grad, velocity, average_grad, momentum_buffer);
}
