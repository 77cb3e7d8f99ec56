/* executor.c - a schedule, carried out.
 *
 * Stages follow each other with a barrier between them. A stage of bundles deals chunks of bundles out to the threads,
 * and each bundle goes through all actions of the stage; a team stage goes through its actions one by one, all threads
 * at each of them; a stage of a driver is one call. Between WHOLE operations the threads are woken once.
 *
 * All memory is there before the first action, so that only drivers can fail. A schedule with its memory, an arena, is
 * one run's from the first action on: other runs of the program have others. What a run learns about the batch stays in
 * it until fc_program_commit.
 *
 * A chunk of bundles is a leaf of the tree that sums the batch, or where a bundle has more images than a leaf one bundle,
 * whose lanes are the lowest levels of the tree. Each chunk adds its bundles' gradients up in their order; the rest is
 * in sums.c. Nothing depends on the number of threads.
 */
#include <string.h>

#include "matmul.h"
#include "memory.h"
#include "schedule.h"
#include "threads.h"

typedef struct {
    const fc_schedule *s;
    int ops;
    double *seconds; /* see fc_program_time; NULL */
    const fc_run *run;
    const float *const *output_gradients;
    float *const *gradients;
    int64_t first;     /* number in the batch of the run's first image */
    fc_status *status; /* of the sums over the batch */
} job;

/* Some images, and who is at work on them. */
typedef struct {
    int64_t bundle, first, images;
    int member, team;
    float *work, *sums;
    double share; /* of the clock, that a thread's seconds are */
} piece;

/* ---- where a slot is ---------------------------------------------------------------------------- */

static fc_view view_of(const job *j, int number, const piece *p) {
    if (number < 0) return (fc_view){NULL, 0};
    const fc_slot *slot = &j->s->slot[number];
    const int64_t V = j->s->kernels->lanes, C = slot->size.C;
    const int64_t row = (slot->border.left + slot->size.W + slot->border.right) * C;
    float *home = NULL;
    switch (slot->home) {
    case FC_WORK: home = p->work + slot->at; break;
    case FC_BATCH: home = j->s->arena + slot->at + (slot->lanes ? p->bundle : p->first) * slot->step; break;
    case FC_INPUT: home = (float *)j->run->inputs[slot->number] + p->first * slot->step; break;
    case FC_OUTPUT: home = j->run->outputs[slot->number] + p->first * slot->step; break;
    case FC_GRADIENT: home = j->gradients[slot->number] + p->first * slot->step; break;
    }
    if (slot->lanes) home += (slot->border.top * row + slot->border.left * C) * V;
    return (fc_view){home, row};
}

static float *at_or_null(float *memory, int64_t at) { return at < 0 ? NULL : memory + at; }

static fc_work work_of(const job *j, const fc_action *a, const piece *p) {
    const fc_schedule *s = j->s;
    const int i = a->op;
    fc_work w = {.kernels = s->kernels, .op = &s->ops[i], .images = p->images, .first = p->first, .N = s->N,
                 .batch_N = s->batch_N, .number = j->first + p->first, .leaf = s->leaf, .goes_back = s->mode != FC_INFER,
                 .member = p->member, .team = p->team, .y = view_of(j, a->y, p), .dy = view_of(j, a->dy, p),
                 .packed = at_or_null(s->constant, s->packed_at[i]), .saved = at_or_null(s->constant, s->saved_at[i]),
                 .sums = s->sums_at[i] < 0 ? NULL : p->sums + s->sums_at[i], .scratch = p->work + s->workspace,
                 .statistics = at_or_null(s->constant, s->statistics_at[i])};
    for (int k = 0; k < w.op->inputs; k++) w.x[k] = view_of(j, a->x[k], p), w.dx[k] = view_of(j, a->dx[k], p);
    return w;
}

/* ---- actions that are not a method's ------------------------------------------------------------ */

/* Rows of a tensor that this member of the team sees to. */
static int64_t rows_from(int64_t rows, const piece *p) { return fc_part(rows, p->team, p->member); }

