/* schedule.c - the order of a run, cut at its barriers, and room for every tensor.
 *
 * A run of n operations with training is
 *
 *     forward(0) ... forward(n-1)   losses   backward(n-1) ... backward(0)
 *
 * Where one is in lanes and the next in pixels, a tensor is loaded (pixels to lanes) or stored (lanes to pixels) in
 * between. A gradient that several operations contribute to is added up by the operation that made the tensor, in its
 * layout, contributions in the order of the run. Where an operation hands its output's gradient on as it is, or makes
 * the input's number by number, the two share one slot.
 *
 * Only three things end a stage: statistics of batch norm, which need all images; an operation that is WHOLE; gradients
 * of weights from all images. Between them images do not meet, so a stage is done bundle by bundle, and what one bundle
 * needs stays in the cache of one thread. For a network without batch norm the loss and the way back are in the same
 * stage as the way forward.
 *
 * Each tensor has a slot for its value in each layout that somebody asks for, and one for its gradient. A slot that
 * one stage alone touches is in the workspace of each thread; others have room for the batch, and give it to others
 * when the last stage that touches them is over.
 */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "matmul.h"
#include "operands.h"
#include "schedule.h"
#include "threads.h"

const fc_method *fc_method_of(fc_way way, fc_op_kind kind) {
    return (way == FC_LANES ? fc_lanes_methods : way == FC_PIXELS ? fc_pixels_methods : fc_whole_methods) + kind;
}

/* ---- growing lists ------------------------------------------------------------------------------ */

typedef struct {
    const fc_program *p;
    fc_schedule *s;
    int failed;
    int *value[2];    /* slot of each tensor's value: in pixels, in lanes; -1 */
    int *gradient;    /* slot of each tensor's gradient, in its producer's layout; -1 */
    int *in_pixels;   /* somebody wants the value in pixels */
    int *pending, pendings; /* operations whose gradients of weights are still to be computed */
} builder;

static void *room_for(builder *b, void *list, int count, int *room, size_t size) {
    if (count < *room) return list;
    const int larger = *room ? 2 * *room : 64;
    void *moved = realloc(list, size * (size_t)larger);
    if (!moved) {
        b->failed = 1;
        return list;
    }
    *room = larger;
    return moved;
}

static int new_slot(builder *b, fc_size size, int lanes) {
    fc_schedule *s = b->s;
    s->slot = room_for(b, s->slot, s->slots, &s->slots_room, sizeof *s->slot);
    if (b->failed) return 0;
    s->slot[s->slots] = (fc_slot){.size = size, .lanes = lanes, .home = FC_BATCH, .first = -1};
    return s->slots++;
}

static void touch(builder *b, int slot) {
    if (slot < 0 || b->failed) return;
    fc_slot *at = &b->s->slot[slot];
    if (at->first < 0) at->first = b->s->actions, at->first_stage = b->s->stages - 1;
    at->last = b->s->actions, at->last_stage = b->s->stages - 1;
}

/* ---- stages ------------------------------------------------------------------------------------- */

static void begin_stage(builder *b, fc_stage_kind kind, int backward) {
    fc_schedule *s = b->s;
    if (s->stages) s->stage[s->stages - 1].end = s->actions;
    s->stage = room_for(b, s->stage, s->stages, &s->stages_room, sizeof *s->stage);
    if (!b->failed) s->stage[s->stages++] = (fc_stage){.kind = kind, .first = s->actions, .backward = backward};
}

static fc_action *add_action(builder *b, fc_action action) {
    fc_schedule *s = b->s;
    s->action = room_for(b, s->action, s->actions, &s->actions_room, sizeof *s->action);
    if (b->failed) return NULL;
    for (int i = 0; i < FC_MOST_INPUTS; i++) touch(b, action.x[i]), touch(b, action.dx[i]);
    touch(b, action.y), touch(b, action.dy), touch(b, action.from), touch(b, action.to);
    s->action[s->actions] = action;
    return &s->action[s->actions++];
}

static fc_action empty_action(fc_action_kind kind, fc_way way, int op) {
    fc_action a = {.kind = kind, .way = way, .op = op, .y = -1, .dy = -1, .from = -1, .to = -1};
    for (int i = 0; i < FC_MOST_INPUTS; i++) a.x[i] = a.dx[i] = -1;
    return a;
}

