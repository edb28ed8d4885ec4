/* view_tree.c - the branches of a session, one message a row. See view.h. */
#include "app/ui/view.h"

#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

static bool is_on_path(const struct app_state *s, int64_t id) {
    for (size_t i = 0; i < s->sheet.n; i++)
        if (s->sheet.path[i]->id == id) return true;
    return false;
}

void view_tree(struct app_state *s, struct frame *f) {
    char what[64];
    snprintf(what, sizeof what, "Tree | %zu message%s, %zu branch%s", s->n_tree,
             s->n_tree == 1 ? "" : "s", s->n_branches, s->n_branches == 1 ? "" : "es");
    view_head(s, f, what, "* on screen");
    struct rect r = s->pane.list;
    for (int i = 0; i < r.h && s->list_top + (size_t)i < s->n_tree; i++) {
        size_t at = s->list_top + (size_t)i;
        const struct tree_row *row = &s->tree[at];
        const struct chat_node *node = &s->chat.node[row->node];
        char time[8];
        int y = r.y + i, x = 3 + 2 * (int)(row->depth < 20 ? row->depth : 20);
        bool is_user = node->role == OX_ROLE_USER;
        frame_puts(f, 1, y, f->w, is_on_path(s, row->id) ? "*" : " ", STYLE_TITLE);
        x = frame_puts(f, x, y, f->w,
                       is_user                        ? "you    "
                       : node->role == OX_ROLE_SYSTEM ? "system "
                                                      : "oxbow  ",
                       is_user ? STYLE_USER : STYLE_OXBOW);
        view_time(s, node->created_us, time);
        x = view_printf(f, x, y, f->w, STYLE_FAINT, "%s  ", time);
        view_text(f, x, y, f->w, node->text ? node->text : "",
                  node->text ? strcspn(node->text, "\n") : 0, STYLE_TEXT);
        if (at == s->list_chosen) frame_style(f, (struct rect){0, y, f->w, 1}, STYLE_SELECT);
    }
}
