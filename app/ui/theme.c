/* theme.c - see theme.h. Palette numbers: 0-15 are the terminal's own, 16-255 the fixed cube. */
#include "app/ui/theme.h"

#include <string.h>

enum {
    D = COLOUR_DEFAULT,
    B = ATTR_BOLD,
    F = ATTR_FAINT,
    I = ATTR_ITALIC,
    U = ATTR_UNDERLINE,
    R = ATTR_REVERSE
};

/* clang-format off */
static const struct look looks[][STYLE_COUNT] = {
    [THEME_INHERIT] = {
        [STYLE_TEXT]   = {D, D, 0},     [STYLE_FAINT]  = {8, D, 0},  [STYLE_TITLE]  = {D, D, B},
        [STYLE_USER]   = {6, D, B},     [STYLE_OXBOW]  = {2, D, B},  [STYLE_HEAD]   = {4, D, B},
        [STYLE_STRONG] = {D, D, B},     [STYLE_EMPH]   = {D, D, I},  [STYLE_CODE]   = {3, D, 0},
        [STYLE_LINK]   = {4, D, U},     [STYLE_CITE]   = {5, D, 0},  [STYLE_WARN]   = {1, D, B},
        [STYLE_SELECT] = {D, D, R},     [STYLE_RULE]   = {8, D, 0},
    },
    [THEME_LIGHT] = {
        [STYLE_TEXT]   = {235, 255, 0}, [STYLE_FAINT]  = {244, 255, 0}, [STYLE_TITLE]  = {235, 255, B},
        [STYLE_USER]   = {24, 255, B},  [STYLE_OXBOW]  = {22, 255, B},  [STYLE_HEAD]   = {18, 255, B},
        [STYLE_STRONG] = {232, 255, B}, [STYLE_EMPH]   = {235, 255, I}, [STYLE_CODE]   = {94, 255, 0},
        [STYLE_LINK]   = {25, 255, U},  [STYLE_CITE]   = {90, 255, 0},  [STYLE_WARN]   = {124, 255, B},
        [STYLE_SELECT] = {232, 252, B}, [STYLE_RULE]   = {250, 255, 0},
    },
    [THEME_DARK] = {
        [STYLE_TEXT]   = {252, 234, 0}, [STYLE_FAINT]  = {243, 234, 0}, [STYLE_TITLE]  = {255, 234, B},
        [STYLE_USER]   = {80, 234, B},  [STYLE_OXBOW]  = {114, 234, B}, [STYLE_HEAD]   = {111, 234, B},
        [STYLE_STRONG] = {255, 234, B}, [STYLE_EMPH]   = {252, 234, I}, [STYLE_CODE]   = {180, 234, 0},
        [STYLE_LINK]   = {110, 234, U}, [STYLE_CITE]   = {176, 234, 0}, [STYLE_WARN]   = {203, 234, B},
        [STYLE_SELECT] = {255, 239, B}, [STYLE_RULE]   = {239, 234, 0},
    },
    [THEME_MONO] = {
        [STYLE_TEXT]   = {D, D, 0}, [STYLE_FAINT]  = {D, D, F}, [STYLE_TITLE]  = {D, D, B},
        [STYLE_USER]   = {D, D, B}, [STYLE_OXBOW]  = {D, D, B}, [STYLE_HEAD]   = {D, D, B | U},
        [STYLE_STRONG] = {D, D, B}, [STYLE_EMPH]   = {D, D, I}, [STYLE_CODE]   = {D, D, 0},
        [STYLE_LINK]   = {D, D, U}, [STYLE_CITE]   = {D, D, U}, [STYLE_WARN]   = {D, D, B | R},
        [STYLE_SELECT] = {D, D, R}, [STYLE_RULE]   = {D, D, F},
    },
};
static const char *const labels[] = {
    [THEME_INHERIT] = "inherit", [THEME_LIGHT] = "light", [THEME_DARK] = "dark", [THEME_MONO] = "mono",
};
/* clang-format on */

enum theme_name theme_find(const char *name) {
    for (int t = THEME_INHERIT; t <= THEME_MONO; t++)
        if (strcmp(labels[t], name) == 0) return (enum theme_name)t;
    return THEME_NONE;
}

struct look theme_look(enum theme_name theme, enum style style, int n_colours) {
    if (theme == THEME_NONE) theme = THEME_INHERIT;
    if (n_colours < 8)
        theme = THEME_MONO;
    else if (n_colours < 256 && (theme == THEME_LIGHT || theme == THEME_DARK))
        theme = THEME_INHERIT;
    struct look look = looks[theme][style];
    if (look.fg == 8 && n_colours < 16) look = (struct look){D, D, F}; /* no grey: faint */
    return look;
}
