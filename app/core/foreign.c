/* foreign.c - see foreign.h. */
#include "app/core/foreign.h"

#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

enum { TITLE_CELLS = 60 };

static int add_field(struct buf *out, const char *name, const char *s, size_t n, ox_err *err) {
    int rc = buf_printf(out, err, ",\"%s\":", name);
    return rc ? rc : text_json(out, s, n, err);
}

int foreign_add(struct foreign *f, const struct foreign_message *m, ox_err *err) {
    struct buf *b = &f->messages;
    size_t start = b->n;
    int rc = buf_printf(b, err, "{\"kind\":\"message\",\"id\":%zu,\"parent\":%zu,\"role\":\"%s\"",
                        f->n_messages + 1, m->parent, m->role);
    if (!rc)
        rc = buf_printf(b, err, ",\"state\":\"%s\",\"created_us\":%lld", m->state,
                        (long long)m->created_us);
    if (!rc) rc = add_field(b, "text", m->text, m->n_text, err);
    if (!rc && m->n_thought) rc = add_field(b, "thought", m->thought, m->n_thought, err);
    if (!rc) rc = buf_puts(b, "}\n", err);
    if (!rc && !f->title.n && strcmp(m->role, "user") == 0)
        rc = text_brief(&f->title, m->text, strcspn(m->text, "\n"), TITLE_CELLS, err);
    if (rc) {
        buf_cut(b, start);
        return rc;
    }
    if (m->created_us && !f->first_us) f->first_us = m->created_us;
    if (m->created_us > f->last_us) f->last_us = m->created_us;
    f->n_messages++;
    return 0;
}

int foreign_end(struct foreign *f, const struct foreign_session *s, ox_err *err) {
    struct buf *b = &f->lines;
    size_t start = b->n;
    int rc = 0;
    if (!f->n_messages) goto out;
    const char *title = s->title && s->title[0] ? s->title : buf_str(&f->title);
    rc = buf_puts(b, "{\"oxbow\":1,\"kind\":\"session\"", err);
    if (!rc) rc = add_field(b, "title", title, strlen(title), err);
    if (!rc)
        rc = buf_printf(b, err, ",\"created_us\":%lld,\"updated_us\":%lld,\"leaf\":%zu",
                        (long long)(s->created_us ? s->created_us : f->first_us),
                        (long long)(s->updated_us ? s->updated_us : f->last_us),
                        s->leaf ? s->leaf : f->n_messages);
    if (!rc) rc = buf_printf(b, err, ",\"source\":{\"name\":\"%s\"", s->source);
    if (!rc) rc = add_field(b, "id", s->id, strlen(s->id), err);
    if (!rc) rc = buf_puts(b, "}}\n", err);
    if (!rc) rc = buf_add(b, f->messages.p, f->messages.n, err);
    if (rc) buf_cut(b, start);
out:
    buf_cut(&f->messages, 0);
    buf_cut(&f->title, 0);
    f->n_messages = 0;
    f->first_us = f->last_us = 0;
    return rc;
}

void foreign_deinit(struct foreign *f) {
    buf_deinit(&f->lines);
    buf_deinit(&f->messages);
    buf_deinit(&f->title);
    *f = (struct foreign){0};
}

int foreign_say_left(const struct foreign *f, struct buf *out, ox_err *err) {
    static const char *const names[FOREIGN_KINDS] = {"tool message", "attachment", "hidden message",
                                                     "thing not understood"};
    static const char *const many[FOREIGN_KINDS] = {"tool messages", "attachments",
                                                    "hidden messages", "things not understood"};
    int rc = 0;
    bool is_first = true;
    for (int i = 0; !rc && i < FOREIGN_KINDS; i++) {
        if (!f->left[i]) continue;
        rc = buf_printf(out, err, "%s%zu %s", is_first ? "" : ", ", f->left[i],
                        f->left[i] == 1 ? names[i] : many[i]);
        is_first = false;
    }
    return rc;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar; years from March on, so that the leap
 * day is the last one. */
static int64_t days_of(int y, int m, int d) {
    int64_t year = m <= 2 ? y - 1 : y, era = year / 400, in_era = year - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day - 719468;
}

int64_t foreign_time(const char *iso) {
    int y, mo, d, h, mi, s, used = 0, zh = 0, zm = 0;
    if (sscanf(iso, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &used) != 6 ||
        !used || y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 24 || mi > 59 || s > 60)
        return 0;
    const char *p = iso + used;
    int64_t us = 0, unit = 100000;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            us += (*p - '0') * unit;
    if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2d:%2d", &zh, &zm) == 2 && *p == '-')
        zh = -zh, zm = -zm;
    int64_t seconds = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - zh * 3600 - zm * 60;
    return seconds * 1000000 + us;
}
