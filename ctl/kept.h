/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a folder of evidence tells of how it is kept, and that it was deleted. A tombstone excuses what is missing, so
 * none is believed that the host did not sign about this very folder. */

#include "ctl/bag.h"

/* After the statement was read. What it finds that is not as it should be is a finding of the bag. */
void kept_check(struct bag *b, const struct hosts *known);

/* Adds the members "tombstone" and "keeping" where there are such. */
void kept_to_json(json_t *o, const struct bag *b);
