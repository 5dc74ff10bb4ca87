/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Forged twins of a JSON text that is right: one change each, at every place where it can be made. Strings of the text
 * hold no braces. Include after cmocka.h. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cleanup.h"

/* Where a twin differs, as "to.hosts.0", and the twin. */
typedef void twin_check(const char *path, const char *json);

static inline void twin_emit(const json_t *root, const char *path, twin_check *check) {
        char *json = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(3));

        assert_non_null(json);
        check(path, json);
        free(json);
}

static inline void twin_path(char *ret, size_t n, const char *parent, const char *member) {
        (void) snprintf(ret, n, "%s%s%s", parent, *parent ? "." : "", member);
}

static inline json_t *twin_child(json_t *node, const char *member) {
        return json_is_array(node) ? json_array_get(node, strtoul(member, NULL, 10)) : json_object_get(node, member);
}

/* Calls visit for every node below node; members are listed first, so that visit may take them out and put them
 * back. */
static inline void twin_walk(json_t *root, json_t *node, const char *path, twin_check *check,
                             void (*visit)(json_t *root, json_t *node, const char *member, const char *path,
                                           twin_check *check)) {
        char members[128][64], child[256];
        size_t n = 0;
        const char *member;
        json_t *value;

        if (json_is_object(node))
                json_object_foreach(node, member, value)(void) snprintf(members[n++], sizeof(members[0]), "%s", member);
        for (size_t i = 0; json_is_array(node) && i < json_array_size(node); i++)
                (void) snprintf(members[n++], sizeof(members[0]), "%zu", i);
        for (size_t i = 0; i < n; i++) {
                twin_path(child, sizeof(child), path, members[i]);
                visit(root, node, members[i], child, check);
                twin_walk(root, twin_child(node, members[i]), child, check, visit);
        }
}

static inline void twin_set(json_t *node, const char *member, json_t *value) {
        if (json_is_array(node))
                assert_int_equal(json_array_set_new(node, strtoul(member, NULL, 10), value), 0);
        else
                assert_int_equal(json_object_set_new(node, member, value), 0);
}

static inline void twin_visit_removed(json_t *root, json_t *node, const char *member, const char *path,
                                      twin_check *check) {
        json_t *old;

        if (!json_is_object(node))
                return;
        old = json_incref(json_object_get(node, member));
        assert_int_equal(json_object_del(node, member), 0);
        twin_emit(root, path, check);
        twin_set(node, member, old);
}

/* The same place with a value of each other JSON type. */
static inline void twin_visit_retyped(json_t *root, json_t *node, const char *member, const char *path,
                                      twin_check *check) {
        static const char *const values[] = { "null", "true", "1", "1.0", "\"x\"", "[]", "{}", "[[]]", "[{}]" };
        json_t *old = json_incref(twin_child(node, member));

        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                json_t *value = json_loads(values[i], JSON_DECODE_ANY, NULL);

                assert_non_null(value);
                if (json_typeof(value) == json_typeof(old) || (json_is_boolean(value) && json_is_boolean(old)))
                        json_decref(value);
                else {
                        twin_set(node, member, value);
                        twin_emit(root, path, check);
                }
        }
        twin_set(node, member, old);
}

static inline void twin_visit_added(json_t *root, json_t *node, const char *member, const char *path,
                                    twin_check *check) {
        json_t *child = twin_child(node, member);
        char added[300];

        if (!json_is_object(child))
                return;
        twin_path(added, sizeof(added), path, "unknown");
        assert_int_equal(json_object_set_new(child, "unknown", json_integer(1)), 0);
        twin_emit(root, added, check);
        assert_int_equal(json_object_del(child, "unknown"), 0);
}

static inline json_t *twin_load(const char *base) {
        json_t *root = json_loads(base, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(root);
        return root;
}

/* Every member of every object taken out in turn. */
static inline void twins_removed(const char *base, twin_check *check) {
        _cleanup_json_ json_t *root = twin_load(base);

        twin_walk(root, root, "", check, twin_visit_removed);
}

/* Every value replaced by values of other types. */
static inline void twins_retyped(const char *base, twin_check *check) {
        _cleanup_json_ json_t *root = twin_load(base);

        twin_walk(root, root, "", check, twin_visit_retyped);
}

/* A member "unknown" added to every object. */
static inline void twins_added(const char *base, twin_check *check) {
        _cleanup_json_ json_t *root = twin_load(base);

        assert_int_equal(json_object_set_new(root, "unknown", json_integer(1)), 0);
        twin_emit(root, "unknown", check);
        assert_int_equal(json_object_del(root, "unknown"), 0);
        twin_walk(root, root, "", check, twin_visit_added);
}

/* The first member of every object given twice, once with its name in an escape. */
static inline void twins_doubled(const char *base, twin_check *check) {
        for (const char *p = strstr(base, "{\""); p; p = strstr(p + 1, "{\"")) {
                const char *name = p + 2, *end = strchr(name, '"');
                char json[16384];

                assert_non_null(end);
                (void) snprintf(json, sizeof(json), "%.*s\"%.*s\":1,%s", (int) (p + 1 - base), base, (int) (end - name),
                                name, p + 1);
                check(name, json);
                (void) snprintf(json, sizeof(json), "%.*s\"\\u%04x%.*s\":1,%s", (int) (p + 1 - base), base,
                                (unsigned int) *name, (int) (end - name - 1), name + 1, p + 1);
                check(name, json);
        }
}

/* The text with the value at the path replaced, or added when the last member of the path is not there, or taken out
 * for NULL. */
static inline char *twin_with(const char *base, const char *path, const char *value) {
        _cleanup_json_ json_t *root = twin_load(base);
        json_t *node = root;
        char copy[256], *member, *next;

        (void) snprintf(copy, sizeof(copy), "%s", path);
        for (member = copy; (next = strchr(member, '.')); member = next + 1) {
                *next = '\0';
                node = twin_child(node, member);
                assert_non_null(node);
        }
        if (value) {
                json_t *j = json_loads(value, JSON_DECODE_ANY, NULL);

                assert_non_null(j);
                twin_set(node, member, j);
        } else
                assert_int_equal(json_object_del(node, member), 0);
        return json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
}
