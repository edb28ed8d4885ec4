/* progress.c - see progress.h. */
#include "app/progress.h"

#include "app/clock.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 24, NARROW = 60, FIRST_AFTER_MS = 400, EVERY_MS = 100, LINE_EVERY_S = 10 };

void progress_start(struct progress *p, bool quiet, bool redraw, const char *label) {
    *p = (struct progress){
        .is_quiet = quiet, .is_terminal = redraw, .label = label, .start_s = clock_s()};
}

static size_t columns(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static int add_bar(size_t percent, size_t n_cells, struct buf *b) {
    char cells[BAR_CELLS + 1];
    memset(cells, '.', n_cells);
    memset(cells, '#', percent * n_cells / 100);
    cells[n_cells] = '\0';
    return buf_printf(b, NULL, "  [%s]", cells);
}

enum { LEFT, DONE, RATE, REUSED, N_PIECES };

/* What is behind the percentage, in the order in which it is dropped from a narrow terminal, last
 * first. Nothing is added for a number that is not known yet. */
static int add_piece(const struct progress *p, const struct news *n, int piece, struct buf *b) {
    char num[SAY_BYTES], all[SAY_BYTES];
    size_t reused = n->plan.live + n->plan.restored;
    double rate = eta_rate(&p->eta), left = eta_left(&p->eta, n->n_prompt);
    if (piece == DONE)
        return buf_printf(b, NULL, "   %s of %s tokens", say_count(num, n->n_done),
                          say_count(all, n->n_prompt));
    if (piece == LEFT && left >= 0.95)
        return buf_printf(b, NULL, "   about %s left", say_time(num, left));
    if (piece == RATE && rate > 0)
        return buf_printf(b, NULL, "   %s tok/s", say_count(num, (uint64_t)rate));
    return piece == REUSED && reused ? buf_printf(b, NULL, "   %s reused", say_count(num, reused))
                                     : 0;
}

static int make_line(const struct progress *p, const struct news *n, bool bar, struct buf *b) {
    size_t percent = n->n_prompt ? n->n_done * 100 / n->n_prompt : 100;
    size_t width = bar ? columns() - 1 : SIZE_MAX;
    int rc = buf_puts(b, bar ? " reading " : "-- reading ", NULL);
    if (!rc) rc = text_brief(b, p->label, strlen(p->label), 24, NULL);
    if (!rc && bar && width >= NARROW) /* else the number alone: it says the same in less */
        rc = add_bar(percent, width < 100 ? BAR_CELLS / 2 : BAR_CELLS, b);
    if (!rc) rc = buf_printf(b, NULL, "  %zu%%", percent);
    for (int i = 0; !rc && i < N_PIECES; i++) {
        size_t before = b->n;
        rc = add_piece(p, n, i, b);
        if (!rc && text_fit(buf_str(b), b->n, width, NULL) < b->n) buf_cut(b, before);
    }
    return rc;
}

void progress_news(struct progress *p, const struct news *n) {
    double now = clock_s();
    if (!p->has_eta)
        eta_start(&p->eta, n->plan.live + n->plan.restored, p->start_s, n->plan.deepening);
    p->has_eta = true;
    eta_add(&p->eta, n->n_done, now);
    if (p->is_quiet || now - p->start_s < FIRST_AFTER_MS / 1e3) return;
    size_t tenth = n->n_prompt ? n->n_done * 10 / n->n_prompt : 10;
    if (p->is_terminal ? now - p->shown_s < EVERY_MS / 1e3
                       : tenth == p->shown_tenth && now - p->shown_s < LINE_EVERY_S)
        return;
    struct buf b = {0};
    if (make_line(p, n, p->is_terminal, &b) == 0) {
        size_t fit = text_fit(buf_str(&b), b.n, columns() - 1, NULL);
        if (p->is_terminal)
            fprintf(stderr, "\r%.*s\x1B[K", (int)fit, buf_str(&b));
        else
            fprintf(stderr, "%s\n", buf_str(&b));
        fflush(stderr);
    }
    buf_deinit(&b);
    p->shown_s = now;
    p->shown_tenth = tenth;
    p->is_shown = true;
}

void progress_end(struct progress *p) {
    if (p->is_shown && p->is_terminal) fprintf(stderr, "\r\x1B[K");
    fflush(stderr);
    p->is_shown = false;
}
