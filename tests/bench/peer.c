/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/peer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/bench/orders.h"

#define NFT_FILE "/run/bench.nft"
/* far more than it takes; only against a freeze that never was */
#define FROZEN_US 1000000

static void run(const char *const *argv) {
        static posix_spawn_file_actions_t quiet;
        static bool ready;
        int status;
        pid_t pid;

        if (!ready) {
                (void) posix_spawn_file_actions_init(&quiet);
                (void) posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
                ready = true;
        }
        if (posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *) argv, environ) != 0 ||
            waitpid(pid, &status, 0) < 0 || status != 0)
                fail("%s %s failed", argv[0], argv[1]);
}

#define RUN(...) run((const char *const[]) { __VA_ARGS__, NULL })

void peer_prepare(const char *cgroup) {
        _cleanup_fclose_ FILE *f = fopen(NFT_FILE, "we");
        int level = 1;

        for (const char *c = cgroup; *c; c++)
                level += *c == '/';
        if (!f)
                fail("%s: %s", NFT_FILE, strerror(errno));
        (void) fprintf(
                f,
                "table inet bench {\n"
                "  chain out { type filter hook output priority raw; socket cgroupv2 level %d \"%s\" counter drop; }\n"
                "  chain in { type filter hook input priority raw; socket cgroupv2 level %d \"%s\" counter drop; }\n"
                "}\n",
                level, cgroup, level, cgroup);
}

static bool says_frozen(const char *cgroup_dir) {
        char path[512], text[256] = "";
        _cleanup_fclose_ FILE *f = NULL;

        (void) snprintf(path, sizeof(path), "%s/cgroup.events", cgroup_dir);
        f = fopen(path, "re");
        return f && fread(text, 1, sizeof(text) - 1, f) > 0 && strstr(text, "frozen 1");
}

/* systemctl has seen it frozen, but a child that was forked meanwhile may still be on its way into the freezer. */
static void check_frozen(const char *cgroup_dir) {
        const int64_t deadline = now_us() + FROZEN_US;

        while (!says_frozen(cgroup_dir))
                if (now_us() > deadline)
                        fail("systemctl froze nothing");
}

void peer_round(const char *unit, const char *cgroup_dir, struct peer_times *ret) {
        int64_t t[4];

        t[0] = now_us();
        RUN("nft", "-f", NFT_FILE);
        t[1] = now_us();
        RUN("systemctl", "freeze", unit);
        t[2] = now_us();
        check_frozen(cgroup_dir);
        RUN("nft", "list", "table", "inet", "bench");
        t[3] = now_us();
        *ret = (struct peer_times) {
                .nft = t[1] - t[0], .freeze = t[2] - t[1], .check = t[3] - t[2], .total = t[3] - t[0]
        };
        RUN("systemctl", "thaw", unit);
        RUN("nft", "delete", "table", "inet", "bench");
}
