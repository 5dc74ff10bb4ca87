/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/plain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sodium.h>

int plain_read(int folder, const char *name, size_t max, char **ret, size_t *ret_n, uint8_t ret_sha256[static 32]) {
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        _cleanup_free_ char *bytes = NULL;
        struct stat st;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t) st.st_size > max)
                return -EBADMSG;
        bytes = malloc((size_t) st.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        while (n < (size_t) st.st_size) {
                ssize_t got = read(fd, bytes + n, (size_t) st.st_size - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -EBADMSG;
                n += (size_t) got;
        }
        (void) crypto_hash_sha256(ret_sha256, (const uint8_t *) bytes, n);
        *ret = TAKE_PTR(bytes);
        *ret_n = n;
        return 0;
}
