/* charset.h - bytes of a file to text: which encoding, is it text at all, and clean UTF-8 out of
 * it.
 *
 * Pure, any thread. Order of docs/PRODUCT.md section 7: byte-order mark, else valid UTF-8, else
 * UTF-16 by its pattern of zero bytes, else windows-1252 (WHATWG's table: every byte means
 * something). The result is what every later offset refers to: line ends are LF, tabs stay, NUL and
 * other controls are dropped and counted, ill-formed parts become U+FFFD and are counted. */
#ifndef CHARSET_H
#define CHARSET_H

#include "app/core/buf.h"

enum charset { CHARSET_NONE, CHARSET_UTF8, CHARSET_UTF16LE, CHARSET_UTF16BE, CHARSET_CP1252 };

/* Looks at n bytes (the more the better; a whole file is best). Never CHARSET_NONE. */
enum charset charset_guess(const void *bytes, size_t n);
const char *charset_name(enum charset c);    /* "windows-1252"; never NULL */
enum charset charset_find(const char *name); /* any usual spelling; CHARSET_NONE if unknown */

/* What the bytes are if they are no text, by content: "an ELF program", "a zip archive (docx, odt,
 * xlsx, ..)", "binary data"; NULL for text. "a PDF document" is told too: the caller converts it.
 */
const char *charset_binary(const void *bytes, size_t n);

struct charset_stats {
    size_t n_bad;     /* ill-formed parts, now U+FFFD */
    size_t n_dropped; /* control characters left out; a byte-order mark is not counted */
    size_t n_lines;   /* line ends, plus one for a last line without */
};
/* Appends the text. Form feeds are dropped as controls unless keep_pages: then they stay, so that
 * pages can be found. OX_ENOMEM leaves out as it was. */
int charset_decode(enum charset c, const void *bytes, size_t n, bool keep_pages, struct buf *out,
                   struct charset_stats *stats, ox_err *err);

#endif
