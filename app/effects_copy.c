/* effects_copy.c - text to the clipboard: by the terminal, which also works over ssh, else by
 * wl-copy or xclip. See effects.h. */
#include "app/effects.h"

#include "app/child.h"

#include <string.h>

static bool has_env(const struct config *c, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; c->clip_env[i]; i++)
        if (strncmp(c->clip_env[i], name, n) == 0) return true;
    return false;
}

/* Under Wayland wl-copy, under X xclip. */
static int copy_by_program(struct effects *fx, const char *s, size_t n, const char **by,
                           ox_err *err) {
    static const char *const wayland[] = {"wl-copy", NULL};
    static const char *const x11[] = {"xclip", "-selection", "clipboard", NULL};
    bool is_wayland = has_env(fx->conf, "WAYLAND_DISPLAY="), is_x = has_env(fx->conf, "DISPLAY=");
    if (!is_wayland && !is_x) {
        ox_err_set(err, OX_EFAIL, "no way to the clipboard: neither Wayland nor X is here");
        return ox_err_fix(err, "/export writes a file; clipboard = terminal uses OSC 52");
    }
    *by = is_wayland ? wayland[0] : x11[0];
    int rc = child_feed(is_wayland ? wayland : x11, fx->conf->clip_env, s, n, err);
    return rc ? ox_err_fix(err, "clipboard = terminal in the config uses OSC 52") : 0;
}

int effects_copy(struct effects *fx, const char *s, size_t n_bytes, ox_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    enum config_clipboard how = fx->conf->clipboard;
    bool console = strcmp(fx->conf->term, "linux") == 0; /* the kernel's: knows no OSC 52 */
    const char *by = "OSC 52";
    int rc = how == CLIPBOARD_PROGRAM || (how == CLIPBOARD_AUTO && console)
                 ? OX_EFAIL
                 : term_copy(fx->term, s, n_bytes, err);
    if (rc && rc != OX_ENOMEM && how != CLIPBOARD_TERMINAL)
        rc = copy_by_program(fx, s, n_bytes, &by, err);
    if (!rc) effects_notice(fx, false, "copied %zu characters (%s)", n, by);
    return rc;
}
