/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Values of an event by their place in it, "labels.unit" or "process_kprobe.args.0.file_arg.path". Falco's names have
 * dots in them ("output_fields.container.id"): in an object the longest name that is there is taken, and never another
 * one when that leads nowhere. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/cleanup.h"

#define ESCALATE_PATH_MAX 191U
/* longer values than this are told and matched as no value */
#define ESCALATE_VALUE_MAX 4095U

/* Borrowed; NULL when there is nothing. */
const json_t *escalate_path_find(const json_t *event, const char *path);
/* A string, an integer or a boolean as text. False for anything else, and for what does not fit. */
bool escalate_path_text(const json_t *v, char ret[static ESCALATE_VALUE_MAX + 1]);
/* True for what can be a place: names without control characters, braces or blanks, with dots between. */
bool escalate_path_ok(const char *path);
