/* lanes_elementwise.c - what is done to a bundle number by number, or moves its pixels.
 *
 *     activation    y = phi(x)                                   dx = dy phi'(x)
 *     prelu         y = x, or alpha[h, w, c] x where x < 0       dx = dy, or alpha dy; dalpha = the sum of dy x where x < 0
 *     scale         y = scale x + shift                          dx = scale dy
 *     elementwise   y = phi(a + b), a - b, a b, ...              see ../elementwise.c
 *     concatenate   y[h, w] = a[h, w], b[h, w], ...              each its own channels of dy
 *     pad           y[h, w] = x[h - top, w - left], or 0         dx[h, w] = dy[h + top, w + left], or 0
 *     upsample      y[h, w] = x[h / KH, w / KW], rounded down    dx[h, w] = the sum of dy over KH x KW pixels
 *     reshape       vectors in the same order                    and back
 *
 * A vector of images is for all of these what a number is elsewhere.
 */
#include "lanes.h"

/* ---- number by number --------------------------------------------------------------------------- */

int fc_lanes_activation_needs(const fc_op *op) {
    return op->activation == FC_LINEAR ? 0 : fc_of_output(op->activation) ? FC_NEEDS_Y : FC_NEEDS_X;
}

fc_status fc_lanes_activation_forward(const fc_work *work) {
    const fc_op *op = work->op;
    for (int64_t h = 0; h < op->y.H; h++)
        work->kernels->activate(op->activation, op->alpha, fc_row_floats(work, op->y), fc_row_of(work, work->x[0], h),
                                fc_row_of(work, work->y, h));
    return FC_OK;
}

fc_status fc_lanes_activation_backward(const fc_work *work) {
    const fc_op *op = work->op;
    if (!work->dx[0].at) return FC_OK;
    const int needs = fc_lanes_activation_needs(op);
    const fc_view kept = needs == FC_NEEDS_X ? work->x[0] : needs == FC_NEEDS_Y ? work->y : work->dy;
    for (int64_t h = 0; h < op->y.H; h++)
        work->kernels->activate_backward(op->activation, op->alpha, fc_row_floats(work, op->y),
                                         fc_row_of(work, work->dy, h), fc_row_of(work, kept, h),
                                         fc_row_of(work, work->dx[0], h));
    return FC_OK;
}

/* ---- a slope for each number of an image -------------------------------------------------------- */

int fc_lanes_prelu_needs(const fc_op *op) {
    (void)op;
    return FC_NEEDS_X;
}

/* Slopes, each for all lanes. */
int64_t fc_lanes_prelu_packed_size(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)backward;
    return fc_times(fc_size_of(op->y), kernels->lanes);
}

void fc_lanes_prelu_pack(const fc_work *work, int backward) {
    (void)backward;
    const int64_t V = work->kernels->lanes, n = fc_size_of(work->op->y);
    for (int64_t i = fc_part(n, work->team, work->member); i < fc_part(n, work->team, work->member + 1); i++)
        for (int64_t l = 0; l < V; l++) work->packed[i * V + l] = work->op->weight[0][i];
}

/* A row of products, and one of a dx that nobody wants. */
int64_t fc_lanes_prelu_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images;
    return backward ? 2 * op->y.W * op->y.C * kernels->lanes : 0;
}

fc_status fc_lanes_prelu_forward(const fc_work *work) {
    const int64_t row = fc_row_floats(work, work->op->y);
    for (int64_t h = 0; h < work->op->y.H; h++)
        work->kernels->prelu(1, row, fc_row_of(work, work->x[0], h), work->packed + h * row,
                             fc_row_of(work, work->y, h));
    return FC_OK;
}

fc_status fc_lanes_prelu_backward(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t row = fc_row_floats(work, op->y), slopes = op->y.W * op->y.C;
    for (int64_t h = 0; h < op->y.H; h++) {
        float *dx = work->dx[0].at ? fc_row_of(work, work->dx[0], h) : work->scratch + row;
        work->kernels->prelu_backward(1, row, fc_row_of(work, work->dy, h), fc_row_of(work, work->x[0], h),
                                      work->packed + h * row, dx, work->scratch);
        if (op->gradient[0]) work->kernels->sum_lanes(slopes, work->scratch, work->sums + h * slopes);
    }
    return FC_OK;
}

int64_t fc_lanes_prelu_sums_size(const fc_kernels *kernels, const fc_op *op) {
    (void)kernels;
    return op->gradient[0] ? fc_size_of(op->y) : 0;
}

void fc_lanes_prelu_finish(const fc_kernels *kernels, const fc_op *op, const float *sums) {
    (void)kernels;
    if (op->gradient[0]) fc_copy(op->gradient[0], sums, fc_size_of(op->y));
}

/* ---- scaled ------------------------------------------------------------------------------------- */

