/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How freezectl fails: a function answers 0, or the exit code to end with, and leaves one sentence for the person in
 * front of it. Only main prints it, so that nothing is told twice and --json can carry it too. */

#include "policy/cleanup.h"

/* The contract with scripts. The exit codes of the reason table are of these. */
enum ctl_exit {
        CTL_OK = 0,      /* every addressed host verified */
        CTL_MACHINE = 1, /* something failed, or an answer could not be believed */
        CTL_USAGE = 2,
        CTL_REFUSED = 3,
        CTL_PARTIAL = 4,
        CTL_SILENT = 5, /* no answer came */
};

#define WHY_TEXT_MAX 2048U

struct why {
        char text[WHY_TEXT_MAX]; /* may have several lines; what came from elsewhere was cleaned before it was put in */
};

/* Stores the sentence, cut off at WHY_TEXT_MAX, and returns the exit code. */
int why_set(struct why *w, enum ctl_exit code, const char *fmt, ...) _printf_(3, 4);
/* The same with ": <what the errno means>" after it, and CTL_MACHINE; r is a negative errno. */
int why_errno(struct why *w, int r, const char *fmt, ...) _printf_(3, 4);
