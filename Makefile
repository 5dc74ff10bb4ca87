# SPDX-License-Identifier: Apache-2.0
#
# make            build everything under $(B)
# make test       install what is needed, build, run every suite            make demo     the whole story on a disposable host
# make demo-fleet the same with three hosts and a broker that lies
# make escape     every way out of a hold, beside the peers; writes packaging/doc/escape.md
# make bench      figures beside the peers                                   make install  into $(DESTDIR), units included
# V=1 shows commands; B=DIR moves the output; SANITIZE=1 builds with ASan and UBSan; FAULT=1 compiles the fault seam in.

B ?= .build
# one spelling: what depends on a header is known by its object's name
override B := $(abspath $(B))
CC = gcc
CLANG = clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
DESTDIR ?=
LIBEXEC = /usr/lib/freezed

Q = $(if $(V),,@)
say = @printf '  %-8s %s\n' '$(1)' '$(patsubst $(B)/%,%,$(2))'

pkgs_policy = libsodium jansson
pkgs_core = $(pkgs_policy) libbpf libsystemd libseccomp libcap-ng libmnl libnftables
pkgs_gate = $(pkgs_policy) libsystemd libseccomp
pkgs_relay = $(pkgs_policy) libsystemd libseccomp libnats
pkgs_collect = $(pkgs_policy) libsystemd libseccomp libcap-ng libcrypto libzstd libmnl libnftables libbpf
pkgs_ctl = $(pkgs_policy) libcrypto libzstd libarchive
cflags_of = $(shell pkg-config --cflags $(1))
libs_of = $(shell pkg-config --libs $(1))

CFLAGS_BASE = -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror \
        -fstack-protector-strong -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -I. -I$(B)/gen $(if $(FAULT),-DFAULT)
SAN = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifdef SANITIZE
CFLAGS_BASE += -U_FORTIFY_SOURCE $(SAN)
LDFLAGS_SAN = $(SAN)
endif
LDFLAGS_BASE = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS_SAN)

policy_o = $(patsubst %.c,$(B)/%.o,$(wildcard policy/*.c))
util_o = $(patsubst %.c,$(B)/%.o,$(wildcard agent/util/*.c))
core_o = $(patsubst %.c,$(B)/%.o,$(wildcard agent/core/*.c))
gate_o = $(patsubst %.c,$(B)/%.o,$(wildcard agent/gate/*.c))
relay_o = $(patsubst %.c,$(B)/%.o,$(wildcard agent/relay/*.c))
collect_o = $(patsubst %.c,$(B)/%.o,$(wildcard agent/collect/*.c))
ctl_o = $(patsubst %.c,$(B)/%.o,$(wildcard ctl/*.c))
skels = $(patsubst bpf/%.bpf.c,$(B)/gen/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))

programs = $(B)/freezed $(B)/freezed-gate $(B)/freezed-relay $(B)/freezed-collect $(B)/freezectl

.PHONY: all test demo demo-fleet escape bench fuzz lint format install clean deps
.DELETE_ON_ERROR:
.SECONDARY:
all: $(programs)

$(B)/freezed: $(core_o) $(util_o) $(policy_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_core))
$(B)/freezed-gate: $(gate_o) $(util_o) $(policy_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_gate))
$(B)/freezed-relay: $(relay_o) $(util_o) $(policy_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_relay))
$(B)/freezed-collect: $(collect_o) $(util_o) $(policy_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_collect))
$(B)/freezectl: $(ctl_o) $(policy_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_ctl))

$(core_o): | $(skels)
$(B)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_BASE) $(call cflags_of,$(pkgs_core)) -MMD -MP -c -o $@ $<

$(B)/gen/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) -O2 -g -Wall -Werror -target bpf -I. -I/usr/include/$(shell $(CC) -dumpmachine) -c -o $@ $<
$(B)/gen/bpf/%.skel.h: $(B)/gen/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

deps:
	$(Q)packaging/deps.sh

include tests/tests.mk

# as many jobs as there are processors, unless it was asked for a number
test: deps
	$(Q)$(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc)) run-tests
demo: deps
	$(Q)$(MAKE) --no-print-directory all && tests/host/demo.sh $(B)
demo-fleet: deps
	$(Q)$(MAKE) --no-print-directory all && tests/host/demo-fleet.sh $(B)
escape: deps
	$(Q)$(MAKE) --no-print-directory all && tests/escape/run.sh $(B)
bench:
	$(Q)packaging/deps.sh --bench && $(MAKE) --no-print-directory all $(fleet_tools) && tests/bench/run.sh $(B) && tests/bench/fleet.sh $(B) $(HOSTS)

format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

install: all
	$(Q)packaging/install.sh $(B) '$(DESTDIR)'

clean:
	$(Q)rm -rf $(B)

-include $(wildcard $(B)/policy/*.d $(B)/agent/*/*.d $(B)/ctl/*.d $(B)/tests/*/*.d)
