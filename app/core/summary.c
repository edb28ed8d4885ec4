/* summary.c - see summary.h. */
#include "app/core/summary.h"

#include "app/core/budget.h"
#include "app/core/prompt.h"

#include <stdio.h>

/* Parts of about one size, so that no part is a mere remnant, each at most `most` tokens. Where the
 * next chunk begins a section, a part may end up to an eighth early. */
static int cut_parts(const struct chunk *chunks, const size_t *tokens, size_t n, size_t most,
                     struct summary_plan *p, ox_err *err) {
    size_t left = p->tokens, cap = 0;
    for (size_t i = 0; i < n;) {
        size_t n_more = (left + most - 1) / most; /* parts still needed at least */
        size_t aim = (left + n_more - 1) / n_more, have = 0, from = i;
        while (i < n && have + tokens[i] <= most) {
            have += tokens[i++];
            bool section =
                i < n && chunks[i].heading_from >= chunks[i].from && chunks[i].heading_to > 0;
            if (have >= aim || (section && have >= aim - aim / 8 && n_more > 1)) break;
        }
        if (i == from) {
            ox_err_set(err, OX_EFIT,
                       "one piece of the document has %zu tokens; a part may have %zu", tokens[i],
                       most);
            ox_err_fix(err, "use a larger --ctx");
            return OX_EFIT;
        }
        int rc = ox_grow(&p->part, &cap, p->n_parts + 1, sizeof *p->part, err);
        if (rc) return rc;
        p->part[p->n_parts++] = (struct summary_part){chunks[from].from, chunks[i - 1].to, have};
        left -= have;
    }
    return 0;
}

bool summary_is_small(const struct ox_info *model) {
    return !model->is_remote && model->weight_bytes < SUMMARY_SMALL_BYTES;
}

bool summary_wants_parts(size_t tokens, size_t context, bool is_small) {
    enum { MARKS = 96 }; /* role marks, the words around a document, the question */
    struct budget b = budget_for(context, 0, 0);
    return (is_small && tokens > SUMMARY_SMALL_PART) || tokens + b.reserve + MARKS > b.limit;
}

int summary_question(struct buf *out, const char *prompt, size_t words, ox_err *err) {
    char number[24];
    snprintf(number, sizeof number, "%zu", words);
    const struct prompt_value value = {"words", number};
    int rc = prompt_fill(out, prompt_builtin(prompt), &value, 1, err);
    while (!rc && out->n && out->p[out->n - 1] == '\n')
        buf_cut(out, out->n - 1);
    return rc;
}

int summary_whole_question(struct buf *out, size_t number, const char *name, ox_err *err) {
    int rc = number
                 ? buf_printf(out, err, "Look at document %zu, %s, and at no other. ", number, name)
                 : 0;
    return rc ? rc : summary_question(out, "summarize", SUMMARY_WORDS, err);
}

int summary_parts_question(struct buf *out, const char *name, ox_err *err) {
    return buf_printf(out, err, "Summarise %s, in parts.", name);
}

int summary_make(const struct chunk *chunks, const size_t *tokens, size_t n_chunks,
                 const struct summary_limits *limits, struct summary_plan *out, ox_err *err) {
    struct summary_plan p = {0};
    for (size_t i = 0; i < n_chunks; i++)
        p.tokens += tokens[i];
    size_t fixed = limits->prompt + limits->reserve;
    size_t room = limits->context > fixed ? limits->context - fixed : 0;
    size_t most = limits->max_part ? limits->max_part : limits->context / 4 * 3;
    if (most > room) most = room;
    if (!limits->max_part && p.tokens <= room) most = room; /* one pass */
    if (!most) {
        ox_err_set(err, OX_EFIT,
                   "a context of %zu tokens has no room beside %zu for the prompt and answer",
                   limits->context, fixed);
        ox_err_fix(err, "use a larger --ctx");
        return OX_EFIT;
    }
    int rc = cut_parts(chunks, tokens, n_chunks, most, &p, err);
    if (!rc && p.n_parts > 1) {
        p.group = room / (limits->part_answer ? limits->part_answer : 1);
        if (p.group < 2) {
            rc = ox_err_set(err, OX_EFIT, "two summaries of %zu tokens do not fit into %zu",
                            limits->part_answer, room);
            ox_err_fix(err, "use a larger --ctx or fewer --words");
        }
        for (size_t width = p.n_parts; !rc && width > 1; width = (width + p.group - 1) / p.group)
            p.n_levels++;
    }
    if (rc) {
        summary_deinit(&p);
        return rc;
    }
    *out = p;
    return 0;
}

void summary_deinit(struct summary_plan *p) {
    ox_free(p->part);
    *p = (struct summary_plan){0};
}

size_t summary_width(const struct summary_plan *p, size_t level) {
    size_t width = p->n_parts;
    for (size_t l = 0; l < level && width > 1; l++)
        width = (width + p->group - 1) / p->group;
    return width;
}

void summary_inputs(const struct summary_plan *p, size_t level, size_t idx, size_t *first,
                    size_t *n) {
    size_t below = summary_width(p, level - 1), width = summary_width(p, level);
    *first = idx * below / width; /* spread evenly; five by two leave one alone */
    *n = (idx + 1) * below / width - *first;
}
