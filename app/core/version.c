/* version.c - see version.h. */
#include "app/core/version.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>
#include <utf8proc.h>

int version_core(struct buf *out, ox_err *err) {
    char pcre[64] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    pcre[strcspn(pcre, " ")] = '\0'; /* "10.42 2022-12-11" */
    return buf_printf(out, err, "pcre2 %s, utf8proc %s", pcre, utf8proc_version());
}
