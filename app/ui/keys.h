/* keys.h - bytes from a terminal into keys, pastes and mouse reports.
 *
 * Feed it whatever read(2) gave, cut anywhere. A paste lies between the marks of bracketed paste;
 * its bytes are collected here in blocks and never looked at as keys. An end mark with another one
 * behind it, and no start between, was part of the pasted text (an attempt to break out) and stays
 * in it. Pure, one caller at a time. */
#ifndef UI_KEYS_H
#define UI_KEYS_H

#include "app/core/keymap.h"

enum input_kind { INPUT_NONE, INPUT_KEY, INPUT_PASTE, INPUT_MOUSE };
enum mouse_what {
    MOUSE_NONE,
    MOUSE_PRESS,
    MOUSE_DRAG,
    MOUSE_RELEASE,
    MOUSE_WHEEL_UP,
    MOUSE_WHEEL_DOWN
};

struct input {
    enum input_kind kind;
    uint32_t key;          /* KEY: keymap.h */
    enum mouse_what mouse; /* MOUSE: cell, from 0 */
    int x, y;
    struct buf paste; /* PASTE: owned, taken over by the receiver; raw bytes */
};

struct keys {
    struct buf bytes; /* not understood yet */
    size_t used;
    bool is_pasting;
    struct buf paste;
};

enum { KEYS_ESC_MS = 40, KEYS_PASTE_MS = 2000 };

int keys_feed(struct keys *k, const char *s, size_t n, ox_err *err);
/* The next thing that is complete; false: more bytes are needed. */
bool keys_next(struct keys *k, struct input *out);
/* Milliseconds after which keys_expire should be called without new bytes; -1: never. */
int keys_wait_ms(const struct keys *k);
void keys_expire(struct keys *k,
                 struct input *out); /* a lone Esc is Esc; a paste without end ends */
void keys_deinit(struct keys *k);

#endif
