/* effects_title.c - a better title than the first line, by the model, while the person is idle.
 *
 * Only for models whose titles are worth reading (core/summary.h has the border; DECISIONS.md),
 * only for a short conversation that nobody has named, and never while anything waits: the question
 * that comes next goes on from its saved state as if nothing had been asked. See effects.h. */
#include "app/effects.h"

#include "app/core/prompt.h"
#include "app/core/summary.h"
#include "app/core/text.h"

#include <string.h>

enum { TITLE_TOKENS = 24, TITLE_CELLS = 60, LONG_TOKENS = 4096 };
static const double IDLE_S = 4;

static bool is_waiting(const struct effects *fx) {
    bool counts = false;
    for (size_t i = 0; i < fx->n_docs; i++)
        counts = counts || fx->doc[i].job || fx->doc[i].is_reading_in;
    return counts || fx->answer.job || fx->answer.plan_job || fx->summary || fx->price.job;
}

void effects_title_want(struct effects *fx, const struct chat_ledger *l) {
    bool is_good = fx->info && fx->info->weight_bytes >= SUMMARY_SMALL_BYTES;
    if (!fx->conf->titles || !is_good || !fx->writes || l->n_in + l->n_out > LONG_TOKENS) return;
    fx->title.at = effects_clock() + IDLE_S;
    fx->title.chat = fx->s->chat_id;
}

double effects_title_at(const struct effects *fx) {
    return fx->title.at;
}

/* Whatever is asked now goes first. */
void effects_title_stop(struct effects *fx) {
    fx->title.at = 0;
    if (fx->title.job && !is_waiting(fx)) worker_cancel(fx->w);
    fx->title.job = 0;
    buf_cut(&fx->title.text, 0);
}

void effects_title_tend(struct effects *fx) {
    struct store_chat row = {0};
    const char *task = prompt_builtin("title");
    if (fx->title.at == 0 || effects_clock() < fx->title.at) return;
    fx->title.at = 0;
    if (is_waiting(fx) || !fx->writes || fx->title.chat != fx->s->chat_id ||
        store_chat_get(fx->st, fx->title.chat, &row, NULL) || row.title_by != STORE_TITLE_LINE)
        return;
    struct work job = {.kind = WORK_ANSWER,
                       .id = ++fx->next_job,
                       .reply = OX_REPLY_NO_THINK,
                       .keep = false,
                       .max_new_tokens = TITLE_TOKENS,
                       .how = fx->info->defaults};
    job.how.temperature = 0;
    int rc = effects_prompt(fx, fx->s->chat.leaf, &job.prompt, NULL);
    if (!rc) rc = prompt_user(&job.prompt, task, strcspn(task, "\n"), NULL);
    fx->title.job = job.id;
    buf_cut(&fx->title.text, 0);
    if (!rc) rc = worker_send(fx->w, &job, NULL);
    work_deinit(&job);
    if (rc) fx->title.job = 0;
}

/* Its first line without the quotation marks, stars and the full stop that models put there. */
static int clean(const struct buf *text, struct buf *out) {
    const char *s = buf_str(text);
    s += strspn(s, " \n\t\"'*#`");
    size_t n = strcspn(s, "\n");
    while (n > 0 && strchr(" \t\"'*#`.", s[n - 1]))
        n--;
    return text_brief(out, s, n, TITLE_CELLS, NULL);
}

static void take_title(struct effects *fx) {
    struct buf title = {0};
    if (clean(&fx->title.text, &title) == 0 && title.n > 2 && fx->writes &&
        store_chat_title(fx->st, fx->title.chat, buf_str(&title), STORE_TITLE_MODEL, NULL) == 0)
        effects_changed(fx, fx->title.chat, NULL);
    buf_deinit(&title);
}

bool effects_title_news(struct effects *fx, const struct news *n) {
    if (fx->title.job == 0 || n->id != fx->title.job) return false;
    if (n->kind == NEWS_TEXT) buf_add(&fx->title.text, n->text ? n->text : "", n->n_bytes, NULL);
    if (n->kind != NEWS_DONE && n->kind != NEWS_FAILED) return true;
    fx->title.job = 0;
    if (n->kind == NEWS_DONE && n->end != CHAT_STOPPED) take_title(fx);
    return true;
}
