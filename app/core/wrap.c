/* wrap.c - see wrap.h. One pass over the clusters; remembers the last place where a row may end. */
#include "app/core/wrap.h"

#include "app/core/text.h"

#include <string.h>

enum { MIN_TEXT_CELLS = 4 }; /* an indent never leaves less than this, or nesting eats the row */

static int push_row(struct row_list *out, struct row row, ox_err *err) {
    int rc = ox_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v, err);
    if (!rc) out->v[out->n++] = row;
    return rc;
}

static size_t room_beside(size_t width, size_t indent) {
    if (width == 0) width = 1;
    size_t least = width < MIN_TEXT_CELLS ? width : MIN_TEXT_CELLS;
    return indent + least > width ? least : width - indent;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* Breaking after a hyphen helps long compounds; elsewhere it is a minus, an option, or 412-413. */
static bool is_break_after(const char *text, const struct wrap_line *line, size_t at, int width) {
    bool is_inside = text[at] == '-' && at > line->from && at + 1 < line->to;
    return width == 2 || (is_inside && is_letter(text[at - 1]) && is_letter(text[at + 1]));
}

int wrap_rows(const char *text, const struct wrap_line *line, size_t width, struct row_list *out,
              ox_err *err) {
    size_t start = line->from, at = line->from, used = 0;
    size_t room = room_beside(width, line->lead_cells);
    size_t cut = 0,
           resume = 0; /* where the row may end, where the next one then starts; 0: nowhere */
    bool first = true;
    while (at < line->to) {
        int cells = 0;
        size_t n = text_cluster(text + at, line->to - at, &cells);
        bool is_space = text[at] == ' ';
        if (line->how == WRAP_WORDS && is_space && at > start) cut = at, resume = at + 1;
        if (used + (size_t)cells > room && used > 0 && !(is_space && line->how == WRAP_WORDS)) {
            bool by_word = line->how == WRAP_WORDS && cut > start;
            size_t end = by_word ? cut : at;
            while (by_word && end > start && text[end - 1] == ' ')
                end--;
            struct row row = {line->id, start, end, first};
            int rc = push_row(out, row, err);
            if (rc) return rc;
            start = at = by_word ? resume : at;
            used = 0, cut = 0, first = false;
            room = room_beside(width, line->rest_cells);
            continue;
        }
        used += (size_t)cells;
        if (line->how == WRAP_WORDS && is_break_after(text, line, at, cells)) cut = resume = at + n;
        at += n;
    }
    size_t end = line->to;
    if (line->how == WRAP_WORDS)
        while (end > start && text[end - 1] == ' ')
            end--;
    return push_row(out, (struct row){line->id, start, end, first}, err);
}

void wrap_columns(size_t *width, size_t n, size_t room) {
    size_t n_wide = n, left = room, share = n ? room / n : 0;
    for (bool again = true; again && n_wide > 0;) {
        n_wide = 0, left = room;
        for (size_t i = 0; i < n; i++)
            if (width[i] > share)
                n_wide++;
            else
                left -= width[i];
        size_t next = n_wide ? left / n_wide : share;
        again = next > share;
        share = next;
    }
    for (size_t i = 0; i < n; i++) {
        if (width[i] <= share) continue;
        width[i] = left / n_wide;
        left -= width[i];
        n_wide--;
    }
}

void row_list_deinit(struct row_list *rows) {
    ox_free(rows->v);
    *rows = (struct row_list){0};
}
