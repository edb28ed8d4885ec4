/* remote_conf.h - servers of the configuration: remote.NAME.url, .model, .key_env, .key_file, .ctx.
 *
 * A name without a url takes OPENAI_BASE_URL, and then, if no key was named, OPENAI_API_KEY: the
 * two belong together, so that a key never goes to a server it was not made for. UI thread. */
#ifndef REMOTE_CONF_H
#define REMOTE_CONF_H

#include "app/config.h"
#include "app/remote/server.h"

/* "office" of "remote:office"; NULL: a model that runs here. Borrowed from model. */
const char *remote_conf_name(const char *model);
/* The server of this name, with its key read; remote_server_deinit in every case. OX_EMODEL: not in
 * the config, or not whole. OX_EUSAGE: a value that is wrong; a key file that others can read. */
int remote_conf(const struct config *c, const char *name, struct remote_server *out, ox_err *err);

#endif
