/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/elfcore.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#define NOTES_FIRST 4096U
/* Above it an ELF file says the number of its headers elsewhere, in the only section header, as the kernel's own cores
 * do. Not every reader knows that, so headers that can be left out are. */
#define HEADERS_MAX (PN_XNUM - 1U)

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "which machine's registers are these?"
#endif

void notes_done(struct notes *b) {
        free(b->bytes);
        *b = (struct notes) { .bytes = NULL };
}

static size_t align(size_t n, size_t to) {
        return (n + to - 1) / to * to;
}

static int make_room(struct notes *b, size_t n) {
        size_t size = MAX(b->size, (size_t) NOTES_FIRST);
        uint8_t *bigger;

        while (size - b->n < n)
                size *= 2;
        if (size == b->size)
                return 0;
        bigger = realloc(b->bytes, size);
        if (!bigger)
                return -ENOMEM;
        b->bytes = bigger;
        b->size = size;
        return 0;
}

int notes_add(struct notes *b, const char *name, uint32_t type, const void *desc, size_t n) {
        const size_t n_name = strlen(name) + 1;
        const ElfW(Nhdr) h = { .n_namesz = (uint32_t) n_name, .n_descsz = (uint32_t) n, .n_type = type };
        const size_t all = sizeof(h) + align(n_name, 4) + align(n, 4);
        uint8_t *p;

        if (make_room(b, all) < 0)
                return -ENOMEM;
        p = b->bytes + b->n;
        memset(p, 0, all);
        memcpy(p, &h, sizeof(h));
        memcpy(p + sizeof(h), name, n_name);
        memcpy(p + sizeof(h) + align(n_name, 4), desc, n);
        b->n += all;
        return 0;
}

static bool is_file(const struct mapping *m) {
        return m->inode != 0 && m->path_n > 0;
}

/* count, page size; then start, end, offset in pages for each; then their names, each with a NUL. */
int notes_add_files(struct notes *b, const struct mapping *maps, size_t n) {
        _cleanup_free_ uint8_t *desc = NULL;
        size_t files = 0, names = 0;
        uint64_t *numbers;
        char *name;

        for (size_t i = 0; i < n; i++) {
                files += is_file(&maps[i]);
                names += is_file(&maps[i]) ? maps[i].path_n + 1 : 0;
        }
        desc = malloc((2 + 3 * files) * sizeof(*numbers) + names);
        if (!desc)
                return -ENOMEM;
        numbers = (uint64_t *) desc;
        name = (char *) (numbers + 2 + 3 * files);
        *numbers++ = files;
        *numbers++ = RUNS_PAGE;
        for (size_t i = 0; i < n; i++) {
                if (!is_file(&maps[i]))
                        continue;
                *numbers++ = maps[i].start;
                *numbers++ = maps[i].end;
                *numbers++ = maps[i].offset / RUNS_PAGE;
                memcpy(name, maps[i].path, maps[i].path_n);
                name += maps[i].path_n;
                *name++ = '\0';
        }
        return notes_add(b, "CORE", NT_FILE, desc, (2 + 3 * files) * sizeof(*numbers) + names);
}

static ElfW(Phdr) load(const struct mapping *m, uint64_t start, uint64_t end, uint64_t at, uint64_t bytes) {
        return (ElfW(Phdr)) {
                .p_type = PT_LOAD,
                .p_flags = (m->read ? PF_R : 0U) | (m->write ? PF_W : 0U) | (m->exec ? PF_X : 0U),
                .p_offset = at,
                .p_vaddr = start,
                .p_filesz = bytes,
                .p_memsz = end - start,
                .p_align = RUNS_PAGE,
        };
}

/* Headers of one mapping, from run *k on; at is where the next run is in the file. How many they are. Where a mapping
 * does not begin with a page that is there, one header says just that, if it is not one too many. */
static size_t put_mapping(const struct mapping *m, uint32_t map, bool spare, const struct runs *runs, size_t *k,
                          uint64_t *at, ElfW(Phdr) * ret) {
        const bool has_run = *k < runs->n && runs->v[*k].map == map;
        const uint64_t first = has_run ? runs->v[*k].start : m->end;
        size_t n = 0;

        if (first > m->start && spare)
                ret[n++] = load(m, m->start, first, *at, 0);
        for (; *k < runs->n && runs->v[*k].map == map; (*k)++) {
                const struct run *r = &runs->v[*k];
                const bool more = *k + 1 < runs->n && r[1].map == map;

                ret[n++] = load(m, r->start, more ? r[1].start : m->end, *at, r->end - r->start);
                *at += r->end - r->start;
        }
        return n;
}

/* Behind the program headers that were made room for. */
static void number_headers(ElfW(Ehdr) * e, size_t used, size_t at) {
        ElfW(Shdr) *section = (ElfW(Shdr) *) ((uint8_t *) e + at);

        e->e_phnum = (uint16_t) used;
        if (used <= HEADERS_MAX)
                return;
        e->e_phnum = PN_XNUM;
        e->e_shoff = at;
        e->e_shentsize = sizeof(*section);
        e->e_shnum = 1;
        section->sh_info = (uint32_t) used;
}

int elfcore_head(const struct mapping *maps, size_t n_maps, const struct runs *runs, const struct notes *notes,
                 uint8_t **ret, size_t *ret_n) {
        const size_t section = sizeof(ElfW(Ehdr)) + (1 + n_maps + runs->n) * sizeof(ElfW(Phdr));
        const size_t before = section + sizeof(ElfW(Shdr));
        const size_t n = align(before + notes->n, RUNS_PAGE);
        uint8_t *bytes = calloc(1, n);
        ElfW(Ehdr) *e = (ElfW(Ehdr) *) bytes;
        ElfW(Phdr) *p = (ElfW(Phdr) *) (bytes + sizeof(*e));
        uint64_t at = n;
        size_t k = 0, used = 1;

        if (!bytes)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_maps; i++)
                used += put_mapping(&maps[i], i, used + (runs->n - k) < HEADERS_MAX, runs, &k, &at, p + used);
        p[0] = (ElfW(Phdr)) { .p_type = PT_NOTE, .p_offset = before, .p_filesz = notes->n, .p_align = 4 };
        memcpy(bytes + before, notes->bytes, notes->n);
        *e = (ElfW(Ehdr)) {
                .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE },
                .e_type = ET_CORE,
                .e_machine = MACHINE,
                .e_version = EV_CURRENT,
                .e_phoff = sizeof(*e),
                .e_ehsize = sizeof(*e),
                .e_phentsize = sizeof(*p),
        };
        number_headers(e, used, section);
        *ret = bytes;
        *ret_n = n;
        return 0;
}
