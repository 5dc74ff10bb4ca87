/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one seam through which tests stop the agent at its k-th effect. Every change of something outside the process's
 * memory is announced here just before it is made. In a build without FAULT this is nothing at all.
 *
 * FREEZED_FAULT=kill:K raises SIGKILL at effect K; fail:K makes effect K fail with -EIO; count writes the number of
 * effects so far to FREEZED_FAULT_FILE at each one. */

#ifdef FAULT
/* Returns 0, or -EIO when this is the effect that has to fail. Does not return when it is the one to die at. */
int fault_effect(const char *what);
#else
#define fault_effect(what) (0)
#endif
