/* update_sides.c - two answers side by side, and several answers to one question with a seed each.
 * See update.h. */
#include "app/core/update.h"

#include "app/core/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which answers ------------------------------------------------------------------------------
 */

/* The n-th answer (from 1) to a question; NULL: there are fewer. */
static const struct chat_node *nth_answer(const struct app_state *s, int64_t question, size_t n) {
    for (size_t i = 0; i < s->chat.n && question; i++) {
        const struct chat_node *node = &s->chat.node[i];
        if (node->parent == question && node->role == OX_ROLE_ASSISTANT && --n == 0) return node;
    }
    return NULL;
}

/* What stands on the screen at this depth of the tree. */
static const struct chat_node *on_screen_beside(const struct app_state *s,
                                                const struct chat_node *node) {
    size_t depth = 0;
    for (const struct chat_node *up = node; up && up->parent; up = chat_find(&s->chat, up->parent))
        depth++;
    if (depth >= s->sheet.n || s->sheet.path[depth]->role != OX_ROLE_ASSISTANT) return NULL;
    return s->sheet.path[depth] == node ? NULL : s->sheet.path[depth];
}

/* A message, or to a question its answer that is on the screen, or its youngest. */
static const struct chat_node *answer_of(const struct app_state *s, const struct chat_node *node) {
    const struct chat_node *found = node->role == OX_ROLE_ASSISTANT ? node : NULL;
    for (size_t i = 0; i < s->chat.n && node->role == OX_ROLE_USER; i++)
        if (s->chat.node[i].parent == node->id) found = &s->chat.node[i];
    for (size_t i = 0; i < s->sheet.n && node->role == OX_ROLE_USER; i++)
        if (s->sheet.path[i]->parent == node->id) found = s->sheet.path[i];
    return found;
}

/* Another answer to the same question, else the answer to the question as it was edited. */
static const struct chat_node *other_than(const struct app_state *s, const struct chat_node *node) {
    size_t n = 0;
    int64_t id = chat_sibling(&s->chat, node->id, 1, NULL, &n);
    if (n > 1) return chat_find(&s->chat, id);
    id = chat_sibling(&s->chat, node->parent, 1, NULL, &n);
    const struct chat_node *question = n > 1 ? chat_find(&s->chat, id) : NULL;
    return question ? answer_of(s, question) : NULL;
}

/* ---- showing ------------------------------------------------------------------------------------
 */

static int show_two(struct update *u, const struct chat_node *a, const struct chat_node *b) {
    struct app_state *s = u->s;
    int rc = sides_take(&s->sides, a, b, u->err);
    if (rc) return rc;
    if (s->overlay != OVERLAY_SIDES) s->sides_in_tree = s->overlay == OVERLAY_TREE;
    s->overlay = OVERLAY_SIDES;
    s->sides_top = 0;
    return 0;
}

int update_compare(struct update *u, int64_t message) {
    struct app_state *s = u->s;
    const struct chat_node *node = chat_find(&s->chat, message), *other = NULL;
    node = node ? answer_of(s, node) : NULL;
    if (node) other = on_screen_beside(s, node);
    if (other) return show_two(u, other, node);
    if (node) other = other_than(s, node);
    if (other) return show_two(u, node, other);
    state_notice(s, false, "there is no other answer; r makes one, s three");
    return 0;
}

static int64_t last_question(const struct app_state *s) {
    for (size_t i = s->sheet.n; i-- > 0;)
        if (s->sheet.path[i]->role == OX_ROLE_USER) return s->sheet.path[i]->id;
    return 0;
}

static const struct chat_node *shown_answer(const struct app_state *s) {
    const struct chat_node *last = s->sheet.n > 0 ? s->sheet.path[s->sheet.n - 1] : NULL;
    return last && last->role == OX_ROLE_ASSISTANT ? last : NULL;
}

int update_compare_numbers(struct update *u, const char *numbers) {
    struct app_state *s = u->s;
    char *end;
    size_t n = strtoul(numbers, &end, 10), m = strtoul(end, NULL, 10);
    int64_t question = last_question(s);
    const struct chat_node *shown = shown_answer(s);
    const struct chat_node *a = m ? nth_answer(s, question, n) : shown;
    const struct chat_node *b = m ? nth_answer(s, question, m) : nth_answer(s, question, n);
    if (n == 0) return update_compare(u, shown ? shown->id : question);
    if (a && b && a != b) return show_two(u, a, b);
    state_notice(s, false, "the last question has no such two answers");
    return 0;
}

int update_take_answer(struct update *u, size_t n) {
    const struct chat_node *node = n ? nth_answer(u->s, last_question(u->s), n) : NULL;
    if (node) return update_show_leaf(u, chat_leaf_below(&u->s->chat, node->id));
    state_notice(u->s, false, "the last question has no answer %zu", n);
    return 0;
}

void update_leave_overlay(struct app_state *s) {
    bool to_tree = s->overlay == OVERLAY_SIDES && s->sides_in_tree;
    s->overlay = to_tree ? OVERLAY_TREE : OVERLAY_NONE;
}

