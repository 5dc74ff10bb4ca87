/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/address.h"

#include <string.h>

#include <sodium.h>

#include "policy/sshkey.h"

#define SALT_HEX (2 * PLACE_SALT_SIZE)

void address_done(struct address *a) {
        free(a->hosts);
        *a = (struct address) { 0 };
}

static enum reason read_host(const json_t *v, void *ret) {
        const char *s = json_string_value(v);

        return s && sshkey_id_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_hosts(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_list list = { sizeof(uint8_t[32]), 1, ADDRESS_HOSTS_MAX, true, read_host };
        struct address *a = ret;
        void *p = NULL;
        enum reason reason = schema_array(v, &list, &p, &a->n_hosts);

        (void) f;
        a->hosts = p;
        return reason;
}

static enum reason read_true(const json_t *v, const struct schema_field *f, void *ret) {
        (void) f;
        (void) ret;
        return json_is_true(v) ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_salt(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        if (!s || strspn(s, "0123456789abcdef") != SALT_HEX || s[SALT_HEX] != '\0' ||
            sodium_hex2bin(ret, PLACE_SALT_SIZE, s, SALT_HEX, NULL, NULL, NULL) < 0)
                return REASON_SCHEMA;
        return REASON_NONE;
}

static enum reason read_part(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                { "salt", true, read_salt, SCHEMA_MEMBER(struct place_part, salt), 0, 0 },
                { "from", true, schema_int, SCHEMA_MEMBER(struct place_part, from), 0, PLACE_END - 1 },
                { "below", true, schema_int, SCHEMA_MEMBER(struct place_part, below), 1, PLACE_END },
        };
        struct place_part *p = ret;
        enum reason reason = schema_object(v, fields, ELEMENTSOF(fields), p);

        (void) f;
        p->is_set = true;
        return reason == REASON_NONE && p->from >= p->below ? REASON_SCHEMA : reason;
}

#define MEMBER(name) SCHEMA_MEMBER(struct address, name)

enum reason address_read(const json_t *v, const struct schema_field *f, void *ret) {
        enum { HOSTS, GROUP, ALL, MAX_HOSTS, PART };
        static const struct schema_field fields[] = {
                [HOSTS] = { "hosts", false, read_hosts, SCHEMA_WHOLE, 0, 0 },
                [GROUP] = { "group", false, schema_name, MEMBER(group), 1, ADDRESS_GROUP_MAX },
                [ALL] = { "all", false, read_true, SCHEMA_WHOLE, 0, 0 },
                [MAX_HOSTS] = { "max_hosts", false, schema_int, MEMBER(max_hosts), 1, UINT32_MAX },
                [PART] = { "part", false, read_part, MEMBER(part), 0, 0 },
        };
        static const struct {
                unsigned int with, perhaps;
        } forms[] = {
                [COMMAND_TO_HOSTS] = { 1U << HOSTS, 0 },
                [COMMAND_TO_GROUP] = { 1U << GROUP | 1U << MAX_HOSTS, 1U << PART },
                [COMMAND_TO_ALL] = { 1U << ALL | 1U << MAX_HOSTS, 1U << PART },
        };
        enum reason reason = schema_object(v, fields, ELEMENTSOF(fields), ret);
        struct address *a = ret;
        unsigned int present = 0;

        (void) f;
        if (reason != REASON_NONE)
                return reason;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (json_object_get(v, fields[i].name))
                        present |= 1U << i;
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if ((present & ~forms[i].perhaps) == forms[i].with) {
                        a->to = (enum command_to) i;
                        return REASON_NONE;
                }
        return REASON_SCHEMA;
}

static json_t *part_to_json(const struct place_part *p) {
        char salt[SALT_HEX + 1];

        (void) sodium_bin2hex(salt, sizeof(salt), p->salt, sizeof(p->salt));
        return json_pack("{ss sI sI}", "salt", salt, "from", (json_int_t) p->from, "below", (json_int_t) p->below);
}

json_t *address_to_json(const struct address *a) {
        _cleanup_json_ json_t *to = json_object(), *hosts = json_array();
        int r = to && hosts ? 0 : -1;

        for (size_t i = 0; a->to == COMMAND_TO_HOSTS && i < a->n_hosts; i++) {
                char id[SSHKEY_ID_SIZE];

                sshkey_id_to_str(a->hosts[i], id);
                r |= json_array_append_new(hosts, json_string(id));
        }
        if (a->to == COMMAND_TO_HOSTS)
                r |= json_object_set(to, "hosts", hosts);
        else
                r |= json_object_set_new(to, "max_hosts", json_integer(a->max_hosts));
        if (a->to == COMMAND_TO_GROUP)
                r |= json_object_set_new(to, "group", json_string(a->group));
        if (a->to == COMMAND_TO_ALL)
                r |= json_object_set_new(to, "all", json_true());
        if (a->part.is_set)
                r |= json_object_set_new(to, "part", part_to_json(&a->part));
        return r == 0 ? TAKE_PTR(to) : NULL;
}

bool address_names(const struct address *a, const uint8_t host[static 32], const struct attributes *in_force) {
        if (a->to == COMMAND_TO_HOSTS) {
                for (size_t i = 0; i < a->n_hosts; i++)
                        if (memcmp(a->hosts[i], host, sizeof(*a->hosts)) == 0)
                                return true;
                return false;
        }
        if (a->to == COMMAND_TO_GROUP && !(in_force && attributes_is_of(in_force, a->group)))
                return false;
        return place_is_in(&a->part, host);
}

uint32_t address_breadth(const struct address *a) {
        return a->to == COMMAND_TO_HOSTS ? (uint32_t) a->n_hosts : a->max_hosts;
}
