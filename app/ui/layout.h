/* layout.h - screen size and state into rectangles. Called before update and before drawing, so
 * that keys, mouse and views agree about where things are. */
#ifndef UI_LAYOUT_H
#define UI_LAYOUT_H

#include "app/core/state.h"

enum {
    LAYOUT_SPLIT_WIDTH = 100,
    LAYOUT_NARROW = 60
}; /* document beside the transcript; short status */

enum { /* of the document pane */
       LAYOUT_CITES = 6,
       LAYOUT_MAP_ROWS = 3,
       LAYOUT_CITES_FROM = 24 /* rows of the pane: citations and map below the text */
};

/* Fills s->pane and tells the transcript its width; the line at the top of the view stays there. */
void layout_screen(struct app_state *s);
bool layout_shows_bar(const struct app_state *s); /* the two rows of a long read */

#endif