static void load_or_store(const job *j, const fc_action *a, const piece *p) {
    const fc_kernels *kernels = j->s->kernels;
    const fc_slot *slot = &j->s->slot[a->to];
    const fc_view from = view_of(j, a->from, p), to = view_of(j, a->to, p);
    const int64_t V = kernels->lanes, H = slot->size.H, n = slot->size.W * slot->size.C, image = H * n;
    for (int64_t h = 0; h < H; h++) {
        if (a->kind == FC_LOAD)
            kernels->transpose((int)p->images, (int)V, n, from.at + h * n, image, to.at + h * to.row * V, V);
        else
            kernels->untranspose((int)p->images, n, from.at + h * from.row * V, V, to.at + h * n, image);
    }
}

static void add_or_copy(const job *j, const fc_action *a, const piece *p) {
    const fc_slot *slot = &j->s->slot[a->to];
    const fc_view from = view_of(j, a->from, p), to = view_of(j, a->to, p);
    const int64_t V = slot->lanes ? j->s->kernels->lanes : 1;
    const int64_t n = slot->size.W * slot->size.C * V, rows = slot->size.H * (slot->lanes ? 1 : p->images);
    for (int64_t r = rows_from(rows, p); r < fc_part(rows, p->team, p->member + 1); r++) {
        if (a->kind == FC_ADD_TO) j->s->kernels->add_rows(1, n, from.at + r * from.row * V, to.at + r * to.row * V);
        else memcpy(to.at + r * to.row * V, from.at + r * from.row * V, sizeof(float) * (size_t)n);
    }
}

static void seed(const job *j, const fc_action *a, const piece *p) {
    const int64_t step = j->s->slot[a->to].step, first = rows_from(p->images, p);
    const size_t bytes = sizeof(float) * (size_t)(step * (fc_part(p->images, p->team, p->member + 1) - first));
    const float *given = j->output_gradients[a->op];
    float *to = view_of(j, a->to, p).at + first * step;
    if (given) memcpy(to, given + (p->first + first) * step, bytes);
    else memset(to, 0, bytes);
}

static void take_loss(const job *j, const fc_action *a, const piece *p) {
    const fc_loss *loss = &j->run->loss[a->op];
    const fc_slot *slot = &j->s->slot[a->to];
    const int64_t first = p->first + rows_from(p->images, p), end = p->first + fc_part(p->images, p->team, p->member + 1);
    const int64_t skip = (first - p->first) * slot->step;
    if (first < end)
        fc_loss_gradient(j->s->kernels, loss, first, end - first, slot->size, view_of(j, a->x[0], p).at + skip,
                         view_of(j, a->to, p).at + skip);
}

static fc_status carry_out(const job *j, const fc_action *a, const piece *p) {
    const fc_schedule *s = j->s;
    switch (a->kind) {
    case FC_LOAD: case FC_STORE: load_or_store(j, a, p); return FC_OK;
    case FC_ADD_TO: case FC_COPY: add_or_copy(j, a, p); return FC_OK;
    case FC_SEED: seed(j, a, p); return FC_OK;
    case FC_LOSS: take_loss(j, a, p); return FC_OK;
    default: break;
    }
    const fc_method *method = fc_method_of(a->way, s->ops[a->op].kind);
    const fc_work work = work_of(j, a, p);
    switch (a->kind) {
    case FC_FORWARD: return method->forward(&work);
    case FC_BACKWARD: return method->backward(&work);
    case FC_WEIGHTS: return method->weights(&work);
    case FC_MOMENTS: case FC_GRADIENT_MOMENTS: {
        if (p->member) return FC_OK;
        const int64_t first = p->first / fc_node_images(a->way, s->leaf, s->kernels->lanes);
        double *nodes = (double *)(s->constant + s->nodes_at[a->op]) + first * 2 * s->ops[a->op].y.C;
        return (a->kind == FC_MOMENTS ? method->moments : method->gradient_moments)(&work, nodes);
    }
    default: return FC_OK;
    }
}

