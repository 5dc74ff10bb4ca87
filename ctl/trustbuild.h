/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A trust root from words. Each step says in words what is wrong with them; whether the whole is valid is asked of
 * trust_parse, which is what the hosts ask. All return 0 or an exit code. */

#include "ctl/option.h"
#include "ctl/why.h"
#include "policy/dsse.h"
#include "policy/trust.h"

/* machines reach so many hosts with one order */
#define TRUSTBUILD_HOSTS 50U

/* "NAME=FILE.pub": the person is made unless there is one, and gets the key; role may be NULL. */
int trustbuild_people(struct trust *t, const struct option_list *words, const char *role, struct why *w) _warn_unused_;
/* "ROLE=NAME,...": exactly these have the role. */
int trustbuild_roles(struct trust *t, const struct option_list *words, struct why *w) _warn_unused_;
/* "VERB,..:ROLE:K[:LEASE[:SEVERITY,..[:KIND,..[:HOSTS]]]]". What has a lease compulsorily reaches TRUSTBUILD_HOSTS
 * unless the rule says otherwise; 0: no bound. */
int trustbuild_rules(struct trust *t, const struct option_list *words, struct why *w) _warn_unused_;
/* The usual rules, for those of the roles responder and automation that somebody has. */
int trustbuild_default_rules(struct trust *t, struct why *w) _warn_unused_;
/* "age1...": exactly these can open evidence. No words change nothing. */
int trustbuild_recipients(struct trust *t, const struct option_list *words, struct why *w) _warn_unused_;
/* NAME+ID+KEY: exactly these keep the heads of ledgers. No words change nothing. */
int trustbuild_witnesses(struct trust *t, const struct option_list *words, struct why *w) _warn_unused_;
/* Names are taken out, with their keys and roles. */
int trustbuild_remove(struct trust *t, const struct option_list *names, struct why *w) _warn_unused_;
/* Checks the whole and makes it the payload of an unsigned envelope. */
int trustbuild_finish(const struct trust *t, struct dsse *ret, struct why *w) _warn_unused_;
/* Signs with the keys of --key, which have to be root people's of t or before, or with all such keys that the agent
 * holds. */
int trustbuild_sign(const struct trust *t, const struct trust *before, const struct options *o, struct dsse *d,
                    struct why *w) _warn_unused_;
