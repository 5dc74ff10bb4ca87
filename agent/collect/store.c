/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <linux/magic.h>
#include <openssl/evp.h>

#include "agent/collect/lines.h"
#include "agent/collect/pack.h"
#include "agent/util/clock.h"

/* So many bytes of index lines or of an object, or so much time, are not left to a crash. */
#define PART_SIZE (256U * 1024)
#define PART_FILE (1024U * 1024)
#define PART_US   (200LL * 1000)
/* What may wait for room on a disk that is full. */
#define WAITING_MAX (4U * 1024 * 1024)
/* Of the free space and inodes, what a snapshot may take: the host has to go on running beside it, and the core to seal
 * it. */
#define SPACE_SHARE 2U
/* Of the index: what holes may take and what notes may, because others decide how many and how long they are; what the
 * last line needs; and what each object that is kept for later does. */
#define ASIDE_MAX   (COLLECT_INDEX_MAX / 8)
#define LAST_LINE   4096U
#define OBJECT_LINE 512U

enum line { LINE_OBJECT, LINE_HOLE, LINE_NOTE, LINE_LAST, _LINE_MAX };

/* A pack, on its way into the bag. */
struct pack_seal {
        struct bag_file file;
        size_t members; /* 0: there is none */
        uint64_t plain; /* bytes of its members */
        size_t n;       /* bytes of the archive, once it is whole */
        size_t lines;   /* so many bytes of what waits to be listed are about it and what was before it */
};

struct store {
        struct bag *bag;
        struct sealer *sealer; /* the bag's */
        uint64_t left;         /* bytes of the budget */
        int left_err;          /* what its end is called: -EFBIG the given maximum, -ENOSPC the disk's share */
        uint64_t keep, keep_objects;
        int64_t keep_us;
        uint64_t max_objects;
        int max_objects_err;
        int64_t deadline_us;
        struct collect_result result;
        uint64_t index_bytes, index_of[_LINE_MAX];
        uint64_t listed_holes;
        struct lines waiting;
        size_t seal_at; /* so many bytes of them are sealed, or tried to be again */
        int64_t sealed_us;
        bool sealing;

        struct pack pack;
        struct pack_seal filling, under_way;

        /* the object being written */
        struct index_item item;
        struct index_object object;
        struct statx stat; /* that the object points to */
        struct bag_file file;
        char name[BAG_NAME_MAX], member[BAG_NAME_MAX];
        bool begun, own_file;
        int err; /* sticky: of begin or of the first write that failed */
        EVP_MD *sha256;
        size_t n_small;
        uint8_t small[PACK_MEMBER_MAX];
};

void store_free(struct store *s) {
        if (!s)
                return;
        bag_free(s->bag);
        pack_done(&s->pack);
        lines_done(&s->waiting);
        EVP_MD_free(s->sha256);
        free(s);
}

void store_freep(struct store **s) {
        store_free(*s);
}

static int find_budget(struct store *s, int folder, uint64_t max_bytes) {
        struct statvfs fs;

        if (fstatvfs(folder, &fs) < 0)
                return -errno;
        uint64_t share = (uint64_t) fs.f_bavail * fs.f_frsize / SPACE_SHARE;
        /* Some file systems have no fixed number of inodes and report none at all. */
        uint64_t files = fs.f_files > 0 ? (uint64_t) fs.f_favail / SPACE_SHARE : COLLECT_OBJECTS_MAX;

        s->left = MIN(max_bytes, share);
        s->left_err = share < max_bytes ? -ENOSPC : -EFBIG;
        s->max_objects = MIN(files, (uint64_t) COLLECT_OBJECTS_MAX);
        s->max_objects_err = files < COLLECT_OBJECTS_MAX ? -ENOSPC : -EOVERFLOW;
        return 0;
}

