/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* What a set tells about each thing that it did not let through (isolate_abi.h says what, and how much of it). Only
 * ever on the way to a refusal: what passes pays nothing for it. FAIL-OPEN: what cannot be told is refused all the
 * same. */

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, ISOLATE_RING_SIZE);
} isolate_ring SEC(".maps");

struct slot {
        __u64 key; /* 0: free */
        __u64 told_ns;
        __u32 untold; /* times since then */
        __u32 pad;
};

/* What may still be told of one direction. */
struct ration {
        __u64 credit_ns, last_ns;
        __u32 missed; /* since the last record */
        __u32 pad;
        struct slot slot[ISOLATE_SLOTS];
};

struct rations {
        struct ration out, in;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct rations);
} isolate_ration SEC(".maps");

/* Set before loading. ring 0: this kernel has none, and the verifier never sees what follows. */
const volatile struct isolate_telling isolate_telling;

static __always_inline __u64 mix(__u64 h, __u64 v) {
        h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
        return h ^ h >> 29;
}

static __always_inline __u64 key_of(const struct isolate_attempt *a) {
        const __u64 *addr = (const __u64 *) a->addr, *comm = (const __u64 *) a->comm;
        /* the seed: nobody can choose what looks like something else */
        __u64 h = mix(isolate_telling.seed, addr[0]);

        h = mix(h, addr[1]);
        h = mix(h, comm[0]);
        h = mix(h, comm[1]);
        h = mix(h, (__u64) a->proto << 32 | (__u64) a->hook << 24 | (__u64) a->family << 16 | a->type);
        h = mix(h, a->hook == ISOLATE_INGRESS ? a->local_port : a->port);
        return h ? h : 1;
}

static __always_inline int take(struct ration *r, __u64 now) {
        const __u64 full = isolate_telling.interval_ns * isolate_telling.burst;

        r->credit_ns += now - r->last_ns;
        r->last_ns = now;
        if (r->credit_ns > full)
                r->credit_ns = full;
        if (r->credit_ns < isolate_telling.interval_ns)
                return 0;
        r->credit_ns -= isolate_telling.interval_ns;
        return 1;
}

static __always_inline __u32 current_tgid(void) {
        struct bpf_pidns_info here = {};

        if (!isolate_telling.pidns_ino)
                return bpf_get_current_pid_tgid() >> 32;
        /* who is in no namespace of the agent's own has no number there */
        return bpf_get_ns_current_pid_tgid(isolate_telling.pidns_dev, isolate_telling.pidns_ino, &here, sizeof(here))
                       ? 0
                       : here.tgid;
}

static __always_inline struct ration *ration_of(__u32 hook) {
        __u32 zero = 0;
        struct rations *both = bpf_map_lookup_elem(&isolate_ration, &zero);

        if (!both)
                return NULL;
        return hook == ISOLATE_INGRESS ? &both->in : &both->out;
}

/* How often (in the upper half) what has this key was tried since the last record of it, and how much else was missed;
 * 0: no record now. Global, so that the verifier walks it once and not for each way there. Softirqs may come in between
 * and have their own share: at worst one more is told, or one is counted in the wrong place. */
__noinline __u64 isolate_share(__u64 key, __u64 now, __u32 hook) {
        struct ration *r = ration_of(hook);
        struct slot *s;
        __u64 told;
        int same;

        if (!r)
                return 0;
        s = &r->slot[key % ISOLATE_SLOTS];
        same = s->key == key;
        if (same && now - s->told_ns < ISOLATE_REPEAT_NS) {
                s->untold++;
                return 0;
        }
        if (!take(r, now)) {
                *(same ? &s->untold : &r->missed) += 1;
                return 0;
        }
        told = (1 + (same ? (__u64) s->untold : 0)) << 32 | (__u32) (r->missed + (same ? 0 : s->untold));
        r->missed = 0;
        s->key = key;
        s->told_ns = now;
        s->untold = 0;
        return told;
}

/* The ring had no room. */
__noinline int isolate_miss(__u32 hook, __u32 times) {
        struct ration *r = ration_of(hook);

        if (r)
                r->missed += times;
        return 0;
}

/* The caller knows what was tried, and who tried it; the rest is added here. */
static __always_inline void tell(struct isolate_attempt *a) {
        __u32 zero = 0;
        const struct isolate_policy *policy = bpf_map_lookup_elem(&isolate_policy, &zero);
        __u64 told;

        if (!policy)
                return;
        a->t_ns = bpf_ktime_get_boot_ns();
        told = isolate_share(key_of(a), a->t_ns, a->hook);
        if (!told)
                return;
        a->times = told >> 32;
        a->missed = (__u32) told;
        __builtin_memcpy(a->hold, policy->hold, sizeof(a->hold));
        if (bpf_ringbuf_output(&isolate_ring, a, sizeof(*a), 0))
                (void) isolate_miss(a->hook, a->times + a->missed);
}

/* For the hooks that run in the caller's context. */
static __always_inline void tell_call(struct isolate_attempt *a) {
        if (!isolate_telling.ring)
                return;
        a->cgroup_id = bpf_get_current_cgroup_id();
        a->tgid = current_tgid();
        (void) bpf_get_current_comm(a->comm, sizeof(a->comm));
        tell(a);
}
