/* keys.c - see keys.h. The sequences are those of xterm and of what followed it; terminfo names
 * them under many spellings that all come down to these. */
#include "app/ui/keys.h"

#include "app/core/text.h"

#include <string.h>

static const char paste_on[] = "\033[200~", paste_off[] = "\033[201~";
enum { MARK_BYTES = 6, MAX_SEQUENCE = 48 };

static const uint32_t letters[128] = {
    ['A'] = KEY_UP,   ['B'] = KEY_DOWN, ['C'] = KEY_RIGHT, ['D'] = KEY_LEFT,
    ['H'] = KEY_HOME, ['F'] = KEY_END,  ['P'] = KEY_F1,    ['Q'] = KEY_F2,
    ['R'] = KEY_F3,   ['S'] = KEY_F4,   ['M'] = KEY_ENTER,
};
static const uint32_t tildes[] = {
    [1] = KEY_HOME, [2] = KEY_INSERT, [3] = KEY_DELETE, [4] = KEY_END,  [5] = KEY_PGUP,
    [6] = KEY_PGDN, [7] = KEY_HOME,   [8] = KEY_END,    [11] = KEY_F1,  [12] = KEY_F2,
    [13] = KEY_F3,  [14] = KEY_F4,    [15] = KEY_F5,    [17] = KEY_F6,  [18] = KEY_F7,
    [19] = KEY_F8,  [20] = KEY_F9,    [21] = KEY_F10,   [23] = KEY_F11, [24] = KEY_F12,
};

int keys_feed(struct keys *k, const char *s, size_t n, ox_err *err) {
    if (k->used > 0) {
        buf_splice(&k->bytes, 0, k->used, "", 0, NULL);
        k->used = 0;
    }
    return buf_add(&k->bytes, s, n, err);
}

static uint32_t control_key(unsigned char c) {
    switch (c) {
    case '\r': return KEY_ENTER;
    case '\t': return KEY_TAB;
    case 0x7F: return KEY_BACKSPACE;
    case 0x1B: return KEY_ESC;
    case 0: return KEY_CTRL | ' ';
    default: return KEY_CTRL | (c <= 26 ? (uint32_t)c + 0x60 : (uint32_t)c + 0x40);
    }
}

static uint32_t modified(uint32_t key, unsigned mod) {
    if (mod < 2) return key;
    mod--;
    if ((mod & 1) && key >= KEY_ENTER) key |= KEY_SHIFT;
    if (mod & 2) key |= KEY_ALT;
    if (mod & 4) key |= KEY_CTRL;
    return key;
}

/* The code point of CSI u and of xterm's modifyOtherKeys. */
static uint32_t coded_key(unsigned cp, unsigned mod) {
    uint32_t key = cp < 0x20 || cp == 0x7F ? control_key((unsigned char)cp) : cp;
    if (cp > 0x10FFFF) return KEY_NONE;
    return modified(key, mod);
}

static void read_mouse(const unsigned *v, char final, struct input *out) {
    unsigned b = v[0];
    *out = (struct input){.kind = INPUT_MOUSE, .x = (int)v[1] - 1, .y = (int)v[2] - 1};
    if (b & 64)
        out->mouse = (b & 1) ? MOUSE_WHEEL_DOWN : MOUSE_WHEEL_UP;
    else if ((b & 3) != 0)
        out->kind = INPUT_NONE; /* other buttons belong to the terminal */
    else
        out->mouse = final == 'm' ? MOUSE_RELEASE : (b & 32) ? MOUSE_DRAG : MOUSE_PRESS;
    if (out->x < 0 || out->y < 0 || (b & 66) == 66) out->kind = INPUT_NONE;
}

/* CSI: "\033[" params final. Returns bytes used, 0: incomplete. out stays NONE if it means nothing.
 */
static size_t read_csi(const char *s, size_t n, struct input *out) {
    unsigned v[4] = {0}, n_v = 0;
    size_t at = 2;
    bool is_mouse = at < n && s[at] == '<';
    if (at < n && (s[at] == '<' || s[at] == '?' || s[at] == '>')) at++;
    while (at < n && (unsigned char)s[at] < 0x40) {
        char c = s[at++];
        if (at > MAX_SEQUENCE) return at;
        if (c == ';')
            n_v++;
        else if (c >= '0' && c <= '9' && n_v < 4 && v[n_v] < 100000000)
            v[n_v] = v[n_v] * 10 + (unsigned)(c - '0');
    }
    if (at >= n) return n > MAX_SEQUENCE ? n : 0;
    char final = s[at++];
    uint32_t key = KEY_NONE;
    if (is_mouse && (final == 'M' || final == 'm')) {
        read_mouse(v, final, out);
        return at;
    }
    if (final == '~' && v[0] == 27 && n_v == 2)
        key = coded_key(v[2], v[1]);
    else if (final == '~' && v[0] < sizeof tildes / sizeof tildes[0])
        key = modified(tildes[v[0]], v[1]);
    else if (final == 'u')
        key = coded_key(v[0], v[1]);
    else if (final == 'Z')
        key = KEY_TAB | KEY_SHIFT;
    else if ((unsigned char) final < 128 && final != 'M' && letters[(int) final])
        key = modified(letters[(int) final], v[1]);
    if ((key & (KEY_CTRL - 1)) != KEY_NONE) *out = (struct input){.kind = INPUT_KEY, .key = key};
    return at;
}