static void scale_rows(const fc_work *work, float shift, fc_view from, fc_view to) {
    for (int64_t h = 0; h < work->op->y.H; h++)
        work->kernels->scale_shift(fc_row_floats(work, work->op->y), work->op->scale, shift, fc_row_of(work, from, h),
                                   fc_row_of(work, to, h));
}

fc_status fc_lanes_scale_forward(const fc_work *work) {
    scale_rows(work, work->op->shift, work->x[0], work->y);
    return FC_OK;
}

fc_status fc_lanes_scale_backward(const fc_work *work) {
    if (work->dx[0].at) scale_rows(work, 0, work->dy, work->dx[0]);
    return FC_OK;
}

/* ---- two operands, each of which may be repeated along rows or columns -------------------------- */

/* Not along channels, where it would be a vector that is repeated. Not divided: lanes without an image would make
 * infinities of their zeros. */
int fc_lanes_elementwise_takes(const fc_kernels *kernels, const fc_op *op, int backward) {
    (void)kernels, (void)backward;
    return op->elementwise != FC_DIVIDE && op->inputs == 2 && op->x[0].C == op->y.C && op->x[1].C == op->y.C;
}

int fc_lanes_elementwise_needs(const fc_op *op) { return fc_elementwise_needs(op); }

static int repeats_rows(const fc_op *op, int i) { return op->x[i].H < op->y.H; }
static int repeats_columns(const fc_op *op, int i) { return op->x[i].W < op->y.W; }

/* Where operand i of the row's pixels from w on is; NULL where there is none. */
static const float *operand_at(const fc_work *work, int i, int64_t h, int64_t w) {
    const fc_op *op = work->op;
    if (!work->x[i].at) return NULL;
    return fc_row_of(work, work->x[i], repeats_rows(op, i) ? 0 : h) +
           (repeats_columns(op, i) ? 0 : w) * op->y.C * work->kernels->lanes;
}

/* How many pixels of a row are done in one call: all, or one where an operand is repeated along the row. */
static int64_t pixels_at_once(const fc_op *op) {
    return repeats_columns(op, 0) || repeats_columns(op, 1) ? 1 : op->y.W;
}

fc_status fc_lanes_elementwise_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t count = pixels_at_once(op), pixel = op->y.C * work->kernels->lanes;
    for (int64_t h = 0; h < op->y.H; h++) {
        float *row = fc_row_of(work, work->y, h);
        for (int64_t w = 0; w < op->y.W; w += count)
            work->kernels->combine(op->elementwise, count * pixel, operand_at(work, 0, h, w), 1,
                                   operand_at(work, 1, h, w), 1, row + w * pixel);
        if (op->activation != FC_LINEAR)
            work->kernels->activate(op->activation, op->alpha, fc_row_floats(work, op->y), row, row);
    }
    return FC_OK;
}

/* A row of gradients before it is summed. */
int64_t fc_lanes_elementwise_scratch_size(const fc_kernels *kernels, const fc_op *op, int64_t images, int backward) {
    (void)images;
    return backward ? op->y.W * op->y.C * kernels->lanes : 0;
}

static void operand_gradient(const fc_work *work, int i) {
    const fc_op *op = work->op;
    const fc_kernels *kernels = work->kernels;
    const int64_t count = pixels_at_once(op), pixel = op->y.C * kernels->lanes, W = op->y.W;
    const int summed = repeats_rows(op, i) || repeats_columns(op, i);
    if (summed) fc_clear_rows(work, work->dx[i], op->x[i]);
    for (int64_t h = 0; h < op->y.H; h++) {
        const float *dy = fc_row_of(work, work->dy, h);
        float *dx = fc_row_of(work, work->dx[i], repeats_rows(op, i) ? 0 : h), *row = summed ? work->scratch : dx;
        for (int64_t w = 0; w < W; w += count) {
            /* Where values do not matter, none may be there: any will do. */
            const float *a = operand_at(work, 0, h, w), *b = operand_at(work, 1, h, w);
            kernels->combine_gradient(op->elementwise, i, count * pixel, dy + w * pixel, a ? a : dy + w * pixel, 1,
                                      b ? b : dy + w * pixel, 1, row + w * pixel);
        }
        if (repeats_columns(op, i)) kernels->add_rows(W, pixel, row, dx);
        else if (summed) kernels->add_rows(1, W * pixel, row, dx);
    }
}

fc_status fc_lanes_elementwise_backward(const fc_work *work) {
    fc_backward_outputs(work, NULL);
    for (int i = 0; i < 2; i++)
        if (work->dx[i].at) operand_gradient(work, i);
    return FC_OK;
}

/* ---- pixels moved ------------------------------------------------------------------------------- */

