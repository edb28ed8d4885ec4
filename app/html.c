/* html.c - see html.h. The tree comes from libxml2's HTML parser; this file decides how it reads.
 */
#include "app/html.h"

#include <libxml/HTMLparser.h>
#include <string.h>

enum kind {
    INLINE,
    BLOCK,
    PARAGRAPH,
    HEADING,
    ITEM,
    ROW,
    CELL,
    LINE,
    RULE,
    PRE,
    LINK,
    IMAGE,
    SKIP
};

static const struct {
    const char *tag;
    enum kind kind;
} tags[] = {
    {"address", BLOCK},    {"article", BLOCK}, {"aside", BLOCK},   {"blockquote", PARAGRAPH},
    {"body", BLOCK},       {"caption", BLOCK}, {"dd", BLOCK},      {"details", BLOCK},
    {"div", BLOCK},        {"dl", PARAGRAPH},  {"dt", BLOCK},      {"fieldset", BLOCK},
    {"figcaption", BLOCK}, {"figure", BLOCK},  {"footer", BLOCK},  {"form", BLOCK},
    {"header", BLOCK},     {"main", BLOCK},    {"nav", BLOCK},     {"ol", PARAGRAPH},
    {"p", PARAGRAPH},      {"section", BLOCK}, {"summary", BLOCK}, {"table", PARAGRAPH},
    {"ul", PARAGRAPH},     {"h1", HEADING},    {"h2", HEADING},    {"h3", HEADING},
    {"h4", HEADING},       {"h5", HEADING},    {"h6", HEADING},    {"li", ITEM},
    {"tr", ROW},           {"td", CELL},       {"th", CELL},       {"br", LINE},
    {"hr", RULE},          {"pre", PRE},       {"a", LINK},        {"img", IMAGE},
    {"script", SKIP},      {"style", SKIP},    {"head", SKIP},     {"template", SKIP},
    {"noscript", SKIP},    {"iframe", SKIP},   {"object", SKIP},   {"svg", SKIP},
    {"canvas", SKIP},      {"audio", SKIP},    {"video", SKIP},    {"select", SKIP},
    {"textarea", SKIP},    {"button", SKIP},   {"input", SKIP},
};

/* What is being written: white space is only remembered, and put before the next word. */
struct page {
    struct buf *out;
    size_t start;   /* of the page in out */
    int n_breaks;   /* line ends owed: 1 a line, 2 a blank line */
    bool space;     /* a space owed */
    bool pre;       /* white space counts */
    bool row_begun; /* a cell of this table row stands on the line */
    ox_err *err;
};

static int pay(struct page *p) {
    int rc = 0;
    bool at_start = p->out->n == p->start;
    if (p->n_breaks && !at_start) {
        int have = 0; /* line ends that stand there already */
        while (have < 2 && p->out->n - (size_t)have > p->start &&
               p->out->p[p->out->n - 1 - (size_t)have] == '\n')
            have++;
        for (; !rc && have < p->n_breaks; have++)
            rc = buf_putc(p->out, '\n', p->err);
    } else if (p->space && !at_start && p->out->p[p->out->n - 1] != '\n') {
        rc = buf_putc(p->out, ' ', p->err);
    }
    p->n_breaks = 0;
    p->space = false;
    return rc;
}

static void owe_breaks(struct page *p, int n) {
    if (p->n_breaks < n) p->n_breaks = n;
    p->space = false;
}

static int put_text(struct page *p, const char *s) {
    int rc = 0;
    if (p->pre) {
        if (*s) rc = pay(p);
        return rc ? rc : buf_puts(p->out, s, p->err);
    }
    while (!rc && *s) {
        size_t n_space = strspn(s, " \t\r\n\f");
        if (n_space) p->space = true;
        s += n_space;
        size_t n = strcspn(s, " \t\r\n\f");
        if (!n) break;
        rc = pay(p);
        if (!rc) rc = buf_add(p->out, s, n, p->err);
        s += n;
    }
    return rc;
}

static enum kind kind_of(const xmlNode *node) {
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (xmlStrcasecmp(node->name, (const xmlChar *)tags[i].tag) == 0) return tags[i].kind;
    return INLINE;
}

/* An attribute's value, owned by the caller (xmlFree); NULL if it is not there or empty. */
static xmlChar *attribute(xmlNode *node, const char *name) {
    xmlChar *v = xmlGetProp(node, (const xmlChar *)name);
    if (v && !*v) {
        xmlFree(v);
        v = NULL;
    }
    return v;
}

static bool is_hidden(xmlNode *node) {
    xmlChar *aria = attribute(node, "aria-hidden");
    bool hidden = xmlHasProp(node, (const xmlChar *)"hidden") ||
                  (aria && xmlStrcmp(aria, (const xmlChar *)"true") == 0);
    xmlFree(aria);
    return hidden;
}

/* Behind the text of a link: its address, unless it is a place on the page or the text itself. */
static int close_link(struct page *p, xmlNode *node, size_t text_from) {
    int rc = 0;
    xmlChar *href = attribute(node, "href");
    if (href && (!xmlStrncmp(href, (const xmlChar *)"http:", 5) ||
                 !xmlStrncmp(href, (const xmlChar *)"https:", 6) ||
                 !xmlStrncmp(href, (const xmlChar *)"mailto:", 7))) {
        size_t n = strlen((const char *)href), have = p->out->n - text_from;
        bool same = have >= n && memcmp(p->out->p + p->out->n - n, href, n) == 0;
        if (!same && p->out->n > text_from)
            rc = buf_printf(p->out, p->err, " <%s>", (const char *)href);
    }
    xmlFree(href);
    return rc;
}

