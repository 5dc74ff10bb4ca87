/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/keep.h"

void keep_update(struct agent *a) {
        (void) a;
}
