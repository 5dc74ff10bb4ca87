/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Help in every form, all of it from the tables of verbs, options and exit codes: what is not in the tables does not
 * exist, and what is in them cannot be missing here. */

#include <stdio.h>

#include "ctl/ctl.h"

/* The one screen. */
void help_screen(FILE *f);
/* Everything about one verb. */
void help_verb(FILE *f, const struct ctl_verb *v);
/* packaging/man/freezectl.8 and packaging/completion/freezectl.bash, byte for byte. */
void help_man(FILE *f);
void help_completion(FILE *f);
/* "contain", "trust init". Returns ret. */
const char *help_name(const struct ctl_verb *v, char *ret, size_t n);
