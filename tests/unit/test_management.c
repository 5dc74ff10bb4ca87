/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/management.c agent/core/systemd.c agent/core/paths.c agent/core/cgroup.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* Whom a held host leaves its network, where no service manager can be asked. Whom one that answers names is for
 * 065-host.sh, which has a real one. */

#include "lib/cage.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/core/management.h"

static struct systemd *systemd;
static struct local local;
static struct management facts, known;

/* A /run of its own: no manager, and no leases. */
static int begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        assert_int_equal(mount("run", "/run", "tmpfs", 0, "mode=755"), 0);
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(systemd_new(&systemd), 0);
        local_defaults(&local);
        return 0;
}

static int end(void **state) {
        systemd_free(TAKE_PTR(systemd));
        assert_int_equal(umount2("/run", MNT_DETACH), 0);
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void read_facts(const struct management *from) {
        assert_int_equal(management_read(cage_top()->dir, systemd, &local, from, &facts), 0);
}

static void without_a_manager_names_are_believed(void **state) {
        struct cage slice = cage_make("some.slice"), ssh = cage_make("some.slice/ssh.service");
        struct cage dhcp = cage_make("ifup@x.service"), inner = cage_make("ifup@x.service/ssh.service");

        (void) state;
        (void) slice;
        (void) inner;
        read_facts(NULL);
        assert_int_equal(facts.root_id, cage_top()->id);
        assert_int_equal(facts.n_units, 2);
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(facts.units[i].may,
                                 facts.units[i].cgroup_id == ssh.id ? HOST_ANSWERS : HOST_CONFIGURES);
        assert_true(facts.units[0].cgroup_id == dhcp.id || facts.units[1].cgroup_id == dhcp.id);
}

static void who_hides_the_manager_is_not_believed(void **state) {
        struct cage posing = cage_make("ssh@x.service");

        (void) state;
        known = (struct management) { .told = 1, .units[0] = { .cgroup_id = 42, .may = HOST_ANSWERS }, .n_units = 1 };
        read_facts(&known);
        assert_int_equal(facts.n_units, 1);
        assert_int_equal(facts.units[0].cgroup_id, 42);
        assert_int_equal(facts.told, 1);
        known.told = 0;
        read_facts(&known);
        assert_int_equal(facts.n_units, 1);
        assert_int_equal(facts.units[0].cgroup_id, posing.id);
}

static void more_than_fit_are_no_failure(void **state) {
        char path[1024];

        (void) state;
        for (int i = 0; i < HOST_UNITS_MAX + 1; i++) {
                (void) snprintf(path, sizeof(path), "%s/ssh@%d.service", cage_top()->dir, i);
                assert_int_equal(mkdir(path, 0755), 0);
        }
        read_facts(NULL);
        assert_int_equal(facts.n_units, HOST_UNITS_MAX);
        for (int i = 0; i < HOST_UNITS_MAX + 1; i++) {
                (void) snprintf(path, sizeof(path), "%s/ssh@%d.service", cage_top()->dir, i);
                assert_int_equal(rmdir(path), 0);
        }
}

/* It takes connections, and says nothing. */
static int listen_as_pid_1(void) {
        struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/private" };
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 4), 0);
        return fd;
}

static void while_the_manager_is_silent_what_it_said_holds(void **state) {
        _cleanup_close_ int fd = listen_as_pid_1();
        struct cage posing = cage_make("ssh@x.service");

        (void) state;
        known = (struct management) { .units[0] = { .cgroup_id = 42, .may = HOST_ANSWERS }, .n_units = 1 };
        read_facts(&known);
        assert_int_equal(facts.n_units, 1);
        assert_int_equal(facts.units[0].cgroup_id, 42);
        /* before it has said anything: a host that nobody reaches is lost */
        read_facts(NULL);
        assert_int_equal(facts.n_units, 1);
        assert_int_equal(facts.units[0].cgroup_id, posing.id);
}

static void write_lease(const char *name, const char *text) {
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "/run/systemd/netif/leases/%s", name);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void leases_are_those_of_the_beginning(void **state) {
        struct permit server;

        (void) state;
        assert_int_equal(mkdir("/run/systemd/netif", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/netif/leases", 0755), 0);
        write_lease("2", "# private\nADDRESS=10.0.0.9\nSERVER_ADDRESS=10.0.0.1\nT1=60\n");
        write_lease("3", "# private\nSERVER_ADDRESS=elsewhere\n");
        read_facts(NULL);
        assert_int_equal(facts.n_leases, 1);
        assert_int_equal(permit_net_from_str("10.0.0.1", &server), 0);
        assert_memory_equal(facts.leases[0].addr, server.addr, sizeof(server.addr));
        assert_int_equal(facts.leases[0].prefix, 128);
        assert_int_equal(facts.leases[0].port, 67);
        assert_int_equal(facts.leases[0].proto, IPPROTO_UDP);
        memcpy(&known, &facts, sizeof(known));
        write_lease("4", "# private\nSERVER_ADDRESS=10.0.0.2\n");
        read_facts(&known);
        assert_int_equal(facts.n_leases, 1);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(without_a_manager_names_are_believed), CASE(who_hides_the_manager_is_not_believed),
                CASE(more_than_fit_are_no_failure),         CASE(while_the_manager_is_silent_what_it_said_holds),
                CASE(leases_are_those_of_the_beginning),
        };

        return CAGE_MAIN(cases);
}
