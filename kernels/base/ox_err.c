/* ox_err.c - see ox_err.h. Apart, because all three layers report errors in this one form. */
#include "kernels/base/ox_err.h"

#include <stdio.h>
#include <string.h>

/* A text that was cut may end inside a UTF-8 character; drop the incomplete end. */
static void trim_tail(char *s) {
    size_t n = strlen(s), i = n;
    while (i > 0 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0) return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (n - (i - 1) < need) s[i - 1] = '\0';
}

/* Names from files and devices end up in messages, and messages on a terminal: no control byte but
 * the newline gets through, C1 controls (0xC2 0x80 .. 0xC2 0x9F) included. */
static void hide_controls(char *s) {
    for (unsigned char *p = (unsigned char *)s; *p; p++)
        if ((*p < 0x20 && *p != '\n') || *p == 0x7F)
            *p = '?';
        else if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)
            p[0] = p[1] = '?';
}

OX_PRINTF(3, 0)
static void format_into(char *dst, size_t cap, const char *fmt, va_list ap) {
    int n = vsnprintf(dst, cap, fmt, ap);
    if (n < 0) dst[0] = '\0';
    if ((size_t)(n < 0 ? 0 : n) >= cap) trim_tail(dst);
    hide_controls(dst);
}

/* What ox_err_set returned last on this thread, so that `return ox_err_fix(err, ..)` behind it
 * gives the same code to a caller who did not ask for the text. */
static _Thread_local int last_code = OX_EFAIL;

int ox_err_set(ox_err *err, int code, const char *what, ...) {
    last_code = code;
    if (!err) return code;
    char text[sizeof err->what]; /* what may name err's own fields: format before clearing */
    va_list ap;
    va_start(ap, what);
    format_into(text, sizeof text, what, ap);
    va_end(ap);
    err->code = code;
    memcpy(err->what, text, sizeof text);
    err->where[0] = err->fix[0] = '\0';
    return code;
}

int ox_err_fix(ox_err *err, const char *fix, ...) {
    if (!err) return last_code;
    char text[sizeof err->fix];
    va_list ap;
    va_start(ap, fix);
    format_into(text, sizeof text, fix, ap);
    va_end(ap);
    memcpy(err->fix, text, sizeof text);
    return err->code;
}

int ox_err_wrap(ox_err *err, int code, const char *step) {
    if (!err) return code;
    char chain[sizeof err->where + 64];
    snprintf(chain, sizeof chain, "%.60s%s%s", step, err->where[0] ? " > " : "", err->where);
    if (strlen(chain) >= sizeof err->where) chain[sizeof err->where - 1] = '\0';
    trim_tail(chain);
    memcpy(err->where, chain, strlen(chain) + 1);
    return code;
}

const char *ox_err_name(int code) {
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {OX_OK, "ok"},
        {OX_EFAIL, "failure"},
        {OX_EUSAGE, "usage"},
        {OX_EMODEL, "model"},
        {OX_EDEVICE, "device"},
        {OX_ENOTFOUND, "not found"},
        {OX_EFIT, "fit"},
        {OX_EDB, "database"},
        {OX_EBUSY, "busy"},
        {OX_ENOMEM, "memory"},
        {OX_EIO, "io"},
        {OX_EFORMAT, "format"},
        {OX_ECANCELLED, "cancelled"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code) return names[i].name;
    return "unknown";
}
