/* charset.c - see charset.h. Apart from ingest.c, because it is pure and every byte of it is
 * tested. */
#include "app/core/charset.h"

#include "app/core/text.h"

#include <string.h>

/* 0x80..0x9F of windows-1252 as in the WHATWG encoding standard; the rest equals Latin-1. */
static const uint16_t cp1252[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
};

static const struct {
    const char *name;
    enum charset set;
} names[] = {
    {"utf-8", CHARSET_UTF8},       {"utf8", CHARSET_UTF8},           {"ascii", CHARSET_UTF8},
    {"us-ascii", CHARSET_UTF8},    {"utf-16le", CHARSET_UTF16LE},    {"utf16le", CHARSET_UTF16LE},
    {"utf-16", CHARSET_UTF16LE},   {"utf16", CHARSET_UTF16LE},       {"utf-16be", CHARSET_UTF16BE},
    {"utf16be", CHARSET_UTF16BE},  {"windows-1252", CHARSET_CP1252}, {"cp1252", CHARSET_CP1252},
    {"latin1", CHARSET_CP1252},    {"latin-1", CHARSET_CP1252},      {"iso-8859-1", CHARSET_CP1252},
    {"iso8859-1", CHARSET_CP1252},
};

const char *charset_name(enum charset c) {
    switch (c) {
    case CHARSET_UTF8: return "utf-8";
    case CHARSET_UTF16LE: return "utf-16le";
    case CHARSET_UTF16BE: return "utf-16be";
    case CHARSET_CP1252: return "windows-1252";
    case CHARSET_NONE: break;
    }
    return "unknown";
}

static bool same_word(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a == '_' ? '-' : *a;
        if (x != *b) return false;
    }
    return *a == *b;
}

enum charset charset_find(const char *name) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (same_word(name, names[i].name)) return names[i].set;
    return CHARSET_NONE;
}

static bool has_prefix(const unsigned char *p, size_t n, const char *magic, size_t n_magic) {
    return n >= n_magic && memcmp(p, magic, n_magic) == 0;
}

/* Valid UTF-8 but for a character cut off by the end of the bytes looked at. */
static bool is_utf8(const unsigned char *p, size_t n) {
    size_t ok = text_valid((const char *)p, n);
    if (ok == n) return true;
    if (n - ok > 3 || n < 5 || p[ok] < 0xC2 || p[ok] > 0xF4) return false;
    while (++ok < n)
        if (p[ok] < 0x80 || p[ok] > 0xBF) return false;
    return true;
}

static bool is_ascii_text(unsigned char c) {
    return (c >= 32 && c < 127) || (c >= 9 && c <= 13);
}

/* Whether units with their high byte at p[high] are one text: below U+3000 a script stays on a page
 * of its own beside the Latin and punctuation pages, and few units are two ASCII characters. Bytes
 * of an 8-bit text with a zero among them are neither. */
static bool is_plausible_utf16(const unsigned char *p, size_t pairs, size_t high) {
    size_t on_page[0x30] = {0}, most = 0, n_wide = 0, n_ascii = 0, n_odd = 0;
    for (size_t i = 0; i < pairs; i++) {
        unsigned char page = p[2 * i + high], low = p[2 * i + !high];
        n_wide += page != 0;
        n_ascii += is_ascii_text(page) && is_ascii_text(low);
        n_odd += (!page && low < 32 && !is_ascii_text(low)) || (page >= 0xE0 && page < 0xF9);
        if (page && page < 0x30) on_page[page]++;
    }
    static const unsigned char shared[] = {0x01, 0x1E, 0x20}; /* Latin, Latin, punctuation */
    for (size_t i = 0; i < sizeof shared; i++)
        on_page[shared[i]] = 0;
    for (size_t i = 0; i < 0x30; i++) {
        most = on_page[i] > most ? on_page[i] : most;
        n_odd += on_page[i];
    }
    return (n_odd - most) * 5 <= pairs && n_ascii * 2 <= n_wide;
}

