/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an authorised command would do here, without doing it: the decision, the blast radius, the layers. Changes and
 * records nothing. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "policy/decide.h"

/* 0 or -ENOMEM. */
int plan_answer(struct agent *a, const struct authorised *authorised, const struct answer *to) _warn_unused_;
