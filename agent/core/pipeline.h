/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* arrive -> verify -> authorise -> record -> enforce -> prove -> preserve -> report
 *
 * The file to read first. Each stage takes the one type that the stage before it makes, and there is no other way to
 * make one:
 *
 *   frame      link.c             bytes of fixed layout, from the gate
 *   verified   policy/verify.c    a key of the trust root signed these bytes
 *   authorised policy/decide.c    every rule said yes
 *   recorded   record.c           it is on disk
 *   enforced   enforce.c          the kernel was told
 *   proven     prove.c            the kernel was asked
 *   preserved  preserve.c         the evidence is sealed; later, while the target is held
 *
 * A refusal leaves the pipeline at the stage that made it and goes straight to the report. */

#include "agent/core/link.h"
#include "policy/frame.h"

struct agent;

/* Carries one frame through all stages and answers it. The snapshot is only started: its receipt follows. Blocks for as
 * long as enforcing does. */
void pipeline_frame(struct agent *a, const struct frame *f, const struct answer *to);