/* UTF-16 without a mark: text of any script has many zero high bytes (spaces, line ends, digits),
 * nearly all on one side. 0: no such pattern. */
static enum charset guess_utf16(const unsigned char *p, size_t n) {
    size_t zeros[2] = {0, 0}, pairs = n / 2;
    if (n % 2 || pairs < 2) return CHARSET_NONE;
    for (size_t i = 0; i < pairs * 2; i++)
        zeros[i % 2] += p[i] == 0;
    for (size_t high = 0; high < 2; high++)
        if (zeros[high] * 10 >= pairs && zeros[!high] * 50 <= zeros[high] &&
            is_plausible_utf16(p, pairs, high))
            return high ? CHARSET_UTF16LE : CHARSET_UTF16BE;
    return CHARSET_NONE;
}

enum charset charset_guess(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    if (has_prefix(p, n, "\xEF\xBB\xBF", 3)) return CHARSET_UTF8;
    if (has_prefix(p, n, "\xFF\xFE", 2)) return CHARSET_UTF16LE;
    if (has_prefix(p, n, "\xFE\xFF", 2)) return CHARSET_UTF16BE;
    bool zeros = n && memchr(p, 0, n);
    if (!zeros && is_utf8(p, n)) return CHARSET_UTF8;
    enum charset wide = zeros ? guess_utf16(p, n) : CHARSET_NONE;
    if (wide) return wide;
    return is_utf8(p, n) ? CHARSET_UTF8 : CHARSET_CP1252;
}

const char *charset_binary(const void *bytes, size_t n) {
    static const struct {
        const char *magic;
        size_t n;
        const char *what;
    } known[] = {
        {"\x7F"
         "ELF",
         4, "an ELF program"},
        {"PK\3\4", 4, "a zip archive (docx, odt, xlsx, epub are zip too)"},
        {"PK\5\6", 4, "an empty zip archive"},
        {"%PDF-", 5, "a PDF document"},
        {"\x1F\x8B", 2, "gzip data"},
        {"BZh", 3, "bzip2 data"},
        {"\xFD"
         "7zXZ",
         5, "xz data"},
        {"\x28\xB5\x2F\xFD", 4, "zstd data"},
        {"7z\xBC\xAF", 4, "a 7z archive"},
        {"Rar!", 4, "a rar archive"},
        {"\x89PNG", 4, "a PNG picture"},
        {"\xFF\xD8\xFF", 3, "a JPEG picture"},
        {"GIF8", 4, "a GIF picture"},
        {"RIFF", 4, "a RIFF file (wav, avi, webp)"},
        {"OggS", 4, "an Ogg file"},
        {"ID3", 3, "an MP3 file"},
        {"SQLite format 3", 16, "an SQLite database"},
        {"\xD0\xCF\x11\xE0", 4, "an old Office document (doc, xls, ppt)"},
        {"MZ\x90", 3, "a Windows program"},
        {"\xCA\xFE\xBA\xBE", 4, "a Java class or Mach-O program"},
        {"\xCF\xFA\xED\xFE", 4, "a Mach-O program"},
        {"GGUF", 4, "a GGUF model"},
        {"!<arch>", 7, "a library archive"},
    };
    const unsigned char *p = bytes;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (has_prefix(p, n, known[i].magic, known[i].n)) return known[i].what;
    enum charset set = charset_guess(bytes, n);
    if (set == CHARSET_UTF16LE || set == CHARSET_UTF16BE) return NULL;
    size_t odd = 0; /* controls that text does not have */
    for (size_t i = 0; i < n; i++)
        odd += p[i] < 32 && !(p[i] >= 9 && p[i] <= 13) && p[i] != 27;
    return odd * 100 > n * 2 ? "binary data" : NULL; /* terminal logs keep a few escapes */
}

/* ---- decoding ---------------------------------------------------------------------------------
 */

struct sink {
    struct buf *out;
    struct charset_stats *stats;
    bool keep_pages, after_cr;
    ox_err *err;
};

