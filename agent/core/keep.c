/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/keep.h"

#include "agent/core/attempts.h"
#include "agent/core/hosthold.h"
#include "agent/core/latecomer.h"
#include "agent/core/watch.h"

void keep_update(struct agent *a) {
        guard_update(a);
        watch_update(a);
        attempts_update(a);
        hosthold_keep(a);
        latecomer_keep(a);
}
