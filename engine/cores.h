/* cores.h - how many threads can really run at once here. */
#ifndef CORES_H
#define CORES_H

/* Physical cores that this process may use (affinity), or fewer where a container's quota gives
 * less time: threads beyond it would wait for each other at every step. At least 1. */
int cores_usable(void);

/* The quota of the control group in whole processors, rounded up; 0: none. `proc` is a file like
 * /proc/self/cgroup, `sys` a folder like /sys/fs/cgroup (version 2, or 1 with the controller cpu):
 * the group's own limit and those above it. */
int cores_quota(const char *proc, const char *sys);

#endif