static void flush_weights(builder *b);

static int going_back(const builder *b) { return b->s->forward_stages >= 0; }

/* A stage in which an action of this way may be: the present one, or a new one. */
static void in_stage(builder *b, fc_way way) {
    fc_schedule *s = b->s;
    const fc_stage *now = s->stages ? &s->stage[s->stages - 1] : NULL;
    fc_stage_kind kind = way == FC_WHOLE ? FC_ALL : FC_BUNDLES;
    if (way == FC_PIXELS && (s->few || !now || now->kind != FC_BUNDLES)) kind = FC_TEAM;
    if (now && kind != FC_ALL && now->kind == kind && !now->end) return;
    if (now && now->kind == FC_TEAM && kind == FC_TEAM && !now->end) return;
    begin_stage(b, kind, going_back(b));
}

/* What follows needs all that came before, of all images. */
static void end_stage(builder *b) {
    fc_schedule *s = b->s;
    if (s->stages) s->stage[s->stages - 1].end = s->actions;
    flush_weights(b);
}

/* ---- layouts ------------------------------------------------------------------------------------ */

static void convert(builder *b, int from, int to) {
    const fc_slot *source = &b->s->slot[from], *target = &b->s->slot[to];
    const fc_action_kind kind = source->lanes == target->lanes ? FC_COPY : target->lanes ? FC_LOAD : FC_STORE;
    const int lanes = source->lanes || target->lanes;
    fc_action a = empty_action(kind, lanes ? FC_LANES : FC_PIXELS, -1);
    in_stage(b, a.way);
    a.from = from, a.to = to;
    add_action(b, a);
}

/* The slot of a value in the layout of `way`, filled. */
static int value_for(builder *b, int tensor, fc_way way) {
    const int lanes = way == FC_LANES;
    int *slot = &b->value[lanes][tensor];
    if (*slot < 0) {
        const int other = b->value[!lanes][tensor];
        *slot = new_slot(b, b->p->sizes[tensor], lanes);
        if (!b->failed) convert(b, other, *slot);
    }
    return *slot;
}

static fc_way way_below(const builder *b, int tensor) {
    const int producer = b->p->producer[tensor];
    return producer < 0 ? FC_PIXELS : b->s->way[producer];
}

/* A contribution to a gradient, in the layout of `way`: the slot to write it to. */
static int contribution(builder *b, int tensor, fc_way way) {
    const int lanes = way == FC_LANES, wanted = way_below(b, tensor) == FC_LANES;
    const int slot = new_slot(b, b->p->sizes[tensor], lanes);
    if (b->gradient[tensor] < 0 && lanes == wanted) b->gradient[tensor] = slot;
    return slot;
}

/* After it is written: it becomes the gradient, or is added to what is there. */
static void contribute(builder *b, int tensor, int slot) {
    const int wanted = way_below(b, tensor) == FC_LANES;
    if (b->failed || b->gradient[tensor] == slot) return;
    if (b->s->slot[slot].lanes != wanted) {
        const int converted = new_slot(b, b->p->sizes[tensor], wanted);
        if (b->failed) return;
        convert(b, slot, converted);
        slot = converted;
    }
    if (b->gradient[tensor] < 0) {
        b->gradient[tensor] = slot;
        return;
    }
    fc_action a = empty_action(FC_ADD_TO, wanted ? FC_LANES : FC_PIXELS, -1);
    in_stage(b, a.way);
    a.from = slot, a.to = b->gradient[tensor];
    add_action(b, a);
}

/* ---- forward ------------------------------------------------------------------------------------ */

