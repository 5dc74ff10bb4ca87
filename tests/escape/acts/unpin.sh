# SPDX-License-Identifier: Apache-2.0
# Every pin of the hold is deleted: the links go with the last of them.
rm -rf "/sys/fs/bpf/freezed/$HOLD" /sys/fs/bpf/freezed/*/"$HOLD"
