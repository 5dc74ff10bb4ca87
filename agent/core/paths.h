/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A few cgroups by their paths, for an answer to name: a list that an attacker cannot make long. */

#include <stddef.h>

#include <jansson.h>

#include "policy/cleanup.h"

#define PATHS_MAX 16U

struct paths {
        char *v[PATHS_MAX];
        size_t n;
        size_t more; /* that there was no room for */
};

/* Copies the path unless it is there already. -ENOMEM. */
int paths_add(struct paths *p, const char *path) _warn_unused_;
void paths_done(struct paths *p);
/* A path as it can be recorded and told: itself, or where it is not UTF-8, as whoever may make cgroups can call one,
 * with its other bytes as \xNN; that begins with a backslash, which no path does. malloc'ed; NULL of NULL, or when out
 * of memory. */
char *paths_to_text(const char *path);
/* The path that it was of. -EBADMSG, -ENOMEM. *ret is malloc'ed. */
int paths_from_text(const char *text, char **ret) _warn_unused_;
/* New reference, NULL when out of memory. What there was no room for is a last member "and N more". */
json_t *paths_to_json(const struct paths *p);
