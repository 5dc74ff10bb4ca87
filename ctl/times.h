/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long freezectl waits, and by which clock. */

#include <stdint.h>

/* until the last word of a host that has answered: evidence may take it a minute by its default policy */
#define FINAL_TIMEOUT_MS 90000
/* after the time, for the process that talks to the brokers to hand over what it has (carrier.h) */
#define HANDOVER_MS 100
/* what an order lives unless it is said */
#define ORDER_LIFE_MS (INT64_C(10) * 60 * 1000)

/* CLOCK_MONOTONIC: what is waited for here. */
int64_t mono_ms(void);
/* CLOCK_BOOTTIME: goes on while the machine sleeps, for what is told as an age. */
int64_t boot_ms(void);
