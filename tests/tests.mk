# SPDX-License-Identifier: Apache-2.0
#
# A unit test names what it links beside policy/ in its first lines: /* LINK: agent/util/io.c agent/core/ledger.c */, and the function that it
# stands in for: /* WRAP: malloc */
# tests/run-tests.sh runs every suite and prints the one line that counts.

T = $(B)/san
CFLAGS_TEST = $(filter-out -O2 -D_FORTIFY_SOURCE=2,$(CFLAGS_BASE)) -O1 -U_FORTIFY_SOURCE -DFAULT $(SAN)
unit_tests = $(patsubst tests/unit/%.c,$(T)/unit/%,$(wildcard tests/unit/test_*.c))
fuzz_replays = $(patsubst tests/fuzz/%.c,$(T)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
vector_tools = $(patsubst tests/vectors/%.c,$(T)/vectors/%,$(wildcard tests/vectors/*.c))
fuzzers = $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
linked = $(shell sed -n 's@^/\* LINK: \(.*\) \*/@\1@p' $(1))
wrapped = $(shell sed -n 's@^/\* WRAP: \(.*\) \*/@-Wl,--wrap=\1@p' $(1))
test_libs = $(call libs_of,$(pkgs_core) cmocka libcrypto libzstd libarchive libnats)

$(T)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_TEST) -Itests $(call cflags_of,$(pkgs_core)) -MMD -MP -c -o $@ $<
$(patsubst %.c,$(T)/%.o,$(wildcard agent/core/*.c)): | $(skels)
policy_san = $(patsubst %.c,$(T)/%.o,$(wildcard policy/*.c))

.SECONDEXPANSION:
$(T)/unit/test_%: tests/unit/test_%.c $(policy_san) $$(addprefix $(T)/,$$(addsuffix .o,$$(basename $$(call linked,tests/unit/test_$$*.c)))) | $(skels)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -Wmissing-prototypes,$(CFLAGS_TEST)) -Itests -MMD -MP -MF $@.d -MT $@ -o $@ $(filter %.c %.o,$^) $(call wrapped,$<) $(test_libs)
$(T)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(policy_san) $$(addprefix $(T)/,$$(addsuffix .o,$$(basename $$(call linked,tests/fuzz/fuzz_$$*.c))))
	$(call say,REPLAY,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -Wmissing-prototypes,$(CFLAGS_TEST)) -o $@ $(filter %.c %.o,$^) $(test_libs)
$(T)/vectors/%: tests/vectors/%.c $(policy_san)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_TEST) -o $@ $(filter %.c %.o,$^) $(test_libs)
$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard policy/*.c) $$(call linked,tests/fuzz/fuzz_$$*.c)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) -std=gnu11 -O1 -g -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o $@ $^ $(test_libs)

$(T)/witness: tests/lib/witness.c $(policy_san)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_TEST) -o $@ $(filter %.c %.o,$^) $(call libs_of,$(pkgs_policy) libmicrohttpd)

# The core with the fault seam in it, everything else of the build the same. Its rules are the core's own, so they are asked, each time.
.PHONY: $(B)/fault/freezed
$(B)/fault/freezed:
	$(Q)$(MAKE) --no-print-directory --silent FAULT=1 B=$(B)/fault $@

# A fleet in one process: the agent's own code from the gate to the signed answer, and what the linker puts in the place of its hands.
played = link_answer link_refuse lease_arm agent_idle_work log_event log_lossy record_receipt order_stop release_holds plan_answer \
        status_answer health_answer
fleet_tools = $(addprefix $(B)/bench/fleet_,sim make floor)
fleet_core_o = $(filter-out %/main.o,$(core_o)) $(util_o) $(policy_o)
$(B)/bench/fleet_sim: $(addprefix $(B)/tests/bench/fleet_,sim.o host.o core.o played.o wire.o tls.o) $(fleet_core_o) \
        $(addprefix $(B)/agent/gate/,request.o screen.o) $(addprefix $(B)/agent/relay/,answer.o ears.o fetch.o)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_BASE) $(addprefix -Wl$(comma)--wrap=,$(played)) -o $@ $^ $(call libs_of,$(pkgs_core) libssl libcrypto)
$(B)/bench/fleet_make: $(B)/tests/bench/fleet_make.o $(B)/ctl/sshprivkey.o $(B)/ctl/wire.o $(B)/agent/core/hostkey.o $(util_o) $(policy_o)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_core))
$(B)/bench/fleet_floor: $(addprefix $(B)/tests/bench/fleet_,floor.o wire.o tls.o) $(policy_o)
	$(call say,TOOL,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_BASE) -o $@ $^ $(call libs_of,$(pkgs_core) libssl libcrypto)
comma := ,

fuzz: $(fuzzers)
tests-build: all $(fleet_tools) $(unit_tests) $(fuzz_replays) $(vector_tools) $(T)/witness $(B)/fault/freezed
# What runs longest needs only this much: the rest is built while it runs.
run-tests: all $(T)/witness
	$(Q)tests/run-tests.sh $(B) $(MAKE) --no-print-directory -j$(shell nproc) tests-build $(MAKEOVERRIDES) B=$(B)
.PHONY: tests-build run-tests
-include $(wildcard $(T)/*/*.d $(T)/*/*/*.d)
