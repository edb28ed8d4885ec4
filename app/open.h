/* open.h - brings up what a verb works with, in order: signals, worker, model. UI thread. */
#ifndef OPEN_H
#define OPEN_H

#include "app/config.h"
#include "app/worker.h"

enum { OPEN_PATH_BYTES = 512 };

/* The LOAD of a model: a folder's name, NULL for the built-in one, "remote:NAME" for a server of
 * the configuration. Errors: those of remote_conf. work_deinit in every case. */
int open_load(const struct config *conf, const char *model, struct work *job, ox_err *err);
/* Whether /model could load this at all, found out without loading: a folder that is there, a
 * server of the configuration. OX_EMODEL; the words of conf_set and open_load. */
int open_look(struct config *conf, const char *name, ox_err *err);
/* Starts the engine thread and has it load the model of the configuration. db_uid names the
 * database in saved states; NULL: nothing is kept. Ctrl-C reaches the worker from now on; a second
 * one ends the program. Close with open_close. */
int open_worker(const struct config *conf, const char *db_uid, worker **out, ox_err *err);
/* The same options for the full screen, which starts its worker itself. log_path must live as long.
 */
struct worker_opts open_options(const struct config *conf, const char *db_uid,
                                char log_path[OPEN_PATH_BYTES]);
/* Waits until the model is loaded. Its info lives as long as the worker. */
int open_wait(worker *w, const struct ox_info **info, ox_err *err);
void open_close(worker *w); /* NULL is fine */

#endif
