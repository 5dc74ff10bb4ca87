/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text of a rule with values of an event in it: "unit:{labels.unit}". What an event says is chosen by whoever is
 * watched, so a value may only fill the place that the rule leaves for it: it makes no other class of target, no more
 * of a path, no pattern and no second target. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/escalate_event.h"
#include "policy/target.h"

/* At most 255 bytes of text, and each `{` begins a place (escalate_path.h) that ends with `}`. */
bool escalate_template_ok(const char *s);
/* A target, or one with places behind its class. None of the class hold. */
bool escalate_template_is_target(const char *s);
/* NULL, or what is wrong with it as the `to` of a rule for that source. */
const char *escalate_template_to_problem(const char *s, enum escalate_source source);
/* Not the incident that it would be, when it has no place; one with a place is judged when the place is filled. */
bool escalate_template_may_be_incident(const char *s);

/* Fills the places into ret. NULL, or why it cannot be; static. */
const char *escalate_template_fill(const char *s, const json_t *event, char *ret, size_t n);
/* The same, and what came of it is that one target. */
const char *escalate_template_target(const char *s, const json_t *event, struct target *ret);
/* As policy/command.h has them. */
bool escalate_template_is_incident(const char *s);
