# SPDX-License-Identifier: Apache-2.0
# NAME ends in the signal's name, and every process of the service gets it.
kill -s "$(echo "${NAME##*-}" | tr a-z A-Z)" $PIDS
