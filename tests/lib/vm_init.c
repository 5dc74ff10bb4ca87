/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First program of a test VM: loads what the disk needs, in the order of the modules' names, and hands over to the
 * disk's own init. All that an initramfs has to do here, without a shell in it. Linked statically.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DISK       "/dev/vda"
#define DISK_TRIES 1000

static void load_modules(void) {
        struct dirent **names;
        int n = scandir("/modules", &names, NULL, alphasort);

        if (n < 0 || chdir("/modules") < 0)
                err(1, "/modules");
        for (int i = 0; i < n; i++) {
                int fd;

                if (names[i]->d_name[0] == '.')
                        continue;
                fd = open(names[i]->d_name, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
                        err(1, "%s", names[i]->d_name);
                close(fd);
        }
}

static void mount_disk(void) {
        for (int i = 0; i < DISK_TRIES && access(DISK, F_OK) < 0; i++)
                usleep(10000);
        if (mount(DISK, "/root", "ext4", MS_NOATIME, NULL) < 0)
                err(1, DISK);
}

int main(void) {
        if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
                err(1, "/dev");
        load_modules();
        mount_disk();
        if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) < 0 || chdir("/root") < 0 ||
            mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
                err(1, "the disk's root");
        execl("/sbin/init", "/sbin/init", (char *) NULL);
        err(1, "/sbin/init");
}