static void forward(builder *b, int i) {
    fc_schedule *s = b->s;
    const fc_op *op = &s->ops[i];
    const fc_way way = s->way[i];
    if (s->gone[i]) return;
    fc_action a = empty_action(FC_FORWARD, way, i);
    for (int k = 0; k < op->inputs; k++) a.x[k] = value_for(b, op->input[k], way);
    if (fc_takes_statistics(op)) {
        fc_action moments = empty_action(FC_MOMENTS, way, i);
        moments.x[0] = a.x[0];
        in_stage(b, way);
        add_action(b, moments);
        end_stage(b);
    }
    in_stage(b, way);
    const int lanes = way == FC_LANES;
    a.y = b->value[lanes][op->output] = new_slot(b, op->y, lanes);
    add_action(b, a);
    if (lanes && b->in_pixels[op->output]) value_for(b, op->output, FC_PIXELS);
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* Whether the gradient of input k is what the operation leaves in dy. */
static int passes_on(const fc_op *op, int k) {
    if (op->kind == FC_OP_BATCH_NORM) return k == 1;
    return op->kind == FC_OP_ELEMENTWISE && fc_size_of(op->x[k]) == fc_size_of(op->y) &&
           (op->elementwise == FC_ADD || (op->elementwise == FC_SUBTRACT && k == 0));
}

/* Where the gradients of an operation's inputs are written: a.dx. A slot belongs to one tensor, for its producer may use
 * it up. So dy's goes to the first input that it is handed on to, or may be written over with dx; `passed` says of which
 * inputs it is the gradient, or is to be added to that. */
static void find_gradients(builder *b, fc_action *a, const fc_op *op, int overwrites, int *passed) {
    int given = 0, any = 0;
    for (int k = op->inputs - 1; k >= 0; k--) {
        const int tensor = op->input[k], *gradient = &b->gradient[tensor];
        passed[k] = 0;
        if (!b->p->needed[tensor]) continue;
        const int alike = (way_below(b, tensor) == FC_LANES) == b->s->slot[a->dy].lanes;
        const int free = alike && *gradient < 0 && !given;
        if (passes_on(op, k) && *gradient != a->dy && (free || *gradient >= 0 || !alike)) {
            passed[k] = any = 1;
            if (free) b->gradient[tensor] = a->dy, given = 1;
        } else if (k == 0 && overwrites && free && !any) {
            a->dx[k] = b->gradient[tensor] = a->dy, given = 1;
        } else {
            a->dx[k] = contribution(b, tensor, a->way);
        }
    }
}

/* To the caller's array, where it is asked for: before the operation that makes the tensor uses it up. */
static void give_gradient(builder *b, int tensor, int number) {
    const int copy = new_slot(b, b->p->sizes[tensor], 0);
    if (b->failed) return;
    b->s->slot[copy].home = FC_GRADIENT, b->s->slot[copy].number = number;
    convert(b, b->gradient[tensor], copy);
}

static void backward(builder *b, int i) {
    fc_schedule *s = b->s;
    const fc_op *op = &s->ops[i];
    const fc_way way = s->way[i];
    const fc_method *method = fc_method_of(way, op->kind);
    if (b->gradient[op->output] < 0 || !b->p->needed[op->output] || b->failed) return;
    for (int t = 0; t < b->p->taps; t++)
        if (b->p->tap[t] == op->output) give_gradient(b, op->output, b->p->inputs + t);
    if (!b->p->goes_on[i] || b->failed) return;
    const int needs = method->needs ? method->needs(op) : 0;
    fc_action a = empty_action(FC_BACKWARD, way, i);
    a.dy = b->gradient[op->output];
    s->reached[i] = 1;
    if (needs & FC_NEEDS_Y) a.y = value_for(b, op->output, way);
    const int read = op->kind == FC_OP_BATCH_NORM ? 1 : op->inputs; /* not what is added */
    if (needs & FC_NEEDS_X)
        for (int k = 0; k < read; k++) a.x[k] = value_for(b, op->input[k], way);
    if (fc_takes_statistics(op)) {
        fc_action sums = a;
        sums.kind = FC_GRADIENT_MOMENTS;
        in_stage(b, way);
        add_action(b, sums);
        end_stage(b);
    }
    in_stage(b, way);
    const int later = method->weights && (op->gradient[0] || op->gradient[1]); /* dy is read */
    int passed[FC_MOST_INPUTS];
    if (b->failed) return;
    find_gradients(b, &a, op, fc_overwrites(op) && !later, passed);
    add_action(b, a);
    if (later) b->pending[b->pendings++] = s->actions - 1;
    for (int k = 0; k < op->inputs; k++)
        if (passed[k] || a.dx[k] >= 0) contribute(b, op->input[k], passed[k] ? a.dy : a.dx[k]);
}

/* From x and dy of the operations that are pending, by the place of their backward action. */
static void flush_weights(builder *b) {
    fc_schedule *s = b->s;
    const int count = b->pendings;
    b->pendings = 0; /* for this begins a stage */
    if (!count || b->failed) return;
    begin_stage(b, FC_TEAM, 1);
    for (int k = 0; k < count && !b->failed; k++) {
        fc_action a = empty_action(FC_WEIGHTS, FC_PIXELS, s->action[b->pending[k]].op);
        a.x[0] = s->action[b->pending[k]].x[0];
        a.dy = s->action[b->pending[k]].dy;
        if (a.x[0] < 0) a.x[0] = value_for(b, s->ops[a.op].input[0], FC_PIXELS);
        add_action(b, a);
    }
    if (!b->failed) s->stage[s->stages - 1].end = s->actions;
}

/* ---- the whole order ---------------------------------------------------------------------------- */

static void note_pixels(builder *b, const fc_loss *loss) {
    const fc_program *p = b->p;
    for (int o = 0; o < p->outputs; o++) b->in_pixels[p->output[o]] = 1;
    for (int l = 0; l < b->s->losses; l++) b->in_pixels[loss[l].tensor] = 1;
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < p->ops[i].inputs; k++)
            if (b->s->way[i] != FC_LANES) b->in_pixels[p->ops[i].input[k]] = 1;
}

