/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A unit's configuration as it lies on disk: its file and every drop-in, from every directory of systemd.unit(5),
 * shadowed ones included, since a shadowed file is evidence too. Found by name, because what the service manager has
 * loaded may differ from it, and that difference is worth seeing. Not looked for: drop-ins under another name (alias)
 * of the unit. */

#include "agent/collect/store.h"

#define UNIT_NAME_MAX    255U
#define UNIT_DROPINS_MAX 256U /* per directory */

/* root is a directory descriptor: "/" except in tests. unit is a plain unit name; anything with a slash or a leading
 * dot is a hole EINVAL. A unit without a file is a hole ENOENT, except slices and scopes, which need none. A symbolic
 * link is kept as an object of kind unit-link with its target as content, and what it leads to, if that is a regular
 * file, as the unit's file. */
void unit_collect(struct store *s, int root, const char *unit);

/* The names under which drop-ins of a unit are looked for, without ".d": itself, its template, each prefix that ends in
 * a dash, its type. "a-b@c.service": "a-b@c.service" "a-b@.service" "a-.service" "a-@c.service" "a-@.service"
 * "service". Calls found for each. */
void unit_dropin_names(const char *unit, void (*found)(const char *name, void *userdata), void *userdata);
/* "a@b.service" -> "a@.service". False when the unit is no instance. */
bool unit_template(const char *unit, char ret[static UNIT_NAME_MAX + 1]);
bool unit_name_ok(const char *unit);
