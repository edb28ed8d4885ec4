/* stage.c - see stage.h. Included by the tests that use it (one program a test file). */
#include "tests/screens/stage.h"

#include "app/ui/layout.h"
#include "app/ui/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { NOON_S = 1764061200 }; /* 2025-11-25 09:00 UTC */

void stage_open(struct stage *st, int w, int h) {
    *st = (struct stage){.now = NOON_S};
    assert_int_equal(state_init(&st->s, NULL), 0);
    assert_int_equal(frame_init(&st->f, w, h, NULL), 0);
    st->s.is_utf8 = false; /* as the mock-ups are drawn */
    stage_event(st, (struct event){.kind = EV_RESIZE, .x = w, .y = h});
    struct event loaded = {.kind = EV_LOADED, .model = {.limit = 65536, .trained = 32768}};
    snprintf(loaded.model.name, sizeof loaded.model.name, "oxbow-mini");
    stage_event(st, loaded);
}

void stage_close(struct stage *st) {
    effect_list_deinit(&st->fx);
    state_deinit(&st->s);
    frame_deinit(&st->f);
}

void stage_event(struct stage *st, struct event ev) {
    ev.now = st->now;
    layout_screen(&st->s);
    assert_int_equal(update(&st->s, &ev, &st->fx, NULL), 0);
}

void stage_keys(struct stage *st, const char *keys) {
    while (*keys) {
        size_t n = 0;
        if (*keys == '\'') {
            for (keys++; *keys != '\''; keys++)
                stage_event(st, (struct event){.kind = EV_KEY, .key = (unsigned char)*keys});
            n = 1;
        } else {
            n = strcspn(keys, " ");
            uint32_t key = keymap_parse(keys, n);
            if (!key) fail_msg("not a key: %s", keys);
            stage_event(st, (struct event){.kind = EV_KEY, .key = key});
        }
        keys += n;
        while (*keys == ' ')
            keys++;
    }
}

void stage_size(struct stage *st, int w, int h) {
    stage_event(st, (struct event){.kind = EV_RESIZE, .x = w, .y = h});
    assert_int_equal(frame_init(&st->f, w, h, NULL), 0);
}

void stage_draw(struct stage *st) {
    view_screen(&st->s, &st->f);
}

bool stage_has(struct stage *st, const char *text) {
    struct buf dump = {0};
    stage_draw(st);
    assert_int_equal(frame_dump(&st->f, &dump, NULL), 0);
    bool has = strstr(buf_str(&dump), text) != NULL;
    buf_deinit(&dump);
    return has;
}

const struct effect *stage_effect(const struct stage *st, enum effect_kind kind) {
    for (size_t i = st->fx.n; i-- > 0;)
        if (st->fx.v[i].kind == kind) return &st->fx.v[i];
    return NULL;
}

void stage_check(struct stage *st, const char *name) {
    char path[512];
    struct buf got = {0};
    stage_draw(st);
    assert_int_equal(frame_dump(&st->f, &got, NULL), 0);
    buf_printf(&got, NULL, "cursor %d,%d\n", st->f.cursor_x, st->f.cursor_y);
    snprintf(path, sizeof path, "%s/screens/%s.txt", OXBOW_TEST_DIR, name);
    const char *mode = getenv("OXBOW_SCREENS");
    if (mode && strcmp(mode, "write") == 0) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fwrite(got.p, 1, got.n, out);
        fclose(out);
    }
    struct buf want = {0};
    FILE *in = fopen(path, "r");
    if (!in) fail_msg("no %s: OXBOW_SCREENS=write makes it", path);
    for (int c; (c = fgetc(in)) != EOF;)
        buf_putc(&want, (char)c, NULL);
    fclose(in);
    if (strcmp(buf_str(&want), buf_str(&got)) != 0)
        fail_msg("%s differs; the screen is now:\n%s", path, buf_str(&got));
    buf_deinit(&want);
    buf_deinit(&got);
}

/* ---- the harbour --------------------------------------------------------------------------------
 */

static const char *const harbour_lines[] = {
    "9 Nov. Wind NW 10. Barometer falling.",
    "The clerk reports no answer from the Skerry after seven.",
    "The clerk tried four times, then closed.",
    "",
    "Went to the Mole with two men.",
    "From the wall we saw that the lamp was out at",
    "a quarter to nine and the glass broken.",
    "Boat could not be launched.",
    "Water over the lower step, highest yet.",
    "",
    "10 Nov. Wind W 8. The Mole lit again by hand",
    "at twenty past five in the morning.",
    "Paid: two men, one night, 8 shillings.",
};

void stage_harbour_doc(struct stage *st) {
    struct buf text = {0};
    size_t n = sizeof harbour_lines / sizeof harbour_lines[0];
    for (int i = 1; i < 397; i++)
        buf_printf(&text, NULL, "Entry %d of the harbour log.\n", i);
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, NULL, "%s\n", harbour_lines[i]);
    for (int i = 410; i <= 3118; i++)
        buf_printf(&text, NULL, "Entry %d of the harbour log.\n", i);
    struct event ev = {.kind = EV_DOC, .doc = {.id = 1, .n_tokens = 39870}};
    ev.doc.name = ox_strdup("harbour-log.txt", "name", NULL);
    ev.doc.text = buf_take(&text, &ev.doc.n_bytes);
    assert_int_equal(cite_index_new(ev.doc.text, ev.doc.n_bytes, &ev.doc.index, NULL), 0);
    stage_event(st, ev);
}