int store_open(int folder, const struct store_limits *limits, struct store **ret) {
        _cleanup_(store_freep) struct store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->deadline_us = limits->deadline_us;
        s->seal_at = PART_SIZE;
        s->sealed_us = clock_mono_us();
        s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        r = s->sha256 ? pack_init(&s->pack) : -ENOMEM;
        if (r == 0)
                r = find_budget(s, folder, limits->max_bytes);
        if (r == 0)
                r = bag_open(folder, limits->recipients, limits->n_recipients, &s->bag);
        if (r < 0)
                return r;
        s->sealer = bag_sealer(s->bag);
        *ret = TAKE_PTR(s);
        return 0;
}

bool store_over(struct store *s) {
        bool over = clock_mono_us() >= s->deadline_us - s->keep_us;

        if (over)
                s->result.flags |= COLLECT_CUT_TIME;
        return bag_broken(s->bag) || over;
}

int64_t store_left_us(const struct store *s) {
        return MAX(s->deadline_us - s->keep_us - clock_mono_us(), (int64_t) 0);
}

void store_keep(struct store *s, uint64_t bytes, uint64_t objects, int64_t us) {
        /* the disk's share can be far smaller than the maximum that the caller knows */
        s->keep = MIN(bytes, s->left / 3);
        s->keep_objects = MIN(objects, (s->max_objects - s->result.objects) / 3);
        s->keep_us = us;
}

void store_flag(struct store *s, enum collect_flag flag) {
        s->result.flags |= flag;
}

/* So many bytes of the index this kind of line may still take. */
static uint64_t index_room(const struct store *s, enum line what) {
        const uint64_t kept = what == LINE_LAST ? 0 : LAST_LINE + s->keep_objects * OBJECT_LINE;
        const uint64_t taken = s->index_bytes + kept;
        uint64_t room = taken < COLLECT_INDEX_MAX ? COLLECT_INDEX_MAX - taken : 0;

        if (what == LINE_HOLE || what == LINE_NOTE)
                room = MIN(room, ASIDE_MAX - s->index_of[what]);
        return room;
}

/* A line is given room, or none is ever given that it could have had: the count of holes still tells. */
static bool add_line(struct store *s, enum line what, const char *line) {
        size_t n = strlen(line);

        if (n > index_room(s, what) || (what != LINE_LAST && s->waiting.n + n > WAITING_MAX) ||
            lines_add(&s->waiting, line, n) < 0) {
                s->result.flags |= COLLECT_CUT_COUNT;
                return false;
        }
        s->index_bytes += n;
        s->index_of[what] += n;
        /* one file at a time */
        if (s->waiting.n >= s->seal_at && !s->own_file && !s->sealing)
                store_checkpoint(s);
        return true;
}

static void add_note(struct store *s, enum line what, json_t *object) {
        _cleanup_json_ json_t *o = object;
        _cleanup_free_ char *line = NULL;

        if (!o || index_json_line(o, &line) < 0)
                s->result.flags |= COLLECT_CUT_COUNT;
        else
                (void) add_line(s, what, line);
}

void store_note(struct store *s, json_t *object) {
        add_note(s, LINE_NOTE, object);
}

/* The reason of a cut decides what the whole snapshot is called. */
static bool flag_error(struct store *s, int err) {
        static const struct {
                int err;
                uint32_t flag;
        } flags[] = {
                { -ETIME, COLLECT_CUT_TIME },   { -EFBIG, COLLECT_CUT_BYTES },     { -ENOSPC, COLLECT_CUT_SPACE },
                { -EDQUOT, COLLECT_CUT_SPACE }, { -EOVERFLOW, COLLECT_CUT_COUNT }, { -ENOMEM, COLLECT_CUT_ERROR },
                { -EMFILE, COLLECT_CUT_ERROR }, { -ENFILE, COLLECT_CUT_ERROR },
        };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (flags[i].err == err) {
                        s->result.flags |= flags[i].flag;
                        return true;
                }
        return false;
}

