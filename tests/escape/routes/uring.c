/* SPDX-License-Identifier: Apache-2.0 */

/* uring send|sqpoll|timers: sends through io_uring on a connection of before the hold: by system call, by the kernel's
 * own polling thread, and by a chain of timers with sends behind them, all of them queued beforehand. */

#include "tests/escape/routes/kinds.h"

#include <sys/syscall.h>

#include <linux/io_uring.h>

#define ENTRIES 256

static struct {
        int fd;
        unsigned *head, *tail, *mask, *array, *flags, *cq_head, *cq_tail;
        struct io_uring_sqe *sqes;
} u;

static void *map(size_t size, off_t at) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u.fd, at);

        if (p == MAP_FAILED)
                impossible("mmap of io_uring");
        return p;
}

static void open_ring(bool polled) {
        struct io_uring_params p = { .flags = polled ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 60000 };
        uint8_t *sq, *cq;

        u.fd = (int) syscall(SYS_io_uring_setup, ENTRIES, &p);
        if (u.fd < 0)
                impossible("io_uring_setup");
        sq = map(p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
        cq = map(p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
        u.head = (unsigned *) (sq + p.sq_off.head);
        u.tail = (unsigned *) (sq + p.sq_off.tail);
        u.mask = (unsigned *) (sq + p.sq_off.ring_mask);
        u.array = (unsigned *) (sq + p.sq_off.array);
        u.flags = (unsigned *) (sq + p.sq_off.flags);
        u.cq_head = (unsigned *) (cq + p.cq_off.head);
        u.cq_tail = (unsigned *) (cq + p.cq_off.tail);
        u.sqes = map(p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

static void push(struct io_uring_sqe sqe) {
        const unsigned tail = *u.tail, i = tail & *u.mask;

        u.sqes[i] = sqe;
        u.array[i] = i;
        __atomic_store_n(u.tail, tail + 1, __ATOMIC_RELEASE);
}

static struct io_uring_sqe sending(int socket) {
        return (struct io_uring_sqe) { .opcode = IORING_OP_SEND,
                                       .fd = socket,
                                       .addr = (uintptr_t) mark(),
                                       .len = (uint32_t) strlen(mark()),
                                       .msg_flags = MSG_NOSIGNAL };
}

static void submit(unsigned n) {
        if (__atomic_load_n(u.flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
                (void) syscall(SYS_io_uring_enter, u.fd, n, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
        else
                (void) syscall(SYS_io_uring_enter, u.fd, n, 0, 0, NULL, 0);
        *u.cq_head = __atomic_load_n(u.cq_tail, __ATOMIC_ACQUIRE);
}

/* A minute of timers, one send behind each of them. */
static void queue_timers(int socket) {
        static struct __kernel_timespec when[ENTRIES / 2];

        for (int i = 0; i < ENTRIES / 2; i++) {
                when[i] = (struct __kernel_timespec) { i / 2, i % 2 * 500000000LL };
                push((struct io_uring_sqe) { .opcode = IORING_OP_TIMEOUT,
                                             .fd = -1,
                                             .addr = (uintptr_t) &when[i],
                                             .len = 1,
                                             .flags = IOSQE_IO_HARDLINK });
                push(sending(socket));
        }
        submit(ENTRIES);
}

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "";
        int fd = kind_open(kind_named("udp-connected"), AF_INET);

        open_ring(strcmp(how, "sqpoll") == 0);
        if (strcmp(how, "timers") == 0)
                queue_timers(fd);
        for (;; nap_ms(50)) {
                if (strcmp(how, "timers") != 0)
                        push(sending(fd));
                submit(strcmp(how, "timers") != 0);
        }
}