static void add_node(struct chat *tree, int64_t id, int64_t parent, enum ox_role role,
                     const char *text, int minute, struct chat_ledger ledger, enum chat_end end,
                     bool with_doc) {
    struct chat_node node = {.id = id,
                             .parent = parent,
                             .role = role,
                             .end = end,
                             .ledger = ledger,
                             .created_us = (int64_t)(NOON_S + 60 * minute) * 1000000,
                             .n_bytes = strlen(text)};
    node.text = ox_strdup(text, "text", NULL);
    if (with_doc) {
        node.docs = ox_alloc(1, sizeof *node.docs, "doc", NULL);
        node.docs[0] = (struct chat_doc){.doc = 1, .to = 1000};
        node.n_docs = 1;
    }
    assert_int_equal(chat_add(tree, &node, NULL), 0);
}

void stage_harbour_chat(struct stage *st) {
    struct event ev = {.kind = EV_CHAT};
    ev.chat.id = 7;
    snprintf(ev.chat.uid, sizeof ev.chat.uid, "3f2a000000000000");
    snprintf(ev.chat.title, sizeof ev.chat.title, "Harbour log 1911");
    struct chat_ledger none = {0}, first = {.n_in = 41255,
                                            .n_reused = 41233,
                                            .n_out = 96,
                                            .exact = true,
                                            .decode_s = 3.4};
    add_node(&ev.chat.tree, 1, 0, OX_ROLE_USER, "Which lights failed in the storm, and when?", 14,
             none, CHAT_DONE, true);
    add_node(&ev.chat.tree, 2, 1, OX_ROLE_ASSISTANT,
             "Two lights failed in the night of 9 November:\n\n"
             "- North Mole: \"the lamp was out at a quarter to nine\"\n"
             "- Skerry: \"no answer from the Skerry after seven\"\n"
             "- Inner Bank: \"dark from midnight on\"\n\n"
             "The pilot's own note puts the highest water at",
             14, first, CHAT_STOPPED, false);
    stage_event(st, ev);
    stage_harbour_doc(st);
}

void stage_sessions(struct stage *st) {
    static const struct {
        const char *uid, *title, *state;
        int64_t back_s;
        size_t turns, tokens;
        bool pinned;
        size_t saved;
    } rows[] = {
        {"3f2a", "Harbour log 1911", "saved", 0, 7, 41233, false, 41233},
        {"b710", "Harbour dues: draft letter", "saved", 86400, 12, 18003, false, 18003},
        {"0c4e", "Harbour act, second reading", "part", 13 * 86400, 3, 63900, false, 40960},
        {"91d3", "Who built the harbour wall?", "none", 22 * 86400, 22, 9400, false, 0},
        {"a02c", "Glossary for the harbour museum", "saved", 84 * 86400, 41, 30500, true, 30500},
        {"77aa", "Bread with rye", "saved", 100 * 86400, 1, 210, false, 210},
    };
    struct session_row list[6] = {{0}};
    for (size_t i = 0; i < 6; i++) {
        list[i] =
            (struct session_row){.id = (int64_t)i + 1,
                                 .when_us = (int64_t)(NOON_S + 840 - rows[i].back_s) * 1000000,
                                 .n_turns = rows[i].turns,
                                 .n_tokens = rows[i].tokens,
                                 .n_branches = 2,
                                 .n_docs = 1,
                                 .is_pinned = rows[i].pinned,
                                 .n_saved = rows[i].saved,
                                 .load_s = 0.4,
                                 .us_per_token = 500};
        snprintf(list[i].uid, sizeof list[i].uid, "%s000000000000", rows[i].uid);
        snprintf(list[i].title, sizeof list[i].title, "%s", rows[i].title);
        snprintf(list[i].state, sizeof list[i].state, "%s", rows[i].state);
    }
    stage_keys(st, "Ctrl-S");
    stage_event(st, (struct event){.kind = EV_SESSIONS, .rows = list, .n = 6});
    const char *last =
        "Two lights failed in the night of 9 November: the North Mole and the Skerry.";
    stage_event(st, (struct event){.kind = EV_PREVIEW, .id = 1, .text = last, .n = strlen(last)});
}

void stage_hits(struct stage *st) {
    static const struct search_hit hits[] = {
        {.chat = 1,
         .message = 2,
         .uid = "3f2a000000000000",
         .title = "Harbour log 1911",
         .turn = 4,
         .snippet = "...the storm took the roof of the pilot house, and the [harbour] master wrote "
                    "that the lamp was out at nine..."},
        {.chat = 2,
         .message = 9,
         .uid = "b710000000000000",
         .title = "Harbour dues: draft letter",
         .turn = 1,
         .snippet = "What does the [harbour] take from small boats?"},
        {.doc = 1,
         .uid = "d7c1000000000000",
         .title = "harbour-log.txt",
         .line = 412,
         .from = 9,
         .snippet = "Entry 412 of the [harbour] log."},
    };
    stage_event(st, (struct event){.kind = EV_HITS, .text = "harbour", .hits = hits, .n = 3});
}

void stage_answer(struct stage *st, const char *text) {
    stage_event(st, (struct event){.kind = EV_TEXT, .text = text, .n = strlen(text), .number = 8});
}