/* One code point of the source; -1 for an ill-formed part. */
static int put_char(struct sink *k, int32_t c) {
    bool after_cr = k->after_cr;
    k->after_cr = c == '\r';
    if (c == '\n' && after_cr) return 0; /* CR LF: the CR has written the LF */
    if (c == '\r') c = '\n';
    if (c < 0) {
        k->stats->n_bad++;
        c = 0xFFFD;
    }
    bool page = c == '\f' && k->keep_pages;
    if ((c < 32 && c != '\n' && c != '\t' && !page) || (c >= 0x7F && c < 0xA0) || c == 0xFEFF) {
        k->stats->n_dropped++;
        return 0;
    }
    k->stats->n_lines += c == '\n';
    return text_put(k->out, c, k->err);
}

static int decode_utf8(struct sink *k, const unsigned char *p, size_t n) {
    int rc = 0;
    for (size_t i = 0, len; !rc && i < n; i += len) {
        size_t run = i; /* most text is plain: take it in one piece */
        while (run < n && ((p[run] >= 32 && p[run] < 127) || p[run] == '\n')) {
            k->stats->n_lines += p[run] == '\n' && !(run == i && k->after_cr);
            run++;
        }
        if (run > i) {
            size_t skip = p[i] == '\n' && k->after_cr ? 1 : 0;
            k->after_cr = false;
            rc = buf_add(k->out, p + i + skip, run - i - skip, k->err);
            len = run - i;
            continue;
        }
        int32_t c;
        len = text_next((const char *)p + i, n - i, &c);
        rc = put_char(k, c);
    }
    return rc;
}

static int decode_utf16(struct sink *k, const unsigned char *p, size_t n, bool big) {
    int rc = 0;
    size_t i = 0;
    for (; !rc && i + 1 < n; i += 2) {
        int32_t u = big ? p[i] << 8 | p[i + 1] : p[i + 1] << 8 | p[i];
        if (u >= 0xD800 && u < 0xDC00 && i + 3 < n) {
            int32_t v = big ? p[i + 2] << 8 | p[i + 3] : p[i + 3] << 8 | p[i + 2];
            if (v >= 0xDC00 && v < 0xE000) {
                u = 0x10000 + ((u - 0xD800) << 10) + (v - 0xDC00);
                i += 2;
            }
        }
        rc = put_char(k, u >= 0xD800 && u < 0xE000 ? -1 : u);
    }
    if (!rc && i < n) rc = put_char(k, -1); /* half a unit at the end */
    return rc;
}

static int decode_cp1252(struct sink *k, const unsigned char *p, size_t n) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = put_char(k, p[i] >= 0x80 && p[i] < 0xA0 ? cp1252[p[i] - 0x80] : p[i]);
    return rc;
}

int charset_decode(enum charset c, const void *bytes, size_t n, bool keep_pages, struct buf *out,
                   struct charset_stats *stats, ox_err *err) {
    const unsigned char *p = bytes;
    size_t n_before = out->n;
    int rc = 0;
    *stats = (struct charset_stats){0};
    struct sink k = {out, stats, keep_pages, false, err};
    switch (c) {
    case CHARSET_UTF8:
    case CHARSET_NONE: {
        size_t mark = has_prefix(p, n, "\xEF\xBB\xBF", 3) ? 3 : 0;
        rc = decode_utf8(&k, p + mark, n - mark);
        break;
    }
    case CHARSET_UTF16LE:
    case CHARSET_UTF16BE: {
        bool big = c == CHARSET_UTF16BE;
        size_t mark = has_prefix(p, n, big ? "\xFE\xFF" : "\xFF\xFE", 2) ? 2 : 0;
        rc = decode_utf16(&k, p + mark, n - mark, big);
        break;
    }
    case CHARSET_CP1252: rc = decode_cp1252(&k, p, n); break;
    }
    if (rc)
        buf_cut(out, n_before);
    else if (out->n > n_before && out->p[out->n - 1] != '\n')
        stats->n_lines++;
    return rc;
}
