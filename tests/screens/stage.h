/* stage.h - for tests of screens: a state played by keys and events, drawn, compared with a text
 * file.
 *
 * Expected frames are tests/screens/NAME.txt; `OXBOW_SCREENS=write` rewrites them, and the diff is
 * read by whoever changed the look. */
#ifndef STAGE_H
#define STAGE_H

#include "app/core/update.h"
#include "app/ui/frame.h"

struct stage {
    struct app_state s;
    struct effect_list fx;
    struct frame f;
    double now;
};

void stage_open(struct stage *st, int w, int h);
void stage_close(struct stage *st);
void stage_event(struct stage *st, struct event ev);
/* Keys by name, parted by spaces ("a b Enter Ctrl-P"); a word in quotes ('..') is typed. */
void stage_keys(struct stage *st, const char *keys);
void stage_size(struct stage *st, int w, int h);
void stage_draw(struct stage *st);
void stage_check(struct stage *st, const char *name); /* against tests/screens/NAME.txt */
bool stage_has(struct stage *st, const char *text);   /* somewhere on the screen, in one row */
const struct effect *stage_effect(const struct stage *st,
                                  enum effect_kind kind); /* the last of a kind */

/* The harbour of PRODUCT.md section 4. */
void stage_harbour_doc(struct stage *st);
void stage_harbour_chat(struct stage *st); /* a document, an answer with citations */
void stage_sessions(struct stage *st);
void stage_hits(struct stage *st); /* of the words "harbour", if they are still in the filter */
void stage_answer(struct stage *st, const char *text); /* EV_TEXT */

#endif
