/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The README.txt of an exported bag: the exact commands, with stock tools first. */

#include "ctl/bag.h"

/* malloc'ed, NULL when out of memory. */
char *export_readme(const struct bag *b, bool opened);
