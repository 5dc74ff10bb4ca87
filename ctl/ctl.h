/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every verb gets, and the table of verbs, which main, help, the manual and the completion read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/option.h"
#include "ctl/why.h"

struct ctl_verb;

struct ctl {
        const struct ctl_verb *verb;
        struct options opt;
        FILE *out;
        bool colour;
        bool summarised; /* --json: the summary object is out */
        struct why why;
};

/* The screen of help that it stands on. */
enum ctl_group {
        CTL_STOP,
        CTL_RESUME,
        CTL_LOOK,
        CTL_CARRY,
        CTL_EVIDENCE,
        CTL_TRUST,
        CTL_FLEET,
        _CTL_GROUP_MAX,
};

struct ctl_verb {
        const char *name, *sub; /* sub: the second word, or NULL */
        enum ctl_group group;
        const char *args;  /* as written in the synopsis */
        unsigned min, max; /* positional words */
        uint64_t options;  /* OPTION_BITs */
        /* Returns an exit code, and unless it has said all there is to say, why. words are borrowed and not
         * NULL-terminated. */
        int (*run)(struct ctl *c, char **words, size_t n);
        const char *summary; /* one line */
        const char *text;    /* what else to know; may be "" */
        const char *example;
};

#define CTL_WORDS_MAX UINT_MAX

/* Ends with a row whose name is NULL. */
extern const struct ctl_verb ctl_verbs[];

int verb_approve(struct ctl *c, char **words, size_t n);
int verb_contain(struct ctl *c, char **words, size_t n);
int verb_enroll(struct ctl *c, char **words, size_t n);
int verb_escalate(struct ctl *c, char **words, size_t n);
int verb_evidence_decrypt(struct ctl *c, char **words, size_t n);
int verb_evidence_export(struct ctl *c, char **words, size_t n);
int verb_evidence_delete(struct ctl *c, char **words, size_t n);
int verb_evidence_hold(struct ctl *c, char **words, size_t n);
int verb_evidence_list(struct ctl *c, char **words, size_t n);
int verb_evidence_show(struct ctl *c, char **words, size_t n);
int verb_evidence_unhold(struct ctl *c, char **words, size_t n);
int verb_evidence_witness(struct ctl *c, char **words, size_t n);
int verb_evidence_verify(struct ctl *c, char **words, size_t n);
int verb_extend(struct ctl *c, char **words, size_t n);
int verb_fleet_certify(struct ctl *c, char **words, size_t n);
int verb_fleet_head(struct ctl *c, char **words, size_t n);
int verb_fleet_hosts(struct ctl *c, char **words, size_t n);
int verb_fleet_inventory(struct ctl *c, char **words, size_t n);
int verb_fleet_nats_config(struct ctl *c, char **words, size_t n);
int verb_fleet_nkey(struct ctl *c, char **words, size_t n);
int verb_fleet_setup(struct ctl *c, char **words, size_t n);
int verb_fleet_watch(struct ctl *c, char **words, size_t n);
int verb_health(struct ctl *c, char **words, size_t n);
int verb_help(struct ctl *c, char **words, size_t n);
int verb_openc2(struct ctl *c, char **words, size_t n);
int verb_plan(struct ctl *c, char **words, size_t n);
int verb_release(struct ctl *c, char **words, size_t n);
int verb_send(struct ctl *c, char **words, size_t n);
int verb_status(struct ctl *c, char **words, size_t n);
int verb_trust_init(struct ctl *c, char **words, size_t n);
int verb_trust_rotate(struct ctl *c, char **words, size_t n);
int verb_trust_send(struct ctl *c, char **words, size_t n);
int verb_trust_show(struct ctl *c, char **words, size_t n);
int verb_trust_verify(struct ctl *c, char **words, size_t n);