static size_t read_escape(const char *s, size_t n, struct input *out) {
    if (n < 2) return 0;
    if (s[1] == '[') return n < 3 ? 0 : read_csi(s, n, out);
    if (s[1] == 'O') {
        if (n < 3) return 0;
        uint32_t key = (unsigned char)s[2] < 128 ? letters[(int)s[2]] : KEY_NONE;
        if (key) *out = (struct input){.kind = INPUT_KEY, .key = key};
        return 3;
    }
    *out = (struct input){.kind = INPUT_KEY, .key = KEY_ESC};
    /* Esc and then Ctrl-S, typed fast: nobody means Alt-Ctrl-S. */
    if ((unsigned char)s[1] < 0x20 && s[1] != '\r') return 1;
    int32_t cp;
    size_t len = text_next(s + 1, n - 1, &cp);
    if (cp < 0) return 1;
    out->key = cp < 0x20 || cp == 0x7F ? control_key((unsigned char)s[1]) : (uint32_t)cp;
    if (cp >= 'A' && cp <= 'Z') out->key += 32;
    out->key |= KEY_ALT;
    return 1 + len;
}

static size_t find_mark(const char *s, size_t n, const char *mark) {
    for (size_t at = 0; at + MARK_BYTES <= n; at++) {
        const char *p = memchr(s + at, '\033', n - at - MARK_BYTES + 1);
        if (!p) return n;
        at = (size_t)(p - s);
        if (memcmp(p, mark, MARK_BYTES) == 0) return at;
    }
    return n;
}

/* The end mark that counts: the last one before the next start mark. n: none yet. */
static size_t find_paste_end(const char *s, size_t n) {
    size_t limit = find_mark(s, n, paste_on), found = n;
    for (size_t at = 0; at < limit;) {
        size_t next = at + find_mark(s + at, limit - at, paste_off);
        if (next >= limit) break;
        found = next;
        at = next + MARK_BYTES;
    }
    return found;
}

static bool next_paste(struct keys *k, struct input *out) {
    const char *s = k->bytes.p + k->used;
    size_t n = k->bytes.n - k->used, end = find_paste_end(s, n);
    size_t keep = end < n              ? 0
                  : n < MARK_BYTES - 1 ? n
                                       : MARK_BYTES - 1; /* a mark may be cut in two */
    if (buf_add(&k->paste, s, end < n ? end : n - keep, NULL)) buf_cut(&k->paste, 0);
    k->used += end < n ? end + MARK_BYTES : n - keep;
    if (end >= n) return false;
    k->is_pasting = false;
    *out = (struct input){.kind = INPUT_PASTE, .paste = k->paste};
    k->paste = (struct buf){0};
    return true;
}

bool keys_next(struct keys *k, struct input *out) {
    *out = (struct input){0};
    while (k->used < k->bytes.n) {
        const char *s = k->bytes.p + k->used;
        size_t n = k->bytes.n - k->used;
        if (k->is_pasting) return next_paste(k, out);
        if (n >= MARK_BYTES && memcmp(s, paste_on, MARK_BYTES) == 0) {
            k->is_pasting = true;
            k->used += MARK_BYTES;
            continue;
        }
        size_t used;
        unsigned char c = (unsigned char)s[0];
        if (c == 0x1B) {
            used = read_escape(s, n, out);
        } else if (c < 0x20 || c == 0x7F) {
            *out = (struct input){.kind = INPUT_KEY, .key = control_key(c)};
            used = 1;
        } else {
            int32_t cp;
            used = text_next(s, n, &cp);
            size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
            if (cp < 0 && used == n && n < want)
                return false; /* the rest of a character is on its way */
            *out = (struct input){.kind = INPUT_KEY, .key = cp < 0 ? 0xFFFD : (uint32_t)cp};
        }
        if (used == 0) return false;
        k->used += used;
        if (out->kind != INPUT_NONE) return true;
    }
    return false;
}

int keys_wait_ms(const struct keys *k) {
    if (k->is_pasting) return KEYS_PASTE_MS;
    return k->used < k->bytes.n ? KEYS_ESC_MS : -1;
}

void keys_expire(struct keys *k, struct input *out) {
    *out = (struct input){0};
    if (k->is_pasting) {
        buf_add(&k->paste, k->bytes.p + k->used, k->bytes.n - k->used, NULL);
        *out = (struct input){.kind = INPUT_PASTE, .paste = k->paste};
        k->paste = (struct buf){0};
        k->is_pasting = false;
        k->used = k->bytes.n;
    } else if (k->used < k->bytes.n) {
        *out = (struct input){.kind = INPUT_KEY,
                              .key = k->bytes.p[k->used] == 0x1B ? KEY_ESC : 0xFFFD};
        k->used++;
    }
}

void keys_deinit(struct keys *k) {
    buf_deinit(&k->bytes);
    buf_deinit(&k->paste);
    *k = (struct keys){0};
}
