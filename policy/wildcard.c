/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/wildcard.h"

#include <string.h>

#include "policy/schema.h"

/* fnmatch() would read the backslashes of escaped unit names, and brackets, as its own. Only the last `*` is ever gone
 * back to, so no pattern takes longer than its length times the name's. */
bool wildcard_matches(const char *pattern, const char *name) {
        const char *star = NULL, *star_name = NULL;

        while (*name) {
                if (*pattern == '*') {
                        star = pattern++;
                        star_name = name;
                } else if (*pattern == '?' || *pattern == *name) {
                        pattern++;
                        name++;
                } else if (star) {
                        pattern = star + 1;
                        name = ++star_name;
                } else
                        return false;
        }
        return pattern[strspn(pattern, "*")] == '\0';
}

bool wildcard_path_ok(const char *path) {
        size_t n = strlen(path);

        if (n < 2 || n >= WILDCARD_PATH_SIZE || path[0] != '/' || path[n - 1] == '/' || !schema_is_text(path, n + 1))
                return false;
        for (const char *name = path; name; name = strchr(name + 1, '/')) {
                size_t k = strcspn(name + 1, "/");

                if (k == 0 || (k == 1 && name[1] == '.') || (k == 2 && name[1] == '.' && name[2] == '.'))
                        return false;
        }
        return true;
}
