/* budget.c - see budget.h. */
#include "app/core/budget.h"

#include "app/core/say.h"

struct budget budget_for(size_t limit, size_t max_new, size_t wanted) {
    size_t reserve = max_new ? max_new : limit / 2 < BUDGET_RESERVE ? limit / 2 : BUDGET_RESERVE;
    return (struct budget){limit, reserve < limit ? reserve : limit, wanted, false};
}

size_t budget_free(const struct budget *b) {
    return b->limit - b->reserve;
}

int budget_check(const struct budget *b, ox_err *err) {
    if (b->wanted <= budget_free(b)) return 0;
    char wanted[SAY_BYTES], room[SAY_BYTES], limit[SAY_BYTES], reserve[SAY_BYTES];
    return ox_err_set(
        err, OX_EFIT, "does not fit: %s%s tokens wanted, %s free (%s less %s for the answer)",
        b->is_about ? "about " : "", say_count(wanted, b->wanted), say_count(room, budget_free(b)),
        say_count(limit, b->limit), say_count(reserve, b->reserve));
}

size_t budget_lines(size_t n_lines, size_t doc_tokens, size_t over_tokens) {
    if (!doc_tokens || over_tokens >= doc_tokens) return 1;
    double share = (double)(doc_tokens - over_tokens) / (double)doc_tokens;
    size_t lines = (size_t)((double)n_lines * share * 0.95); /* lines differ: leave some room */
    if (lines >= 200) lines -= lines % 100;
    return lines ? lines : 1;
}

int budget_mark(size_t used_before, size_t used_now, size_t limit) {
    static const int marks[] = {90, 75};
    for (int i = 0; limit && i < 2; i++)
        if (used_before * 100 < limit * (size_t)marks[i] &&
            used_now * 100 >= limit * (size_t)marks[i])
            return marks[i];
    return 0;
}
