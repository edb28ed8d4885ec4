/* html.h - an HTML page as plain text that a person would read: libxml2's parser, no network, no
 * scripts. Headings become Markdown headings, links `text <url>`, lists and tables lines; what a
 * browser does not show is left out. docs/PRODUCT.md section 7. Any thread; nothing is kept. */
#ifndef HTML_H
#define HTML_H

#include "app/core/buf.h"

/* Appends the text of a page. encoding: a name for libxml2 ("utf-8"), or NULL to let the page say.
 * OX_EFORMAT: nothing that can be read as HTML; OX_ENOMEM. On failure out is as it was. */
int html_text(const char *page, size_t n, const char *encoding, struct buf *out, ox_err *err);

/* Whether bytes look like an HTML page: a doctype or an <html> tag near the start. */
bool html_is_page(const char *bytes, size_t n);

#endif
