/* migrate.c - brings oxbow.db to this program's schema version, or refuses.
 *
 * The version is read twice: once to decide whether anything is to be done at all (and to keep a
 * newer file untouched), and again under the write lock, because another process may have been
 * faster. */
#include "app/store/migrate.h"
#include "build_id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

const struct migrate_step migrate_steps[] = {
    {1, schema_v1, NULL},
};

const char *migrate_build(void) {
    return OXBOW_VERSION " (" OXBOW_COMMIT ")";
}

static int read_version(struct db *db, int64_t *version, ox_err *err) {
    struct query q = db_query(db, "PRAGMA user_version");
    return query_one(&q, version, err);
}

static int refuse_newer(struct db *db, int64_t found, int newest, ox_err *err) {
    ox_err_set(err, OX_EDB,
               "%s is from a newer oxbow (schema %lld, this one knows %d), left as it is", db->path,
               (long long)found, newest);
    ox_err_fix(err, "use that oxbow, or another file with --db FILE");
    return OX_EDB;
}

/* The copy and the migrated file both need room; asked before anything is written. */
static int check_space(struct db *db, ox_err *err) {
    struct stat file;
    struct statvfs fs;
    if (stat(db->path, &file) || statvfs(db->path, &fs)) return 0; /* the writes will tell */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize, need = 2 * (uint64_t)file.st_size;
    if (room >= need) return 0;
    ox_err_set(err, OX_EIO, "disk full: %s needs %llu MiB to go to the next schema, %llu are free",
               db->path, (unsigned long long)(need >> 20), (unsigned long long)(room >> 20));
    return OX_EIO;
}

static int copy_before(struct db *db, int64_t version, ox_err *err) {
    char name[4200], part[4210];
    snprintf(name, sizeof name, "%s.v%lld.bak", db->path, (long long)version);
    snprintf(part, sizeof part, "%s.part", name);
    int rc = check_space(db, err);
    if (rc) return rc;
    unlink(part);
    rc = db_touch_private(part, err);
    if (rc) return rc;
    struct query q = db_query(db, "VACUUM INTO :file");
    query_str(&q, ":file", part);
    rc = query_run(&q, err);
    if (!rc && rename(part, name))
        rc = ox_err_set(err, OX_EIO, "cannot rename %s: %s", part, strerror(errno));
    if (rc) unlink(part);
    return rc;
}

static int run_step(struct db *db, const struct migrate_step *step, ox_err *err) {
    int rc = 0;
    for (int i = 0; !rc && step->sql && step->sql[i]; i++)
        rc = db_exec(db, step->sql[i], err);
    if (!rc && step->run) rc = step->run(db, err);
    char sql[64]; /* a pragma takes no parameters */
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", step->version);
    if (!rc) rc = db_exec(db, sql, err);
    if (rc) return rc;
    struct query q = db_query(
        db, "INSERT INTO migration (version, at_us, build) VALUES (:version, :at, :build)");
    query_i64(&q, ":version", step->version);
    query_i64(&q, ":at", db_now_us());
    query_str(&q, ":build", migrate_build());
    return query_run(&q, err);
}

int migrate(struct db *db, const struct migrate_step *steps, int n_steps, ox_err *err) {
    int64_t version = 0;
    int newest = steps[n_steps - 1].version;
    int rc = read_version(db, &version, err);
    if (rc || version == newest) return rc;
    if (version > newest) return refuse_newer(db, version, newest, err);
    if (db->read_only) {
        ox_err_set(err, OX_EDB, "%s has schema %lld and cannot be brought to %d: it is read-only",
                   db->path, (long long)version, newest);
        return OX_EDB;
    }
    if (version > 0 && !db->in_memory) rc = copy_before(db, version, err);
    if (!rc) rc = db_begin(db, false, err);
    if (rc) return ox_err_wrap(err, rc, "migrate");
    rc = read_version(db, &version, err);
    for (int i = 0; !rc && i < n_steps; i++)
        if (steps[i].version > version) rc = run_step(db, &steps[i], err);
    rc = db_end(db, rc, err);
    return rc ? ox_err_wrap(err, rc, "migrate") : 0;
}