/* Before the content of an element. */
static int open_element(struct page *p, xmlNode *node, enum kind kind) {
    switch (kind) {
    case BLOCK: owe_breaks(p, 1); break;
    case PARAGRAPH:
    case PRE: owe_breaks(p, 2); break;
    case LINE: {
        bool pre = p->pre;
        p->pre = true;
        int rc = p->out->n > p->start ? buf_putc(p->out, '\n', p->err) : 0;
        p->pre = pre;
        p->space = false;
        return rc;
    }
    case RULE: owe_breaks(p, 2); return put_text(p, "---");
    case HEADING: {
        owe_breaks(p, 2);
        int rc = pay(p);
        for (char level = '1'; !rc && level <= (char)node->name[1]; level++)
            rc = buf_putc(p->out, '#', p->err);
        p->space = true;
        return rc;
    }
    case ITEM: {
        owe_breaks(p, 1);
        int rc = put_text(p, "-");
        p->space = true;
        return rc;
    }
    case ROW:
        owe_breaks(p, 1);
        p->row_begun = false;
        break;
    case CELL:
        if (p->row_begun) {
            p->space = true;
            int rc = put_text(p, "|");
            p->space = true;
            return rc;
        }
        p->row_begun = true;
        break;
    case IMAGE: {
        xmlChar *alt = attribute(node, "alt");
        int rc = alt ? put_text(p, (const char *)alt) : 0;
        xmlFree(alt);
        return rc;
    }
    case INLINE:
    case LINK:
    case SKIP: break;
    }
    return 0;
}

static int close_element(struct page *p, xmlNode *node, enum kind kind, size_t from) {
    switch (kind) {
    case BLOCK:
    case ITEM:
    case ROW: owe_breaks(p, 1); break;
    case PARAGRAPH:
    case HEADING:
    case PRE:
    case RULE: owe_breaks(p, 2); break;
    case LINK: return close_link(p, node, from);
    case INLINE:
    case CELL:
    case LINE:
    case IMAGE:
    case SKIP: break;
    }
    return 0;
}

/* Walks the tree without recursion: a hostile page nests as deep as it likes. */
static int write_tree(struct page *p, xmlNode *root) {
    xmlNode *node = root;
    int rc = 0;
    while (!rc && node) {
        bool is_element = node->type == XML_ELEMENT_NODE;
        enum kind kind = is_element ? kind_of(node) : INLINE;
        if (is_element && (kind == SKIP || is_hidden(node))) {
            kind = SKIP;
        } else if (is_element) {
            rc = open_element(p, node, kind);
            if (kind == PRE) p->pre = true;
            /* where a link's text begins is kept in the node itself: the tree is ours */
            node->psvi = (void *)(uintptr_t)p->out->n;
        } else if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
            if (node->content) rc = put_text(p, (const char *)node->content);
        }
        if (!rc && is_element && kind != SKIP && node->children) {
            node = node->children;
            continue;
        }
        while (!rc && node) { /* leave finished elements */
            if (node->type == XML_ELEMENT_NODE && kind != SKIP) {
                enum kind k = kind_of(node);
                rc = close_element(p, node, k, (size_t)(uintptr_t)node->psvi);
                if (k == PRE) p->pre = false;
            }
            kind = INLINE;
            if (node == root) return rc;
            if (node->next) {
                node = node->next;
                break;
            }
            node = node->parent;
        }
    }
    return rc;
}

int html_text(const char *page, size_t n, const char *encoding, struct buf *out, ox_err *err) {
    if (n > (size_t)64 << 20)
        return ox_err_set(err, OX_EFIT, "an HTML page of %zu bytes; at most 64 MiB are read", n);
    xmlDoc *doc = htmlReadMemory(page, (int)n, NULL, encoding,
                                 HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                     HTML_PARSE_NONET | HTML_PARSE_COMPACT);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root) {
        xmlFreeDoc(doc);
        return ox_err_set(err, OX_EFORMAT, "nothing here can be read as HTML");
    }
    size_t n_before = out->n;
    struct page p = {.out = out, .start = out->n, .err = err};
    int rc = write_tree(&p, root);
    if (!rc && out->n > n_before && out->p[out->n - 1] != '\n') rc = buf_putc(out, '\n', err);
    if (rc) buf_cut(out, n_before);
    xmlFreeDoc(doc);
    return rc;
}

bool html_is_page(const char *bytes, size_t n) {
    if (n > 1024) n = 1024;
    for (size_t i = 0; i + 5 <= n; i++) {
        if (bytes[i] != '<') continue;
        const xmlChar *at = (const xmlChar *)bytes + i;
        if (xmlStrncasecmp(at, (const xmlChar *)"<html", 5) == 0) return true;
        if (i + 14 <= n && xmlStrncasecmp(at, (const xmlChar *)"<!doctype html", 14) == 0)
            return true;
    }
    return false;
}
