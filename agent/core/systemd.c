/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/systemd.h"

#include <limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "agent/util/clock.h"
#include "agent/util/fault.h"

#define PRIVATE_SOCKET  "unix:path=/run/systemd/private"
#define INVOCATIONS     "/run/systemd/units/invocation:"
#define INVOCATION_SIZE 32
/* where PID 1 puts a service that is not told otherwise */
#define SLICE       "/system.slice/"
#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER     "/org/freedesktop/systemd1"
/* from this version on a frozen unit's watchdog is not counted (systemd issue 38517) */
#define WATCHDOG_SAFE_VERSION 258
#define CALL_TIMEOUT_US       (1U * 1000 * 1000)
/* longer than a host takes until PID 1 answers, which it does long before the host is up */
#define BOOT_MS (3 * 60 * 1000)

/* The interface that carries ControlGroup, by the unit's suffix. */
static const struct {
        const char *suffix, *interface;
} kinds[] = {
        { ".service", DESTINATION ".Service" }, { ".scope", DESTINATION ".Scope" }, { ".slice", DESTINATION ".Slice" },
        { ".socket", DESTINATION ".Socket" },   { ".mount", DESTINATION ".Mount" }, { ".swap", DESTINATION ".Swap" },
};

struct systemd {
        sd_bus *bus;
        bool silent; /* it did not answer in time */
        bool up;     /* the host has been up once */
};

static int connect_private(struct systemd *s) {
        int r;

        if (s->silent)
                return -ETIMEDOUT;
        if (s->bus && sd_bus_is_open(s->bus) > 0)
                return 0;
        s->bus = sd_bus_close_unref(s->bus);
        if (sd_booted() <= 0)
                return -EOPNOTSUPP;
        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_address(s->bus, PRIVATE_SOCKET);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(s->bus, CALL_TIMEOUT_US);
        if (r >= 0)
                r = sd_bus_start(s->bus);
        if (r < 0)
                s->bus = sd_bus_close_unref(s->bus);
        return r;
}

/* Passes the result of a call on, noting when PID 1 did not answer. */
static int answered(struct systemd *s, int r) {
        s->silent = s->silent || r == -ETIMEDOUT;
        return r;
}

/* Connected, and greeted: the kernel connects to a PID 1 that is stuck as well, and sd-bus waits for its greeting for
 * 90 s. */