/* Channels of `whole`, from `first` on, and a tensor of its own: from there to here, or the way back. */
static void copy_channels(const fc_work *work, fc_view whole, int64_t first, fc_view part, fc_size size, int back) {
    const int64_t V = work->kernels->lanes, C = work->op->y.C;
    for (int64_t h = 0; h < size.H; h++) {
        float *pixel = fc_row_of(work, whole, h) + first * V, *own = fc_row_of(work, part, h);
        for (int64_t w = 0; w < size.W; w++, pixel += C * V, own += size.C * V)
            fc_copy(back ? own : pixel, back ? pixel : own, size.C * V);
    }
}

fc_status fc_lanes_concatenate_forward(const fc_work *work) {
    const fc_op *op = work->op;
    int64_t first = 0;
    for (int i = 0; i < op->inputs; first += op->x[i].C, i++)
        copy_channels(work, work->y, first, work->x[i], op->x[i], 0);
    return FC_OK;
}

fc_status fc_lanes_concatenate_backward(const fc_work *work) {
    const fc_op *op = work->op;
    int64_t first = 0;
    for (int i = 0; i < op->inputs; first += op->x[i].C, i++)
        if (work->dx[i].at) copy_channels(work, work->dy, first, work->dx[i], op->x[i], 1);
    return FC_OK;
}

/* to[h, w] = from[h - top, w - left], or 0 outside. */
static void shift_pixels(const fc_work *work, fc_view from, fc_size source, fc_view to, fc_size size, int64_t top,
                         int64_t left) {
    const int64_t pixel = size.C * work->kernels->lanes;
    const int64_t begin = fc_min(size.W, fc_max(0, left));
    const int64_t end = fc_max(begin, fc_min(size.W, source.W + left));
    for (int64_t h = 0; h < size.H; h++) {
        float *row = fc_row_of(work, to, h);
        const int inside = 0 <= h - top && h - top < source.H;
        const int64_t first = inside ? begin : 0, past = inside ? end : 0;
        fc_clear(row, first * pixel);
        if (first < past)
            fc_copy(row + first * pixel, fc_row_of(work, from, h - top) + (first - left) * pixel,
                    (past - first) * pixel);
        fc_clear(row + past * pixel, (size.W - past) * pixel);
    }
}

fc_status fc_lanes_pad_forward(const fc_work *work) {
    const fc_op *op = work->op;
    shift_pixels(work, work->x[0], op->x[0], work->y, op->y, op->pad_top, op->pad_left);
    return FC_OK;
}

fc_status fc_lanes_pad_backward(const fc_work *work) {
    const fc_op *op = work->op;
    if (work->dx[0].at) shift_pixels(work, work->dy, op->y, work->dx[0], op->x[0], -op->pad_top, -op->pad_left);
    return FC_OK;
}

fc_status fc_lanes_upsample_forward(const fc_work *work) {
    const fc_op *op = work->op;
    const int64_t pixel = op->y.C * work->kernels->lanes;
    for (int64_t h = 0; h < op->y.H; h++) {
        float *to = fc_row_of(work, work->y, h);
        if (h % op->KH) {
            fc_copy(to, fc_row_of(work, work->y, h - 1), op->y.W * pixel);
            continue;
        }
        const float *from = fc_row_of(work, work->x[0], h / op->KH);
        for (int64_t w = 0; w < op->y.W; w++) fc_copy(to + w * pixel, from + w / op->KW * pixel, pixel);
    }
    return FC_OK;
}

fc_status fc_lanes_upsample_backward(const fc_work *work) {
    const fc_op *op = work->op;
    if (!work->dx[0].at) return FC_OK;
    const int64_t pixel = op->y.C * work->kernels->lanes;
    fc_clear_rows(work, work->dx[0], op->x[0]);
    for (int64_t h = 0; h < op->y.H; h++)
        for (int64_t w = 0; w < op->x[0].W; w++)
            work->kernels->add_rows(op->KW, pixel, fc_row_of(work, work->dy, h) + w * op->KW * pixel,
                                    fc_row_of(work, work->dx[0], h / op->KH) + w * pixel);
    return FC_OK;
}

/* As many vectors at a time as are in a row of both. */
static void copy_in_order(const fc_work *work, fc_view from, fc_size source, fc_view to, fc_size size) {
    const int64_t V = work->kernels->lanes, n = source.W * source.C, m = size.W * size.C;
    for (int64_t i = 0, count; i < n * source.H; i += count) {
        count = fc_min(n - i % n, m - i % m);
        fc_copy(fc_row_of(work, to, i / m) + i % m * V, fc_row_of(work, from, i / n) + i % n * V, count * V);
    }
}

fc_status fc_lanes_reshape_forward(const fc_work *work) {
    copy_in_order(work, work->x[0], work->op->x[0], work->y, work->op->y);
    return FC_OK;
}

fc_status fc_lanes_reshape_backward(const fc_work *work) {
    if (work->dx[0].at) copy_in_order(work, work->dy, work->op->y, work->dx[0], work->op->x[0]);
    return FC_OK;
}