static int place_of_seconds(const fc_action *a, int ops) {
    switch (a->kind) {
    case FC_FORWARD: case FC_MOMENTS: return 2 * a->op;
    case FC_BACKWARD: case FC_GRADIENT_MOMENTS: case FC_WEIGHTS: return 2 * a->op + 1;
    default: return 2 * ops + (a->kind == FC_LOSS);
    }
}

static fc_status act(const job *j, const fc_action *a, const piece *p) {
    if (!j->seconds) return carry_out(j, a, p);
    const double start = fc_seconds_now();
    const fc_status status = carry_out(j, a, p);
    const double passed = (fc_seconds_now() - start) * p->share;
    double *seconds = j->seconds + place_of_seconds(a, j->ops);
#pragma omp atomic
    *seconds += passed;
    return status;
}

/* ---- stages ------------------------------------------------------------------------------------- */

static int takes_statistics(const fc_action *a) { return a->kind == FC_MOMENTS || a->kind == FC_GRADIENT_MOMENTS; }

/* Whoever is the first to add to a chunk's sums clears them. */
static void run_bundles(const job *j, const fc_stage *stage, float *work, int team) {
    const fc_schedule *s = j->s;
    const int64_t V = s->kernels->lanes, each = fc_pieces(s->leaf, V);
    const int clears = stage - s->stage == s->sums_stage;
#pragma omp for schedule(dynamic)
    for (int64_t c = 0; c < s->chunks; c++) {
        piece p = {.team = 1, .work = work, .sums = s->chunk_sums + c * s->chunk_size, .share = 1.0 / team};
        if (clears) memset(p.sums, 0, sizeof(float) * (size_t)s->chunk_size);
        for (p.bundle = c * each; p.bundle < fc_min(s->bundles, (c + 1) * each); p.bundle++) {
            p.first = p.bundle * V, p.images = fc_min(V, s->N - p.first);
            for (int a = stage->first; a < stage->end; a++) act(j, &s->action[a], &p);
        }
    }
}

static void run_team(const job *j, const fc_stage *stage, float *work, int member, int team) {
    const piece p = {.images = j->s->N, .member = member, .team = team, .work = work, .sums = j->s->chunk_sums,
                     .share = 1.0 / team};
    for (int a = stage->first; a < stage->end && p.images; a++) {
        act(j, &j->s->action[a], &p);
        if (team > 1) {
#pragma omp barrier
        }
    }
}

static void pack(const job *j, const fc_program *p, float *work, int member, int team) {
    const fc_schedule *s = j->s;
    int folded = 0;
    for (int i = 0; i < p->count; i++)
        if (s->norm[i] >= 0) fc_fill_folded(s, &p->ops[i], i, work + s->workspace, member, team), folded = 1;
    if (team > 1 && folded) {
#pragma omp barrier
    }
    for (int i = 0; i < p->count; i++) {
        const fc_method *method = fc_method_of(s->way[i], s->ops[i].kind);
        if (!method->pack || s->gone[i]) continue;
        const fc_work w = {.kernels = s->kernels, .op = &s->ops[i], .N = s->N, .batch_N = s->batch_N, .leaf = s->leaf,
                           .member = member, .team = team, .packed = at_or_null(s->constant, s->packed_at[i]),
                           .scratch = work + s->workspace};
        method->pack(&w, s->mode != FC_INFER);
    }
    if (team > 1) {
#pragma omp barrier
    }
}

/* Stages [first, end), none of which is a driver's, in one team of threads. */
static void run_stages(const job *j, const fc_program *p, int first, int end, int packing, int team) {
    const fc_schedule *s = j->s;
    const int member = team > 1 ? fc_thread_index() : 0;
    float *work = s->work + member * (s->workspace + s->scratch + 64);
    if (packing) pack(j, p, work, member, team);
    for (int g = first; g < end; g++) {
        const fc_stage *stage = &s->stage[g];
        if (stage->kind == FC_BUNDLES) run_bundles(j, stage, work, team);
        else run_team(j, stage, work, member, team);
        if (team > 1) {
#pragma omp barrier
        }
        for (int a = stage->first; a < stage->end && member == 0; a++)
            if (takes_statistics(&s->action[a]) && *j->status == FC_OK)
                *j->status = fc_sum_statistics(s, j->run, &s->action[a]);
        if (team > 1) {
#pragma omp barrier
        }
        if (*j->status != FC_OK) return;
    }
}

