/* ox_err.h - error codes and the struct that carries an error to the person who can act on it.
 *
 * Every function that can fail returns 0 or a negative OX_E* code and takes `ox_err *err` last.
 * err may be NULL. A filled err has three parts, because a user needs three things: what happened,
 * where (a chain of steps, outermost first), and how to go on. Set once where the fault is found,
 * wrapped on the way up, printed once in app/main.c. Any thread; a struct belongs to one caller. */
#ifndef OX_ERR_H
#define OX_ERR_H

#include <stdarg.h>

enum ox_code {
    OX_OK = 0,
    OX_EFAIL = -1,      /* anything without a code of its own */
    OX_EUSAGE = -2,     /* the caller's words are wrong: flags, arguments, config */
    OX_EMODEL = -3,     /* model missing, damaged or not of our family */
    OX_EDEVICE = -4,    /* no such device, device lost, a kernel failed */
    OX_ENOTFOUND = -5,  /* the thing asked for does not exist */
    OX_EFIT = -6,       /* does not fit the context */
    OX_EDB = -7,        /* database damaged, foreign or newer than the program */
    OX_EBUSY = -8,      /* locked by another process, or a queue is full */
    OX_ENOMEM = -9,     /* memory: the allocation is named in `what` */
    OX_EIO = -10,       /* the system refused to read or write */
    OX_EFORMAT = -11,   /* bytes that do not follow their format */
    OX_ECANCELLED = -12 /* somebody asked to stop; not a fault */
};

typedef struct ox_err {
    int code;
    char what[320];  /* "layers.3 A_log: expected [30] f32 or bf16, file has [32] bf16" */
    char where[160]; /* "open model > weights" */
    char fix[240];   /* "check that -m names an Olmo Hybrid folder"; may be empty */
} ox_err;

#if defined(__GNUC__)
#define OX_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define OX_PRINTF(f, a)
#endif

/* Fills err (NULL: nothing) and returns code, so that `return ox_err_set(...)` reads as one thought.
 * Replaces what was there: where and fix become empty. Long texts are cut at a character border, control
 * bytes but the newline become '?': names in messages come from files. */
int ox_err_set(ox_err *err, int code, const char *what, ...) OX_PRINTF(3, 4);

/* Says how to go on. Returns err->code; for NULL the code of this thread's last ox_err_set. */
int ox_err_fix(ox_err *err, const char *fix, ...) OX_PRINTF(2, 3);

/* Puts a step in front of the chain `where`: "step > old". Returns code unchanged. */
int ox_err_wrap(ox_err *err, int code, const char *step);

/* A short name for logs: "model", "io", .. Never NULL. */
const char *ox_err_name(int code);

#endif
