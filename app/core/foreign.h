/* foreign.h - conversations of other programs become the lines that oxbow's own import reads
 * (docs/STORE.md section 9): one form to check, one transaction to write. Pure. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include "app/core/buf.h"

enum foreign_left { /* what has no place in a conversation here; counted, never guessed at */
                    FOREIGN_TOOL,       /* calls of tools, and what they said */
                    FOREIGN_ATTACHMENT, /* images, sound, files */
                    FOREIGN_HIDDEN,     /* what the other program did not show either */
                    FOREIGN_OTHER,      /* unknown kinds, unreadable rows */
                    FOREIGN_KINDS
};

struct foreign {                /* {0} is empty; foreign_deinit */
    struct buf lines;           /* of the sessions that are done */
    size_t left[FOREIGN_KINDS]; /* how many were left out */
    struct buf messages, title; /* of the session being read */
    size_t n_messages;          /* the last one's number */
    int64_t first_us, last_us;
};

struct foreign_message {
    size_t parent;              /* number of an earlier message; 0: none */
    const char *role;           /* "system", "user", "assistant" */
    const char *text, *thought; /* thought NULL: none */
    size_t n_text, n_thought;
    int64_t created_us; /* 0: not known */
    const char *state;  /* "done", "stopped", "length" */
};
/* Appends a message; its number is f->n_messages then. */
int foreign_add(struct foreign *f, const struct foreign_message *m, ox_err *err);

struct foreign_session {
    const char *source, *id;        /* "llm" and its own id: the same one is not imported twice */
    const char *title;              /* NULL or "": the first line of the first question */
    size_t leaf;                    /* number of the message on screen; 0: the last */
    int64_t created_us, updated_us; /* 0: those of the messages */
};
/* Ends the session. Without a message there is none. */
int foreign_end(struct foreign *f, const struct foreign_session *s, ox_err *err);
void foreign_deinit(struct foreign *f);

/* "2 tool messages, 1 attachment" appended; nothing if nothing was left out. */
int foreign_say_left(const struct foreign *f, struct buf *out, ox_err *err);
/* Microseconds of "2026-02-03T04:05:06.789+00:00" (also a space for the T, no zone: UTC); 0 if it
 * is none. */
int64_t foreign_time(const char *iso);

#endif