static int connect_greeted(struct systemd *s) {
        const int64_t deadline = clock_mono_us() + CALL_TIMEOUT_US;
        int r = connect_private(s);

        while (r >= 0 && sd_bus_is_ready(s->bus) == 0) {
                const int64_t left = deadline - clock_mono_us();

                r = left <= 0 ? -ETIMEDOUT : sd_bus_process(s->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(s->bus, (uint64_t) left);
        }
        /* its socket is not there: of no unit does that say anything */
        return answered(s, r == -ENOENT ? -ECONNREFUSED : MIN(r, 0));
}

int systemd_new(struct systemd **ret) {
        struct systemd *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *ret = s;
        return 0;
}

void systemd_free(struct systemd *s) {
        if (!s)
                return;
        (void) sd_bus_close_unref(s->bus);
        free(s);
}

void systemd_freep(struct systemd **s) {
        systemd_free(*s);
}

void systemd_begin(struct systemd *s) {
        /* whoever asks next finds out */
        (void) connect_private(s);
}

void systemd_rest(struct systemd *s) {
        s->silent = false;
        s->bus = sd_bus_close_unref(s->bus);
}

bool systemd_is_silent(const struct systemd *s) {
        return s->silent;
}

void systemd_give_up(struct systemd *s) {
        s->silent = s->up || clock_boot_ms() >= BOOT_MS;
}

int systemd_version(struct systemd *s) {
        char *text = NULL;
        int version = 0;

        if (connect_greeted(s) < 0)
                return 0;
        if (answered(s, sd_bus_get_property_string(s->bus, DESTINATION, MANAGER, DESTINATION ".Manager", "Version",
                                                   NULL, &text)) >= 0)
                version = atoi(text);
        free(text);
        return version;
}

static int read_state(struct systemd *s, char **ret) {
        int r = connect_greeted(s);

        return r < 0 ? r
                     : answered(s, sd_bus_get_property_string(s->bus, DESTINATION, MANAGER, DESTINATION ".Manager",
                                                              "SystemState", NULL, ret));
}

bool systemd_is_booting(struct systemd *s) {
        _cleanup_free_ char *state = NULL;
        int r = s->up ? 0 : read_state(s, &state);

        if (s->up || r == -EOPNOTSUPP)
                return false;
        s->up = r >= 0 && strcmp(state, "initializing") != 0 && strcmp(state, "starting") != 0;
        return r < 0 ? clock_boot_ms() < BOOT_MS : !s->up;
}

static const char *interface_of(const char *name) {
        const char *dot = strrchr(name, '.');

        for (size_t k = 0; dot && k < ELEMENTSOF(kinds); k++)
                if (strcmp(dot, kinds[k].suffix) == 0)
                        return kinds[k].interface;
        return NULL;
}

static int unit_path(const char *name, char **ret) {
        return sd_bus_path_encode(MANAGER "/unit", name, ret);
}

bool systemd_unit_is_starting(struct systemd *s, const char *name) {
        _cleanup_free_ char *path = NULL, *state = NULL;
        int r = connect_greeted(s);

        if (r >= 0)
                r = unit_path(name, &path);
        if (r >= 0)
                r = answered(s, sd_bus_get_property_string(s->bus, DESTINATION, path, DESTINATION ".Unit",
                                                           "ActiveState", NULL, &state));
        return r < 0 || strcmp(state, "activating") == 0;
}

/* Asking for an object loads the unit, and one without a file loads too: LoadState tells them apart. */
static int check_loaded(struct systemd *s, const char *path) {
        char *state = NULL;
        int r = sd_bus_get_property_string(s->bus, DESTINATION, path, DESTINATION ".Unit", "LoadState", NULL, &state);

        if (r >= 0)
                r = strcmp(state, "not-found") == 0 ? -ENOENT : 0;
        free(state);
        return r;
}

int systemd_unit_cgroup(struct systemd *s, const char *name, char **ret) {
        const char *interface = interface_of(name);
        _cleanup_free_ char *path = NULL, *cgroup = NULL;
        int r;

        if (!interface)
                return -EINVAL;
        r = connect_greeted(s);
        if (r >= 0)
                r = unit_path(name, &path);
        if (r >= 0)
                r = answered(s, sd_bus_get_property_string(s->bus, DESTINATION, path, interface, "ControlGroup", NULL,
                                                           &cgroup));
        if (r >= 0 && cgroup[0] == 0)
                r = check_loaded(s, path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(cgroup);
        return 0;
}

bool systemd_unit_may_be_at(struct systemd *s, const char *name, const char *path) {
        _cleanup_free_ char *cgroup = NULL;
        const int r = systemd_unit_cgroup(s, name, &cgroup);

        return r == 0 ? strcmp(cgroup, path) == 0 : r != -ENOENT;
}

static int list_units(struct systemd *s, char **patterns, sd_bus_message **ret) {
        sd_bus_message *m = NULL;
        int r = connect_greeted(s);

        if (r >= 0)
                r = sd_bus_message_new_method_call(s->bus, &m, DESTINATION, MANAGER, DESTINATION ".Manager",
                                                   "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, NULL); /* in any state */
        if (r >= 0)
                r = sd_bus_message_append_strv(m, patterns);
        if (r >= 0)
                r = answered(s, sd_bus_call(s->bus, m, 0, NULL, ret));
        (void) sd_bus_message_unref(m);
        return r;
}

/* What is listed of a unit, as far as it matters. */
struct listed {
        const char *name, *active, *path;
};

static int read_listed(sd_bus_message *m, struct listed *ret) {
        return sd_bus_message_read(m, "(ssssssouso)", &ret->name, NULL, NULL, &ret->active, NULL, NULL, &ret->path,
                                   NULL, NULL, NULL);
}

/* "" also when it has gone since it was listed. */
static int listed_cgroup(struct systemd *s, const struct listed *u, char **ret) {
        const char *interface = interface_of(u->name);
        int r = 0;

        if (interface && strcmp(u->active, "inactive") != 0)
                r = answered(s, sd_bus_get_property_string(s->bus, DESTINATION, u->path, interface, "ControlGroup",
                                                           NULL, ret));
        if (s->silent || sd_bus_is_open(s->bus) <= 0)
                return r < 0 ? r : -ECONNRESET;
        return 0;
}

int systemd_each_unit(struct systemd *s, char **patterns,
                      bool (*fn)(const char *name, const char *cgroup, void *userdata), void *userdata) {
        sd_bus_message *m = NULL;
        bool more = true;
        int r = list_units(s, patterns, &m);

        for (int templates = 0; r >= 0 && more && templates < 2; templates++) {
                struct listed u;

                r = sd_bus_message_rewind(m, true);
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
                while (r >= 0 && more && (r = read_listed(m, &u)) > 0) {
                        _cleanup_free_ char *cgroup = NULL;

                        if ((strchr(u.name, '@') != NULL) != templates)
                                continue;
                        r = listed_cgroup(s, &u, &cgroup);
                        if (r >= 0 && cgroup && cgroup[0] != 0)
                                more = fn(u.name, cgroup, userdata);
                }
        }
        (void) sd_bus_message_unref(m);
        return MIN(r, 0);
}

int systemd_unit_cgroup_written(const char *root, const char *name, char **ret) {
        char link[PATH_MAX], id[INVOCATION_SIZE + 1], on_cgroup[INVOCATION_SIZE + 1];
        _cleanup_free_ char *path = NULL, *full = NULL;

        if (strchr(name, '/') || (size_t) snprintf(link, sizeof(link), INVOCATIONS "%s", name) >= sizeof(link) ||
            readlink(link, id, sizeof(id)) != INVOCATION_SIZE)
                return -ENOENT;
        if (asprintf(&path, SLICE "%s", name) < 0 || asprintf(&full, "%s%s", root, path) < 0)
                return -ENOMEM;
        if (lgetxattr(full, "trusted.invocation_id", on_cgroup, sizeof(on_cgroup)) != INVOCATION_SIZE ||
            memcmp(id, on_cgroup, INVOCATION_SIZE) != 0)
                return -ENOENT;
        *ret = TAKE_PTR(path);
        return 0;
}

uint64_t systemd_unit_watchdog(struct systemd *s, const char *name) {
        const char *interface = interface_of(name);
        _cleanup_free_ char *path = NULL;
        uint64_t us = 0;

        /* only services have one */
        if (!interface || connect_greeted(s) < 0 || unit_path(name, &path) < 0 ||
            answered(s, sd_bus_get_property_trivial(s->bus, DESTINATION, path, interface, "WatchdogUSec", NULL, 't',
                                                    &us)) < 0)
                return 0;
        return us == UINT64_MAX || us == 0 || systemd_version(s) >= WATCHDOG_SAFE_VERSION ? 0 : us;
}

bool systemd_unit_watchdog_expired(struct systemd *s, const char *name) {
        const uint64_t every = systemd_unit_watchdog(s, name);
        _cleanup_free_ char *path = NULL, *result = NULL;
        uint64_t last = 0;

        if (every == 0 || unit_path(name, &path) < 0 ||
            answered(s, sd_bus_get_property_string(s->bus, DESTINATION, path, DESTINATION ".Service", "Result", NULL,
                                                   &result)) < 0 ||
            answered(s, sd_bus_get_property_trivial(s->bus, DESTINATION, path, DESTINATION ".Service",
                                                    "WatchdogTimestampMonotonic", NULL, 't', &last)) < 0)
                return false;
        return strcmp(result, "watchdog") == 0 || (last > 0 && (uint64_t) clock_mono_us() > last + every);
}

int systemd_unit_dependents(struct systemd *s, const char *name, struct paths *ret) {
        static const char *const properties[] = { "RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf" };
        _cleanup_free_ char *path = NULL;
        int r = connect_greeted(s);

        if (r >= 0)
                r = unit_path(name, &path);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(properties); i++) {
                char **names = NULL;

                r = answered(s, sd_bus_get_property_strv(s->bus, DESTINATION, path, DESTINATION ".Unit", properties[i],
                                                         NULL, &names));
                for (size_t k = 0; names && names[k]; k++) {
                        if (r >= 0)
                                r = paths_add(ret, names[k]);
                        free(names[k]);
                }
                free(names);
        }
        return MIN(r, 0);
}

int systemd_unit_frozen(struct systemd *s, const char *name, bool frozen) {
        int r = connect_greeted(s);

        if (r >= 0)
                r = fault_effect("systemd-freezer");
        if (r < 0)
                return r;
        return answered(s, sd_bus_call_method(s->bus, DESTINATION, MANAGER, DESTINATION ".Manager",
                                              frozen ? "FreezeUnit" : "ThawUnit", NULL, NULL, "s", name));
}

static int read_bool(struct systemd *s, const char *path, const char *name, bool *ret) {
        int value = 0;
        int r = answered(s, sd_bus_get_property_trivial(s->bus, DESTINATION, path, DESTINATION ".Unit", name, NULL, 'b',
                                                        &value));

        if (r >= 0)
                *ret = value;
        return r;
}

static int read_drop_ins(struct systemd *s, const char *path, const char *file, bool *ret) {
        char **paths = NULL;
        int r = answered(s, sd_bus_get_property_strv(s->bus, DESTINATION, path, DESTINATION ".Unit", "DropInPaths",
                                                     NULL, &paths));

        for (size_t i = 0; r >= 0 && paths && paths[i]; i++) {
                const char *slash = strrchr(paths[i], '/');

                *ret |= slash && strcmp(slash + 1, file) == 0;
        }
        for (size_t i = 0; paths && paths[i]; i++)
                free(paths[i]);
        free(paths);
        return r;
}

/* Conditions and Asserts are lists of (type, trigger, negate, parameter, last result). */
static int read_never(struct systemd *s, const char *path, const char *list, const char *type, bool *ret) {
        sd_bus_message *m = NULL;
        const char *is, *parameter;
        int trigger, negate;
        int r = answered(
                s, sd_bus_get_property(s->bus, DESTINATION, path, DESTINATION ".Unit", list, NULL, &m, "a(sbbsi)"));

        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(sbbsi)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(sbbsi)", &is, &trigger, &negate, &parameter, NULL)) > 0)
                *ret |= strcmp(is, type) == 0 && !trigger && negate && strcmp(parameter, "/") == 0;
        (void) sd_bus_message_unref(m);
        return r;
}

static int read_restart(struct systemd *s, const char *path, bool *ret_never) {
        _cleanup_free_ char *restart = NULL;
        int r = answered(s, sd_bus_get_property_string(s->bus, DESTINATION, path, DESTINATION ".Service", "Restart",
                                                       NULL, &restart));

        if (r >= 0)
                *ret_never = strcmp(restart, "no") == 0;
        return r;
}

int systemd_unit_fence(struct systemd *s, const char *name, const char *file, struct systemd_fence *ret) {
        const char *interface = interface_of(name);
        _cleanup_free_ char *path = NULL;
        bool start = false, stop = false, condition = false, once = true;
        struct systemd_fence f = { 0 };
        int r = interface ? connect_greeted(s) : -EINVAL;

        if (r >= 0)
                r = unit_path(name, &path);
        if (r >= 0)
                r = read_drop_ins(s, path, file, &f.has_file);
        if (r >= 0)
                r = read_bool(s, path, "RefuseManualStart", &start);
        if (r >= 0)
                r = read_bool(s, path, "RefuseManualStop", &stop);
        if (r >= 0)
                r = read_never(s, path, "Conditions", "ConditionPathExists", &condition);
        if (r >= 0 && strcmp(interface, DESTINATION ".Service") == 0)
                r = read_restart(s, path, &once);
        if (r < 0)
                return r;
        f.refuses = start && stop;
        f.never = condition && once;
        *ret = f;
        return 0;
}
