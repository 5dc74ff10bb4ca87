/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The clocks, in one place. None of them blocks or fails. */

#include <stdbool.h>
#include <stdint.h>

int64_t clock_wall_ms(void);
/* CLOCK_BOOTTIME: counts suspend, survives an agent restart, ends with the boot. */
int64_t clock_boot_ms(void);
/* CLOCK_MONOTONIC, for latencies. */
int64_t clock_mono_us(void);
/* What this thread has used of a processor; for what something costs, whoever else runs. */
int64_t clock_cpu_us(void);
/* True when the kernel says that something disciplines the wall clock (no STA_UNSYNC). */
bool clock_synced(void);
/* This boot's id; all zero when /proc does not tell. */
void clock_boot_id(uint8_t ret[static 16]);
