/* summary.h - plans a summary: one pass where the context holds the document, else parts at chunk
 * borders and merges in levels. Pure. docs/PRODUCT.md section 7. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "app/core/chunk.h"

struct summary_part {
    size_t from, to; /* bytes of the document */
    size_t tokens;
};
struct summary_plan {
    struct summary_part *part; /* level 0, in order, joining to the whole; owned */
    size_t n_parts;            /* 1: one pass */
    size_t tokens;             /* of the document */
    size_t group;              /* how many summaries one merge takes */
    size_t n_levels;           /* merges above level 0; 0 for one pass */
};

struct summary_limits {
    size_t context;     /* tokens of the context */
    size_t reserve;     /* kept for an answer */
    size_t prompt;      /* tokens of the instructions and turn marks */
    size_t part_answer; /* tokens that the summary of a part may take */
    size_t max_part;    /* 0: three quarters of the context; the user's --parts gives less */
};

/* A model below SUMMARY_SMALL_BYTES of weights summarises at most so many tokens well at once:
 * DECISIONS.md. */
enum { SUMMARY_SMALL_PART = 12288, SUMMARY_SMALL_BYTES = 1 << 30 };
bool summary_is_small(const struct ox_info *model);
/* Does a document of so many tokens have to be, or is it better, summarised in parts? */
bool summary_wants_parts(size_t tokens, size_t context, bool is_small);

/* What is asked for a summary: the prompt of this name (prompts/), about so many words. */
int summary_question(struct buf *out, const char *prompt, size_t words, ox_err *err);
enum { SUMMARY_WORDS = 150 }; /* if nothing was said */
/* The same of a document that stands in the context; number 0: alone, else the `number`-th. */
int summary_whole_question(struct buf *out, size_t number, const char *name, ox_err *err);
/* The question that stands for a summary in parts on the path. */
int summary_parts_question(struct buf *out, const char *name, ox_err *err);

/* chunks join to the document; tokens[i] are those of chunk i. OX_EFIT if even one chunk with the
 * instructions does not fit, or a merge of two cannot. */
int summary_make(const struct chunk *chunks, const size_t *tokens, size_t n_chunks,
                 const struct summary_limits *limits, struct summary_plan *out, ox_err *err);
void summary_deinit(struct summary_plan *p);

/* Number of summaries on a level: n_parts on level 0, 1 on the last. */
size_t summary_width(const struct summary_plan *p, size_t level);
/* Which summaries of the level below the idx-th of `level` merges: [*first, *first + *n). n may be
 * 1: that one goes up as it is. */
void summary_inputs(const struct summary_plan *p, size_t level, size_t idx, size_t *first,
                    size_t *n);

#endif