/* ---- keys ---------------------------------------------------------------------------------------
 */

/* The next sibling of the second one that is not the first. */
static int show_other(struct update *u, int step) {
    struct app_state *s = u->s;
    int64_t first = s->sides.side[0].id, id = s->sides.side[1].id;
    size_t n = 0;
    do
        id = chat_sibling(&s->chat, id, step, NULL, &n);
    while (id == first && n > 1);
    const struct chat_node *a = chat_find(&s->chat, first), *b = chat_find(&s->chat, id);
    if (a && b && id != s->sides.side[1].id) return show_two(u, a, b);
    state_notice(s, false, "these are all; r makes another answer, s three");
    return 0;
}

static int swap(struct update *u) {
    struct app_state *s = u->s;
    const struct chat_node *a = chat_find(&s->chat, s->sides.side[0].id),
                           *b = chat_find(&s->chat, s->sides.side[1].id);
    size_t top = s->sides_top;
    int rc = a && b ? show_two(u, b, a) : 0;
    s->sides_top = top;
    return rc;
}

static int take(struct update *u, int which) {
    struct app_state *s = u->s;
    if (state_is_busy(s)) return update_show_leaf(u, s->chat.leaf); /* says why not */
    s->overlay = OVERLAY_NONE;
    return update_show_leaf(u, chat_leaf_below(&s->chat, s->sides.side[which].id));
}

static void find_difference(struct app_state *s, int step) {
    size_t at = sides_next(&s->sides, s->sides_top, step);
    if (at == SIZE_MAX)
        state_notice(s, false, "no more differences");
    else
        s->sides_top = at;
}

int update_sides_key(struct update *u, enum request r) {
    struct app_state *s = u->s;
    const struct sides_place place = sides_place(s->pane.list);
    int rc = sides_lay_out(&s->sides, (size_t)place.text[0].w, u->err);
    if (rc) return rc;
    switch ((int)r) {
    case REQ_FIND_NEXT:
    case REQ_FIND_PREV: find_difference(s, r == REQ_FIND_NEXT ? 1 : -1); return 0;
    case REQ_SIBLING_PREV: return show_other(u, -1);
    case REQ_SIBLING_NEXT: return show_other(u, 1);
    case REQ_NEXT_PANE: return swap(u);
    case REQ_TAKE_FIRST: return take(u, 0);
    case REQ_TAKE_SECOND: return take(u, 1);
    default: s->sides_top = update_read_top(r, s->sides_top, s->sides.n, (size_t)place.text[0].h);
    }
    return 0;
}

/* ---- several seeds ------------------------------------------------------------------------------
 */

int update_seeds(struct update *u, int64_t question, const char *n) {
    struct app_state *s = u->s;
    size_t wanted = n ? strtoul(n, NULL, 10) : COMMAND_SEEDS;
    if (state_is_busy(s))
        state_notice(s, false, "Esc stops the answer first");
    else if (!nth_answer(s, question, 1))
        state_notice(s, false, "no question was answered yet");
    else if (wanted < 2 || wanted > COMMAND_SEEDS_MOST)
        state_notice(s, false, "/seeds N: 2 to %d answers", COMMAND_SEEDS_MOST);
    else {
        s->seeds.n = wanted;
        s->seeds.done = 0;
        return update_regen(u, question, NULL);
    }
    return 0;
}

static bool is_whole(enum chat_end end) {
    return end == CHAT_DONE || end == CHAT_LENGTH;
}

/* The first two of the last n complete answers to a question. Words that are being typed are not
 * covered: it is told then. */
static int show_made(struct update *u, int64_t question, size_t n) {
    struct app_state *s = u->s;
    const struct chat_node *two[2] = {NULL, NULL}, *node;
    size_t n_all = 0, n_seen = 0, n_two = 0;
    for (size_t i = 1; (node = nth_answer(s, question, i)); i++)
        n_all += is_whole(node->end);
    for (size_t i = 1; (node = nth_answer(s, question, i)) && n_two < 2; i++)
        if (is_whole(node->end) && n_seen++ + n >= n_all) two[n_two++] = node;
    if (n_two < 2) return 0;
    bool is_free = s->overlay == OVERLAY_NONE && s->screen == SCREEN_CHAT &&
                   edit_is_empty(&s->input) && s->queued.n == 0;
    if (is_free) return show_two(u, two[0], two[1]);
    state_notice(s, false, "%zu answers are there; /compare shows two side by side", n);
    return 0;
}

bool update_seeds_go_on(struct update *u, int64_t question, enum chat_end end, int *rc) {
    struct app_state *s = u->s;
    if (s->seeds.n == 0) return false;
    s->seeds.done += is_whole(end);
    if (is_whole(end) && s->seeds.done < s->seeds.n) {
        *rc = update_regen(u, question, NULL);
        return *rc == 0;
    }
    size_t made = s->seeds.done;
    s->seeds.n = s->seeds.done = 0;
    *rc = show_made(u, question, made);
    return false;
}