static fc_status run_all(fc_program *p, const job *j, int first, int end, int packing) {
    fc_schedule *s = (fc_schedule *)j->s;
    const int team = fc_threads_for(s->operations) > 1 ? s->threads : 1;
    for (int g = first; g < end || packing;) {
        int until = g;
        while (until < end && s->stage[until].kind != FC_ALL) until++;
        if (until > g || packing) {
            if (team == 1) {
                run_stages(j, p, g, until, packing, 1);
            } else {
#pragma omp parallel num_threads(team)
                run_stages(j, p, g, until, packing, fc_team_size());
            }
            if (*j->status != FC_OK) return *j->status;
            packing = 0;
            g = until;
            continue;
        }
        const piece all = {.images = s->N, .team = 1, .work = s->work, .sums = s->chunk_sums, .share = 1};
        for (int a = s->stage[g].first; a < s->stage[g].end; a++) {
            fc_status status = s->N ? act(j, &s->action[a], &all) : FC_OK;
            if (status == FC_OK && takes_statistics(&s->action[a])) status = fc_sum_statistics(s, j->run, &s->action[a]);
            if (status != FC_OK) return status;
        }
        g++;
    }
    return FC_OK;
}

void fc_program_commit(const fc_program *p, const fc_held *s) {
    for (int i = 0; i < p->count; i++) {
        const fc_op *op = &s->ops[i];
        if (!fc_takes_statistics(op)) continue;
        const float *mean = s->constant + s->statistics_at[i];
        for (int w = 0; w < 2; w++)
            for (int64_t c = 0; op->weight[2 + w] && c < op->y.C; c++)
                op->weight[2 + w][c] =
                    (float)(op->weight[2 + w][c] * op->momentum + mean[w * op->y.C + c] * (1 - op->momentum));
    }
}

void fc_program_let_go(fc_program *p, fc_held *s) {
    if (s) fc_schedule_give(p, s);
}

static int64_t first_of(const fc_run *run) {
    int64_t first = 0;
    if (run->part) fc_images_of_part(run->part->N, run->part->parts, run->part->number, &first);
    return first;
}

fc_status fc_program_run(fc_program *p, const fc_run *run, int keep, fc_held **held) {
    fc_status status;
    const fc_mode mode = run->losses ? FC_TRAIN : keep ? FC_KEEP : FC_INFER;
    fc_schedule *s = fc_schedule_take(p, run, mode, &status);
    if (!s) return status;
    const job j = {.s = s, .ops = p->count, .seconds = p->seconds, .run = run, .gradients = run->gradients,
                   .first = first_of(run), .status = &status};
    status = run_all(p, &j, 0, mode == FC_KEEP ? s->forward_stages : s->stages, 1);
    if (status == FC_OK && mode == FC_TRAIN) status = fc_sum_losses(s, run);
    if (status == FC_OK && mode == FC_TRAIN) status = fc_sum_gradients(p, s, run);
    if (status == FC_OK && held) {
        *held = s;
        return FC_OK;
    }
    if (status == FC_OK) fc_program_commit(p, s);
    fc_schedule_give(p, s);
    return status;
}

fc_status fc_program_backward(fc_program *p, fc_held *s, const fc_run *run, const float *const *output_gradients,
                              float *const *gradients) {
    fc_status status = FC_OK;
    const job j = {.s = s, .ops = p->count, .seconds = p->seconds, .run = run, .output_gradients = output_gradients,
                   .gradients = gradients, .first = first_of(run), .status = &status};
    status = run_all(p, &j, s->forward_stages, s->stages, 0);
    if (status == FC_OK) status = fc_sum_gradients(p, s, run);
    return status;
}
