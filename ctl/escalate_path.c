/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/escalate_path.h"

#define INDEX_DIGITS_MAX 6U

static const json_t *in_array(const json_t *at, const char **path) {
        const size_t n = strspn(*path, "0123456789");
        const char *end = *path + n;

        if (n == 0 || n > INDEX_DIGITS_MAX || (*end && *end != '.'))
                return NULL;
        const json_t *v = json_array_get(at, strtoul(*path, NULL, 10));
        *path = end + (*end == '.');
        return v;
}

static const json_t *in_object(const json_t *at, const char **path) {
        char name[ESCALATE_PATH_MAX + 1];
        size_t n = strnlen(*path, sizeof(name));

        if (n == sizeof(name))
                return NULL;
        while (n > 0) {
                memcpy(name, *path, n);
                name[n] = '\0';
                const json_t *v = json_object_get(at, name);
                if (v) {
                        *path += n + ((*path)[n] == '.');
                        return v;
                }
                do
                        n--;
                while (n > 0 && (*path)[n] != '.');
        }
        return NULL;
}

const json_t *escalate_path_find(const json_t *event, const char *path) {
        const json_t *at = event;

        while (at && *path)
                at = json_is_array(at) ? in_array(at, &path) : in_object(at, &path);
        return at;
}

bool escalate_path_text(const json_t *v, char ret[static ESCALATE_VALUE_MAX + 1]) {
        if (json_is_string(v)) {
                if (json_string_length(v) > ESCALATE_VALUE_MAX)
                        return false;
                memcpy(ret, json_string_value(v), json_string_length(v) + 1);
        } else if (json_is_integer(v))
                (void) snprintf(ret, ESCALATE_VALUE_MAX + 1, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        else if (json_is_boolean(v))
                (void) strcpy(ret, json_is_true(v) ? "true" : "false");
        else
                return false;
        return true;
}

bool escalate_path_ok(const char *path) {
        const size_t n = strlen(path);

        if (n == 0 || n > ESCALATE_PATH_MAX || path[0] == '.' || path[n - 1] == '.')
                return false;
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f || *p == '{' || *p == '}')
                        return false;
        return true;
}
