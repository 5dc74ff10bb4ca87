/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/keep.h"

#include "agent/core/attempts.h"

void keep_update(struct agent *a) {
        attempts_update(a);
}