/* What failed is not what was to be read but keeping it: whatever the error is, something is cut. */
static int not_kept(struct store *s, int err) {
        int r = err == -EFBIG ? s->left_err : err;

        if (r < 0 && !flag_error(s, r))
                s->result.flags |= COLLECT_CUT_ERROR;
        return r;
}

static void list_hole(struct store *s, const struct index_item *item, const struct index_hole *h) {
        _cleanup_free_ char *line = NULL;

        s->result.holes++;
        (void) flag_error(s, -h->err);
        if (s->listed_holes >= COLLECT_HOLES_MAX || index_hole_line(item, h, &line) < 0)
                s->result.flags |= COLLECT_CUT_COUNT;
        else if (add_line(s, LINE_HOLE, line))
                s->listed_holes++;
}

void store_hole(struct store *s, const struct index_item *item, int err, int64_t expected) {
        list_hole(s, item, &(struct index_hole) { .err = -err, .expected = expected });
}

static uint64_t room(const struct store *s) {
        uint64_t taken = s->pack.n + s->under_way.n + s->keep;
        return s->left > taken ? s->left - taken : 0;
}

/* The sealer's file goes into the bag. */
static int add_file(struct store *s, const struct bag_file *f, struct sealed *ret) {
        int r = bag_add(s->bag, f, ret);

        if (r < 0)
                return r;
        s->result.sealed += ret->bytes;
        s->left -= MIN(s->left, ret->bytes);
        return 0;
}

/* Its members were listed as if they were there: what they held is known by its digest only. */
static void lose_pack(struct store *s, const struct pack_seal *p, int err) {
        static const struct index_item item = { .kind = "pack", .source = "a pack that could not be sealed" };
        char name[BAG_NAME_MAX];

        bag_name(&p->file, name);
        s->result.objects -= p->members;
        s->result.bytes -= p->plain;
        err = not_kept(s, err);
        list_hole(s, &item, &(struct index_hole) { .file = name, .err = -err, .expected = (int64_t) p->plain });
}

/* The pack is compressed while the next one is filled. */
static void begin_pack(struct store *s) {
        int r;

        if (s->pack.members == 0)
                return;
        pack_end(&s->pack);
        s->filling.members = s->pack.members;
        s->filling.n = s->filling.file.need = s->pack.n;
        s->filling.lines = s->waiting.n;
        r = sealer_begin(s->sealer, UINT64_MAX, false); /* each member has its digest */
        if (r == 0)
                r = sealer_write(s->sealer, s->pack.bytes, s->pack.n);
        if (r == 0) {
                sealer_put(s->sealer);
                s->under_way = s->filling;
        } else {
                sealer_close(s->sealer);
                lose_pack(s, &s->filling, r);
        }
        pack_reset(&s->pack);
        s->filling = (struct pack_seal) { .members = 0 };
}

/* So many bytes of what waits to be listed can be. */
static size_t end_pack(struct store *s) {
        const struct pack_seal p = s->under_way;
        struct sealed sealed;
        int r;

        if (p.members == 0)
                return 0;
        s->under_way = (struct pack_seal) { .members = 0 };
        r = add_file(s, &p.file, &sealed);
        if (r < 0)
                lose_pack(s, &p, r);
        return p.lines;
}

/* The first n bytes of what waits to be listed. Lines for which there is no room wait: for the reserve at the end, if
 * the disk stays full until then. */
static int seal_index(struct store *s, size_t n) {
        const struct bag_file f = { .number = bag_number(s->bag),
                                    .kind = "index",
                                    .inner = ".jsonl",
                                    .started_ms = clock_wall_ms(),
                                    .need = n };
        struct sealed sealed;
        int r = n > 0 ? sealer_begin(s->sealer, UINT64_MAX, false) : 0;

        if (r == 0 && n > 0)
                r = sealer_write(s->sealer, s->waiting.bytes, n);
        if (r == 0 && n > 0)
                r = add_file(s, &f, &sealed);
        if (r == 0 && n > 0)
                lines_drop(&s->waiting, n);
        if (r < 0) {
                sealer_close(s->sealer);
                (void) flag_error(s, r);
        }
        s->seal_at = s->waiting.n + PART_SIZE;
        return r;
}