static void order(builder *b, const fc_loss *loss) {
    const fc_program *p = b->p;
    fc_schedule *s = b->s;
    s->forward_stages = -1;
    for (int k = 0; k < p->inputs && !b->failed; k++) {
        const int slot = new_slot(b, p->sizes[p->input[k]], 0);
        if (b->failed) return;
        s->slot[slot].home = FC_INPUT, s->slot[slot].number = k;
        b->value[0][p->input[k]] = slot;
    }
    for (int i = 0; i < p->count && !b->failed; i++) forward(b, i);
    for (int o = 0; o < p->outputs && !b->failed; o++) { /* outputs that are inputs, or twice the same */
        const int slot = value_for(b, p->output[o], FC_PIXELS);
        if (b->failed) return;
        if (s->slot[slot].home == FC_BATCH && s->mode != FC_KEEP) { /* the caller may change his before backward */
            s->slot[slot].home = FC_OUTPUT, s->slot[slot].number = o;
        } else {
            const int copy = new_slot(b, p->sizes[p->output[o]], 0);
            if (b->failed) return;
            s->slot[copy].home = FC_OUTPUT, s->slot[copy].number = o;
            convert(b, slot, copy);
        }
    }
    if (s->mode == FC_KEEP) end_stage(b);
    if (b->failed) return;
    s->forward_stages = s->stages;
    if (s->mode == FC_INFER) {
        if (s->stages) s->stage[s->stages - 1].end = s->actions;
        return;
    }

    if (s->mode == FC_KEEP)
        for (int o = 0; o < p->outputs && !b->failed; o++) {
            const int tensor = p->output[o];
            if (!p->needed[tensor]) continue;
            in_stage(b, FC_PIXELS);
            fc_action a = empty_action(FC_SEED, FC_PIXELS, o);
            a.to = contribution(b, tensor, FC_PIXELS);
            add_action(b, a);
            contribute(b, tensor, a.to);
        }
    for (int l = 0; l < s->losses && !b->failed; l++) {
        const int tensor = loss[l].tensor;
        fc_action a = empty_action(FC_LOSS, FC_PIXELS, l);
        a.x[0] = value_for(b, tensor, FC_PIXELS);
        in_stage(b, FC_PIXELS);
        a.to = contribution(b, tensor, FC_PIXELS);
        add_action(b, a);
        contribute(b, tensor, a.to);
    }
    for (int i = p->count - 1; i >= 0 && !b->failed; i--) backward(b, i);
    for (int k = 0; k < p->inputs && !b->failed; k++)
        if (p->wanted[k] && b->gradient[p->input[k]] >= 0) give_gradient(b, p->input[k], k);
    end_stage(b);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static void widen(fc_border *border, fc_border by) {
    border->top = fc_max(border->top, by.top);
    border->left = fc_max(border->left, by.left);
    border->bottom = fc_max(border->bottom, by.bottom);
    border->right = fc_max(border->right, by.right);
}

static void find_borders(fc_schedule *s) {
    for (int i = 0; i < s->actions; i++) {
        const fc_action *a = &s->action[i];
        if (a->way != FC_LANES || (a->kind != FC_FORWARD && a->kind != FC_BACKWARD)) continue;
        const fc_op *op = &s->ops[a->op];
        const fc_method *method = fc_method_of(FC_LANES, op->kind);
        if (method->border)
            for (int k = 0; k < op->inputs; k++)
                if (a->x[k] >= 0) widen(&s->slot[a->x[k]].border, method->border(s->kernels, op));
        if (method->border_back && a->kind == FC_BACKWARD)
            widen(&s->slot[a->dy].border, method->border_back(s->kernels, op));
    }
}

static int has_border(const fc_slot *slot) {
    return slot->border.top || slot->border.left || slot->border.bottom || slot->border.right;
}

static int64_t take(int64_t *used, int64_t floats) {
    const int64_t at = *used;
    *used = fc_plus(*used, fc_round_up(fc_plus(floats, FC_SLACK), 16));
    return at;
}

/* The lowest place that no slot has at the same time. Slots with a border keep their place for good: it stays zero. */
static void place(fc_schedule *s, int which, int64_t floats, int64_t *used) {
    fc_slot *slot = &s->slot[which];
    const int work = slot->home == FC_WORK;
    const int64_t size = fc_round_up(fc_plus(floats, FC_SLACK), 16);
    int64_t at = 0;
    for (int again = 1; again;) {
        again = 0;
        for (int i = 0; i < which; i++) {
            const fc_slot *other = &s->slot[i];
            if (other->home != slot->home || other->first < 0) continue;
            const int apart = work ? other->first_stage != slot->first_stage || other->last < slot->first ||
                                         slot->last < other->first
                                   : other->last_stage < slot->first_stage || slot->last_stage < other->first_stage;
            if (apart && !has_border(other) && !has_border(slot)) continue;
            const int64_t images = other->lanes ? s->bundles : s->N;
            const int64_t end = other->at + fc_round_up(other->step * (work ? (other->lanes ? 1 : s->kernels->lanes)
                                                                           : images) + FC_SLACK, 16);
            if (other->at < at + size && at < end) at = end, again = 1;
        }
    }
    slot->at = at;
    *used = fc_max(*used, fc_plus(at, size));
}

static fc_status lay_out(fc_schedule *s, int count) {
    const fc_kernels *kernels = s->kernels;
    const int64_t V = kernels->lanes;
    find_borders(s);
    for (int i = 0; i < s->slots; i++) {
        fc_slot *slot = &s->slot[i];
        const fc_border *r = &slot->border;
        slot->step = slot->lanes ? fc_volume(fc_plus(slot->size.H, r->top + r->bottom),
                                             fc_plus(slot->size.W, r->left + r->right), slot->size.C, V)
                                 : fc_size_of(slot->size);
        if (slot->home != FC_BATCH || slot->first < 0) continue;
        if (slot->first_stage == slot->last_stage && s->stage[slot->first_stage].kind == FC_BUNDLES)
            slot->home = FC_WORK;
        const int64_t images = slot->home == FC_WORK ? (slot->lanes ? 1 : V) : slot->lanes ? s->bundles : s->N;
        const int64_t floats = fc_times(slot->step, images);
        if (!fc_fits(floats)) return FC_TOO_LARGE;
        place(s, i, floats, slot->home == FC_WORK ? &s->workspace : &s->batch);
    }
    const int back = s->mode != FC_INFER;
    int64_t images = 0;
    for (int i = 0; i < count; i++) {
        const fc_op *op = &s->ops[i];
        const fc_method *method = fc_method_of(s->way[i], op->kind);
        images = s->way[i] == FC_LANES || (s->way[i] == FC_PIXELS && !s->few) ? V : s->N;
        s->packed_at[i] = method->packed_size ? take(&s->fixed, method->packed_size(kernels, op, back)) : -1;
        s->saved_at[i] = method->saved_size ? take(&s->fixed, method->saved_size(kernels, op, s->N)) : -1;
        const int64_t nodes = fc_pieces(s->N, fc_node_images(s->way[i], s->leaf, V));
        s->nodes_at[i] = fc_takes_statistics(op) ? take(&s->fixed, fc_volume(fc_max(1, nodes), 4, op->y.C)) : -1;
        s->folded_at[i] = s->norm[i] >= 0 ? take(&s->fixed, fc_folded_size(op)) : -1;
        if (s->norm[i] >= 0) s->scratch = fc_max(s->scratch, fc_round_up(fc_folded_scratch(op), 16));
        s->statistics_at[i] = fc_takes_statistics(op) ? take(&s->fixed, 4 * op->y.C) : -1;
        s->sums_at[i] = -1;
        if (back && method->sums_size && s->way[i] == FC_LANES)
            s->sums_at[i] = s->chunk_size, s->chunk_size = fc_plus(s->chunk_size, fc_round_up(method->sums_size(kernels, op), 16));
        if (method->scratch_size)
            s->scratch = fc_max(s->scratch, fc_round_up(method->scratch_size(kernels, op, images, back), 16));
        s->operations += fc_operations_of(op) * (double)s->N * (s->mode == FC_INFER ? 1 : 3);
    }
    return FC_OK;
}

/* Gradients that are added to what is there are computed beside it first. */
int64_t fc_weight_size(const fc_op *op, int w) {
    const int64_t taps = op->KH * op->KW;
    switch (op->kind) {
    case FC_OP_CONV: return w ? op->y.C : taps * op->x[0].C / op->groups * op->y.C;
    case FC_OP_CONV_TRANSPOSED: return w ? op->y.C : taps * op->x[0].C * op->y.C;
    case FC_OP_DEPTHWISE: return w ? op->y.C : taps * op->y.C;
    case FC_OP_DENSE: return w ? op->y.C : op->x[0].C * op->y.C;
    case FC_OP_PRELU: return fc_size_of(op->y);
    default: return op->y.C;
    }
}

static void redirect(fc_schedule *s, int count) {
    for (int i = 0; i < count; i++) {
        s->added_at[i] = -1;
        if (!s->ops[i].adds) continue;
        int64_t floats = 0;
        for (int w = 0; w < FC_MOST_WEIGHTS; w++)
            if (s->ops[i].gradient[w]) floats += fc_round_up(fc_weight_size(&s->ops[i], w), 16);
        s->added_at[i] = take(&s->fixed, floats);
    }
}

/* Where the sums of chunks begin, and how much is exchanged at once with other parts of the batch. */
static void find_sums(fc_schedule *s, int count) {
    s->sums_stage = -1;
    for (int g = 0; g < s->stages && s->sums_stage < 0; g++)
        for (int a = s->stage[g].first; a < s->stage[g].end; a++)
            if (s->action[a].kind == FC_BACKWARD && s->sums_at[s->action[a].op] >= 0) s->sums_stage = g;
    if (s->parts == 1) return;
    int64_t gradients = s->chunk_size, most = 2 * FC_MOST_INPUTS;
    for (int i = 0; i < count; i++) {
        if (fc_takes_statistics(&s->ops[i])) most = fc_max(most, 4 * s->ops[i].y.C);
        for (int w = 0; w < FC_MOST_WEIGHTS; w++)
            if (fc_is_summed_in_place(s, i, w)) gradients = fc_plus(gradients, fc_weight_size(&s->ops[i], w));
    }
    s->message_size = fc_round_up(fc_max(gradients, most), 16);
}

void fc_schedule_free(fc_schedule *s) {
    if (!s) return;
    fc_free(s->work), fc_free(s->arena), fc_free(s->constant), fc_free(s->chunk_sums);
    fc_free(s->message);
    free(s->ops), free(s->random), free(s->way), free(s->why), free(s->reached), free(s->norm), free(s->action), free(s->stage);
    free(s->slot), free(s->packed_at);
    free(s);
}

static fc_schedule *new_schedule(const fc_program *p) {
    fc_schedule *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    const size_t n = (size_t)p->count + 1;
    s->ops = calloc(n, sizeof *s->ops);
    s->random = calloc(n, sizeof *s->random);
    s->way = calloc(n, sizeof *s->way);
    s->why = calloc(n, sizeof *s->why);
    s->reached = calloc(n, sizeof(int));
    s->norm = calloc(2 * n, sizeof(int));
    s->packed_at = calloc(7 * n, sizeof(int64_t));
    if (!s->ops || !s->random || !s->way || !s->why || !s->reached || !s->norm || !s->packed_at) {
        fc_schedule_free(s);
        return NULL;
    }
    s->saved_at = s->packed_at + n, s->sums_at = s->saved_at + n, s->nodes_at = s->sums_at + n;
    s->statistics_at = s->nodes_at + n, s->added_at = s->statistics_at + n, s->folded_at = s->added_at + n;
    s->gone = s->norm + n;
    memcpy(s->ops, p->ops, sizeof *s->ops * (size_t)p->count);
    for (int i = 0; i < p->count; i++)
        if (s->ops[i].random) s->ops[i].random = &s->random[i];
    return s;
}

static int is_for(const fc_schedule *s, const fc_schedule *wanted, const fc_loss *loss) {
    int same = s->kernels == wanted->kernels && s->N == wanted->N && s->batch_N == wanted->batch_N &&
               s->parts == wanted->parts && s->threads == wanted->threads && s->mode == wanted->mode &&
               s->losses == wanted->losses;
    for (int l = 0; same && l < s->losses; l++) same = s->loss_tensor[l] == loss[l].tensor;
    return same;
}

static fc_status build(fc_program *p, fc_schedule *s, const fc_loss *loss) {
    const int64_t V = s->kernels->lanes;
    s->few = s->batch_N < V / 2;
    s->leaf = fc_leaf_of(s->batch_N);
    s->bundles = fc_pieces(s->N, V);
    s->chunks = fc_max(1, fc_pieces(s->N, fc_max(V, s->leaf)));
    fc_status status = fc_choose_ways(p, s, s->losses, loss);
    if (status != FC_OK) return status;
    fc_fold_norms(p, s);

    builder b = {.p = p, .s = s};
    const size_t n = (size_t)p->tensors + 1;
    int *lists = malloc(sizeof(int) * (4 * n + (size_t)p->count + 1));
    if (!lists) return FC_OUT_OF_MEMORY;
    b.value[0] = lists, b.value[1] = lists + n, b.gradient = lists + 2 * n, b.in_pixels = lists + 3 * n;
    b.pending = lists + 4 * n;
    for (size_t t = 0; t < n; t++) b.value[0][t] = b.value[1][t] = b.gradient[t] = -1, b.in_pixels[t] = 0;
    note_pixels(&b, loss);
    order(&b, loss);
    free(lists);
    if (b.failed) return FC_OUT_OF_MEMORY;
    status = lay_out(s, p->count);
    if (status != FC_OK) return status;
    redirect(s, p->count);
    find_sums(s, p->count);

    const int64_t each = fc_plus(fc_plus(s->workspace, s->scratch), 64);
    s->work = fc_floats(fc_times(each, s->threads));
    s->arena = fc_floats(s->batch);
    s->constant = fc_floats(s->fixed);
    s->chunk_sums = fc_floats(fc_times(s->chunks, s->chunk_size));
    s->message = fc_floats(fc_times(2, s->message_size));
    if (!s->work || !s->arena || !s->constant || !s->chunk_sums || !s->message) return FC_OUT_OF_MEMORY;
    memset(s->work, 0, sizeof(float) * (size_t)(each * s->threads));
    memset(s->arena, 0, sizeof(float) * (size_t)s->batch);
    memset(s->constant, 0, sizeof(float) * (size_t)s->fixed);
    memset(s->message, 0, sizeof(float) * (size_t)(2 * s->message_size));
    for (int i = 0; i < p->count; i++) {
        if (s->folded_at[i] >= 0) fc_place_folded(&s->ops[i], s->constant + s->folded_at[i]);
        if (s->added_at[i] < 0) continue;
        float *at = s->constant + s->added_at[i];
        for (int w = 0; w < FC_MOST_WEIGHTS; w++)
            if (s->ops[i].gradient[w]) {
                s->ops[i].gradient[w] = at;
                at += fc_round_up(fc_weight_size(&s->ops[i], w), 16);
            }
    }
    return FC_OK;
}

/* The latest idle one that is for this, taken out of the list. The lock is held. */
static fc_schedule *take_idle(fc_program *p, const fc_schedule *wanted, const fc_loss *loss) {
    for (fc_schedule **at = &p->idle; *at; at = &(*at)->next) {
        fc_schedule *s = *at;
        if (!is_for(s, wanted, loss)) continue;
        *at = s->next, p->arenas.idle--;
        return s;
    }
    return NULL;
}

/* Of those that are checked out or idle so many stay: a few for several sizes of a batch, or as many as ran at once. What
 * is beyond leaves the list, the oldest first. The lock is held. */
static fc_schedule *take_spare(fc_program *p) {
    enum { MOST_KEPT = 4 };
    const int kept = p->arenas.most > MOST_KEPT ? p->arenas.most : MOST_KEPT;
    int keeps = kept - p->arenas.out;
    fc_schedule **at = &p->idle;
    while (*at && keeps-- > 0) at = &(*at)->next;
    fc_schedule *spare = *at;
    *at = NULL;
    for (const fc_schedule *s = spare; s; s = s->next) p->arenas.idle--;
    return spare;
}

void fc_schedules_free(fc_schedule *s) {
    while (s) {
        fc_schedule *next = s->next;
        fc_schedule_free(s);
        s = next;
    }
}

void fc_schedule_give(fc_program *p, fc_schedule *s) {
    fc_lock();
    s->next = p->idle, p->idle = s;
    p->arenas.idle++, p->arenas.out--;
    fc_schedule *spare = take_spare(p);
    fc_unlock();
    fc_schedules_free(spare);
}

static fc_schedule *made(fc_program *p, const fc_schedule *wanted, const fc_loss *loss, fc_status *status) {
    fc_schedule *s = new_schedule(p);
    *status = FC_OUT_OF_MEMORY;
    if (!s) return NULL;
    s->kernels = wanted->kernels, s->N = wanted->N, s->batch_N = wanted->batch_N, s->parts = wanted->parts;
    s->threads = wanted->threads, s->mode = wanted->mode, s->losses = wanted->losses;
    for (int l = 0; l < s->losses; l++) s->loss_tensor[l] = loss[l].tensor;
    *status = build(p, s, loss);
    if (*status == FC_OK) return s;
    fc_schedule_free(s);
    return NULL;
}

static void give_random_numbers(const fc_program *p, fc_schedule *s, const fc_run *run) {
    for (int i = 0; i < p->count; i++)
        if (p->ops[i].kind == FC_OP_DROPOUT && p->ops[i].random)
            s->random[i] = run->random ? run->random[i] : *p->ops[i].random;
}

fc_schedule *fc_schedule_take(fc_program *p, const fc_run *run, fc_mode mode, fc_status *status) {
    const fc_part_of_batch *part = run->part;
    const fc_schedule wanted = {.kernels = fc_kernels_active(), .N = run->N, .batch_N = part ? part->N : run->N,
                                .parts = part ? part->parts : 1, .threads = fc_num_threads(), .mode = mode,
                                .losses = mode == FC_TRAIN ? run->losses : 0};
    *status = FC_OK;
    fc_lock();
    if (++p->arenas.out > p->arenas.most) p->arenas.most = p->arenas.out;
    fc_schedule *s = take_idle(p, &wanted, run->loss), *spare = s ? NULL : take_spare(p);
    fc_unlock();
    fc_schedules_free(spare);
    if (!s) {
        s = made(p, &wanted, run->loss, status);
        fc_lock();
        if (s) p->arenas.made++;
        else p->arenas.out--;
        fc_unlock();
    }
    if (s) give_random_numbers(p, s, run);
    return s;
}
