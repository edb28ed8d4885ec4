/* cores.c - see cores.h. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_* */
#include "engine/cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

static int read_topology(int cpu, const char *what) {
    char path[96];
    int v = -1;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    if (fscanf(f, "%d", &v) != 1) v = -1;
    fclose(f);
    return v;
}

/* Two hardware threads of one core share its multipliers: one worker a core is as fast and quieter.
 */
static int physical_cores(void) {
    enum { MAX_CPUS = 1024 };
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int core[MAX_CPUS], n = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && cpu < MAX_CPUS; cpu++) {
        if (!CPU_ISSET(cpu, &set)) continue;
        int id = read_topology(cpu, "core_id"), package = read_topology(cpu, "physical_package_id");
        int name = id < 0 ? -1 - cpu : package * 65536 + id; /* not told: a core of its own */
        bool is_new = true;
        for (int i = 0; i < n && is_new; i++)
            is_new = core[i] != name;
        if (is_new) core[n++] = name;
    }
    return n ? n : 1;
}

/* ---- quota of a container -----------------------------------------------------------------------
 */

/* One number or two from a file; how many there were. "max" is none. */
static int read_numbers(const char *path, long long *a, long long *b) {
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    int n = fscanf(f, "%lld %lld", a, b);
    fclose(f);
    return n > 0 ? n : 0;
}

static int whole(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long n = (quota + period - 1) / period;
    return n < 1 ? 1 : n > 4096 ? 4096 : (int)n;
}

static int quota_at(const char *sys, const char *controller, const char *group) {
    char path[2 * PATH_BYTES];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s%s%s/cpu.max", sys, controller, group);
    if (read_numbers(path, &quota, &period) == 2) return whole(quota, period);
    snprintf(path, sizeof path, "%s%s%s/cpu.cfs_quota_us", sys, controller, group);
    if (read_numbers(path, &quota, &period) != 1) return 0;
    snprintf(path, sizeof path, "%s%s%s/cpu.cfs_period_us", sys, controller, group);
    return read_numbers(path, &period, &period) == 1 ? whole(quota, period) : 0;
}

/* The least of the group and all above it. */
static int quota_up(const char *sys, const char *controller, char *group) {
    int least = 0;
    for (;;) {
        int n = quota_at(sys, controller, group);
        if (n && (!least || n < least)) least = n;
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "0::/path" (version 2), or "4:cpu,cpuacct:/path". */
static bool names_cpu(const char *line) {
    const char *list = strchr(line, ':');
    if (!list) return false;
    if (list[1] == ':') return true;
    for (const char *s = list; *s && (s == list || *s != ':'); s += strcspn(s + 1, ",:") + 1)
        if (strncmp(s + 1, "cpu", 3) == 0 && (s[4] == ',' || s[4] == ':')) return true;
    return false;
}

int cores_quota(const char *proc, const char *sys) {
    char line[PATH_BYTES];
    int least = 0;
    FILE *f = fopen(proc, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group || !names_cpu(line)) continue;
        int n = quota_up(sys, list[1] == ':' ? "" : "/cpu", group + 1);
        if (n && (!least || n < least)) least = n;
    }
    if (f) fclose(f);
    return least;
}

int cores_usable(void) {
    int n = physical_cores(), quota = cores_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota && quota < n ? quota : n;
}