/* The pack is full: the one before it is ended and listed, and this one begun. */
static void turn_pack(struct store *s) {
        s->sealing = true;
        (void) seal_index(s, end_pack(s));
        begin_pack(s);
        s->sealing = false;
        s->sealed_us = clock_mono_us();
}

static void seal_packs(struct store *s) {
        (void) end_pack(s);
        begin_pack(s);
        (void) end_pack(s);
}

void store_checkpoint(struct store *s) {
        s->sealing = true;
        seal_packs(s);
        (void) seal_index(s, s->waiting.n);
        s->sealing = false;
        s->sealed_us = clock_mono_us();
}

void store_start_threads(struct store *s) {
        (void) end_pack(s);
        sealer_start(s->sealer);
}

void store_stop_threads(struct store *s) {
        (void) end_pack(s);
        sealer_stop(s->sealer);
}

int store_begin(struct store *s, const struct index_item *item) {
        s->item = *item;
        s->object = (struct index_object) { .started_ms = clock_wall_ms() };
        s->n_small = 0;
        s->begun = s->own_file = false;
        s->err = 0;
        if (!index_kind_ok(item->kind))
                s->err = -EINVAL;
        else if (store_over(s))
                s->err = bag_broken(s->bag) ? not_kept(s, bag_broken(s->bag)) : -ETIME;
        else if (s->result.objects + s->keep_objects >= s->max_objects)
                s->err = s->max_objects_err;
        s->begun = s->err == 0;
        return s->err;
}

void store_stat(struct store *s, int fd) {
        static const long made_up[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC };
        struct statfs fs;

        if (!s->begun || fstatfs(fd, &fs) < 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(made_up); i++)
                if ((long) fs.f_type == made_up[i])
                        return;
        if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &s->stat) == 0)
                s->object.stat = &s->stat;
}

/* It does not fit into a pack: what there is of it goes first. */
static int begin_file(struct store *s) {
        int r;

        (void) end_pack(s);
        r = sealer_begin(s->sealer, room(s), true);
        s->own_file = r == 0;
        return r < 0 ? r : sealer_write(s->sealer, s->small, s->n_small);
}

int store_write(struct store *s, const void *bytes, size_t n) {
        if (s->err < 0)
                return s->err;
        if (!s->own_file && n <= PACK_MEMBER_MAX - s->n_small) {
                if (n > 0)
                        memcpy(s->small + s->n_small, bytes, n);
                s->n_small += n;
                return 0;
        }
        if (!s->own_file)
                s->err = begin_file(s);
        if (s->err == 0)
                s->err = sealer_write(s->sealer, bytes, n);
        return s->err = not_kept(s, s->err);
}

static void name_member(struct store *s) {
        if (s->pack.members == 0)
                s->filling.file = (struct bag_file) {
                        .number = bag_number(s->bag), .kind = "pack", .inner = ".tar", .started_ms = clock_wall_ms()
                };
        bag_name(&s->filling.file, s->name);
        (void) snprintf(s->member, sizeof(s->member), "%06u-%s", bag_number(s->bag), s->item.kind);
}

/* The budget is asked for the bytes as they are; sealed, they turn out to be fewer. */
static int keep_small(struct store *s) {
        const size_t cost = pack_cost(0);
        uint64_t left = room(s);

        if (left < cost)
                return s->err < 0 ? s->err : s->left_err;
        if (s->n_small > left - cost) {
                s->n_small = (size_t) (left - cost);
                s->err = s->left_err;
        }
        if (s->n_small == 0 && s->err < 0)
                return s->err;
        if (!pack_has_room(&s->pack, s->n_small))
                turn_pack(s);
        name_member(s);
        if (EVP_Digest(s->small, s->n_small, s->object.sha256, NULL, s->sha256, NULL) != 1)
                return not_kept(s, -EIO);
        pack_add(&s->pack, s->member, s->small, s->n_small, (time_t) (s->object.started_ms / 1000));
        s->filling.plain += s->n_small;
        s->object.bytes = s->n_small;
        s->object.member = s->member;
        return 0;
}

