/* theme.h - the 14 style names as colours and attributes. The one file to edit for another look.
 *
 * inherit uses the terminal's own 16 colours and paints no background. Meaning is never colour
 * alone: without colours bold, underline and reverse remain (NO_COLOR, mono). Pure. */
#ifndef UI_THEME_H
#define UI_THEME_H

#include "app/core/wrap.h"

enum theme_name { THEME_NONE, THEME_INHERIT, THEME_LIGHT, THEME_DARK, THEME_MONO };

enum { ATTR_BOLD = 1, ATTR_FAINT = 2, ATTR_ITALIC = 4, ATTR_UNDERLINE = 8, ATTR_REVERSE = 16 };
enum { COLOUR_DEFAULT = -1 }; /* else 0..255, the terminal's palette */

struct look {
    int16_t fg, bg;
    uint8_t attr;
};

enum theme_name theme_find(const char *name); /* THEME_NONE: no such theme */
/* n_colours: what the terminal has; 0 gives the mono look whatever the theme. */
struct look theme_look(enum theme_name theme, enum style style, int n_colours);

#endif
