/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/container.h"

#include <string.h>

#define HEX "0123456789abcdef"
/* of an id */
#define DIGITS     64U
#define DIGITS_MIN 6U

static const struct layout {
        const char *prefix, *suffix;
        bool by_id; /* the runtime's name for it is an id of 64 digits; else any name */
} layouts[] = {
        /* systemd driver: a scope, wherever --cgroup-parent puts it. "libpod-conmon-" and "crio-conmon-" are no ids. */
        { "docker-", ".scope", true },
        { "libpod-", ".scope", true },         /* podman; its processes are in "container" below */
        { "cri-containerd-", ".scope", true }, /* kubelet with containerd */
        { "crio-", ".scope", true },
        { "nerdctl-", ".scope", true },
        { "crun-", ".scope", false },
        { "runc-", ".scope", false },
        /* cgroupfs driver: /docker/ID, /kubepods/burstable/podUID/ID, /libpod_parent/libpod-ID */
        { "libpod-", "", true },
        { "crio-", "", true },
        { "", "", true },
        /* runc and crun alone, and ctr in the folder of its namespace: /NAME, /crun/NAME, /default/NAME */
        { "", "", false },
};

/* Folders of containers, which are none themselves. */
static const char *const folders[] = { "crun", "default", "docker", "k8s.io", "kubepods", "libpod_parent", "moby" };

/* Below kubepods, above the pods: /kubepods/burstable/podUID */
static const char *const qos[] = { "besteffort", "burstable", "guaranteed" };

static const char *const unit_suffixes[] = { ".service", ".scope", ".slice", ".socket", ".mount", ".swap" };

/* What the layout leaves of the name; 0 when it is not of it. */
static size_t strip(const struct layout *l, const char *name, const char **ret) {
        const size_t n = strlen(name), before = strlen(l->prefix), after = strlen(l->suffix);

        if (n <= before + after || strncmp(name, l->prefix, before) != 0 || strcmp(name + n - after, l->suffix) != 0)
                return 0;
        *ret = name + before;
        return n - before - after;
}

static bool is_id(const char *s, size_t n) {
        return n == DIGITS && strspn(s, HEX) >= n;
}

bool container_has_id(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                const char *id = NULL;
                const size_t n = strip(&layouts[i], name, &id);

                if (layouts[i].by_id && n > 0 && is_id(id, n))
                        return true;
        }
        return false;
}

static bool is_one_of(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

bool container_is_folder(const char *name, bool *in_pods) {
        const bool below = *in_pods;

        *in_pods = strcmp(name, "kubepods") == 0 || (below && is_one_of(qos, ELEMENTSOF(qos), name));
        return *in_pods || is_one_of(folders, ELEMENTSOF(folders), name) || (below && strncmp(name, "pod", 3) == 0);
}

/* A name that only stands there may be anything's. */
static bool may_be_bare(const char *name) {
        const char *dot = strrchr(name, '.');

        if (is_one_of(folders, ELEMENTSOF(folders), name))
                return false;
        for (size_t i = 0; dot && i < ELEMENTSOF(unit_suffixes); i++)
                if (strcmp(dot, unit_suffixes[i]) == 0)
                        return false;
        return true;
}

enum find_fit container_fits(const char *name, const char *wanted) {
        const size_t n = strlen(wanted);
        const bool begins = n >= DIGITS_MIN && n < DIGITS && strspn(wanted, HEX) == n;

        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                const struct layout *l = &layouts[i];
                const char *rest;
                const size_t left = strip(l, name, &rest);

                if (left == 0 || (!*l->prefix && !may_be_bare(name)))
                        continue;
                if (left == n && strncmp(rest, wanted, n) == 0 && (!l->by_id || is_id(rest, left)))
                        return FIND_IS;
                if (l->by_id && begins && is_id(rest, left) && strncmp(rest, wanted, n) == 0)
                        return FIND_BEGINS;
        }
        return FIND_NOT;
}