static int keep_file(struct store *s) {
        const struct bag_file f = {
                .number = bag_number(s->bag),
                .kind = s->item.kind,
                .inner = "",
                .started_ms = s->object.started_ms,
                .cut = s->err < 0,
                .need = 1,
        };
        struct sealed sealed;
        int r = add_file(s, &f, &sealed);

        if (r < 0)
                return not_kept(s, r);
        if (s->err == 0)
                s->err = not_kept(s, sealed.err);
        bag_name(&f, s->name);
        s->object.bytes = sealed.plain_bytes;
        memcpy(s->object.sha256, sealed.plain_sha256, sizeof(s->object.sha256));
        return 0;
}

/* Lists the object that was kept. */
static void list_object(struct store *s) {
        _cleanup_free_ char *line = NULL;

        s->object.file = s->name;
        s->object.ended_ms = clock_wall_ms();
        s->result.objects++;
        s->result.bytes += s->object.bytes;
        if (index_object_line(&s->item, &s->object, &line) < 0)
                s->result.flags |= COLLECT_CUT_COUNT;
        else
                (void) add_line(s, LINE_OBJECT, line);
}

void store_end(struct store *s, int err, int64_t expected, bool changed) {
        bool kept = false;

        if (s->err == 0)
                s->err = err;
        if (s->begun) {
                int r = s->own_file ? keep_file(s) : keep_small(s);

                kept = r == 0;
                if (s->err == 0)
                        s->err = r;
        }
        if (kept)
                list_object(s);
        if (s->err < 0 || changed)
                list_hole(s, &s->item,
                          &(struct index_hole) {
                                  .file = kept ? s->name : NULL,
                                  .member = kept ? s->object.member : NULL,
                                  .err = -s->err,
                                  .expected = expected,
                                  .got = kept ? s->object.bytes : 0,
                                  .changed = changed,
                          });
        const bool large = s->own_file && s->object.bytes >= PART_FILE;

        s->begun = s->own_file = false;
        if (large || clock_mono_us() > s->sealed_us + PART_US)
                store_checkpoint(s);
}

/* The last line: an index without it was not finished. */
static void note_end(struct store *s) {
        static const struct {
                uint32_t flag;
                const char *id;
        } flags[] = {
#define X(name, bit, id) { COLLECT_##name, id },
                COLLECT_FLAG_TABLE(X)
#undef X
        };
        json_t *ids = json_array();

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (s->result.flags & flags[i].flag)
                        (void) json_array_append_new(ids, json_string(flags[i].id));
        add_note(s, LINE_LAST,
                 json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "note", "end", "flags", ids, "objects",
                           (json_int_t) s->result.objects, "holes", (json_int_t) s->result.holes, "bytes",
                           (json_int_t) s->result.bytes, "ended_ms", (json_int_t) clock_wall_ms()));
}

int store_finish(struct store *s, struct collect_result *ret) {
        bool unsynced;
        int r;

        s->sealing = true;
        seal_packs(s);
        note_end(s);
        r = seal_index(s, s->waiting.n);
        if (r < 0) {
                bag_use_reserve(s->bag);
                r = seal_index(s, s->waiting.n);
        }
        if (r == 0)
                r = bag_finish(s->bag, &unsynced, s->result.manifest_sha256);
        if (r < 0)
                return r;
        if (unsynced)
                s->result.flags |= COLLECT_UNSYNCED;
        *ret = s->result;
        return 0;
}
