/* doctor_term.c - see doctor_term.h. */
#include "app/cli/doctor_term.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Over ssh a round trip takes 0.3 s; a terminal without an answer is asked once, not five times. */
enum { WAIT_MS = 1000, ANSWER_BYTES = 256 };

static const struct drawn_cluster asked[DRAWN_CLUSTERS] = {
    {"section sign", "\u00A7", -1, true}, /* ambiguous: one cell, in East Asian terminals two */
    {"Han character", "\u6F22", -1, false},
    {"letter and mark", "e\u0301", -1, false},
    {"heart as emoji", "\u2764\uFE0F", -1, false},
    {"joined emoji", "\U0001F469\u200D\U0001F680", -1, false},
};

/* "ESC [ row ; column R" somewhere in n bytes: the column, from 1; 0: not there, or not whole yet.
 * What was typed meanwhile may stand before it. */
static int find_column(const char *s, size_t n) {
    for (size_t i = 0; i + 1 < n; i++) {
        size_t at = i + 2, row = at, column;
        if (s[i] != '\033' || s[i + 1] != '[') continue;
        while (at < n && s[at] >= '0' && s[at] <= '9')
            at++;
        if (at == row || at >= n || s[at] != ';') continue;
        column = ++at;
        while (at < n && at < column + 4 && s[at] >= '0' && s[at] <= '9')
            at++;
        if (at > column && at < n && s[at] == 'R') return (int)strtol(s + column, NULL, 10);
    }
    return 0;
}

static bool put(int fd, const char *s) {
    return write(fd, s, strlen(s)) == (ssize_t)strlen(s);
}

/* Cells of the cluster: the cursor's column behind it, less one. */
static int ask_one(int fd, const char *cluster) {
    char got[ANSWER_BYTES + 1];
    size_t n = 0;
    if (!put(fd, "\r") || !put(fd, cluster) || !put(fd, "\033[6n")) return -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < ANSWER_BYTES && poll(&p, 1, WAIT_MS) > 0) {
        ssize_t k = read(fd, got + n, ANSWER_BYTES - n);
        if (k <= 0 || memchr(got + n, 3, (size_t)k)) return -1; /* Ctrl-C is a byte here */
        n += (size_t)k;
        got[n] = '\0';
        int column = find_column(got, n);
        if (column > 0) return column - 1;
    }
    return -1;
}

bool doctor_ask_terminal(struct drawn_cluster out[DRAWN_CLUSTERS]) {
    struct termios was, raw;
    memcpy(out, asked, sizeof asked);
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return false;
    bool answers = tcgetattr(fd, &was) == 0;
    if (answers) {
        raw = was;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO | ISIG); /* no signal may leave it like this */
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(fd, TCSADRAIN, &raw);
        for (int i = 0; answers && i < DRAWN_CLUSTERS; i++) {
            out[i].drawn = ask_one(fd, out[i].bytes);
            answers = out[i].drawn >= 0;
        }
        put(fd, "\r\033[K");
        tcsetattr(fd, TCSADRAIN, &was);
    }
    close(fd);
    return answers;
}
