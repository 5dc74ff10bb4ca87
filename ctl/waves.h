/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A rollout in waves: how many of the expected hosts have the order after each, and the part of the fleet (place.h)
 * that each wave is an order for. The parts are disjoint and together everything, so a host that joined meanwhile is of
 * exactly one of them, and as late a one as can be; how many of the expected hosts are in each is exact. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/place.h"

#define WAVES_MAX 16U

struct waves_step {
        bool percent;
        uint32_t value; /* hosts, or per cent of them, from 1 */
};

struct waves {
        struct waves_step v[WAVES_MAX];
        size_t n; /* the last one is 100 % */
};

struct waves_part {
        struct place_part part;
        size_t hosts; /* of the expected ones, from 1 */
};

/* "1,10%,100%": how many have the order after each wave, in whole hosts and whole per cent. Each is more than the last
 * one of its kind, and the last is 100%: a rollout says itself that it ends with everybody. -EINVAL. */
int waves_parse(const char *text, struct waves *ret) _warn_unused_;

/* Cuts n hosts up. Of a part of a host the whole is taken, and a step that adds no host to those before it is left out:
 * 10 % of five hosts is the one that had it already. -EINVAL without hosts, -EEXIST when two hosts between which to cut
 * stand at the same place (draw another salt), -ENOMEM; ret is then untouched. */
int waves_cut(const struct waves *w, const uint8_t salt[static PLACE_SALT_SIZE], const uint8_t (*hosts)[32], size_t n,
              struct waves_part ret[static WAVES_MAX], size_t *ret_n) _warn_unused_;
