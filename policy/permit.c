/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/permit.h"

#include <arpa/inet.h>
#include <string.h>

#include "policy/schema.h"

#define PREFIX_MAX    128
#define MAPPED_PREFIX 96

static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };

static const struct {
        const char *id;
        uint8_t proto;
} protos[] = {
        { "tcp", IPPROTO_TCP },
        { "udp", IPPROTO_UDP },
};

/* True when the first n_bits of both are equal. */
static bool bits_equal(const uint8_t a[static 16], const uint8_t b[static 16], unsigned int n_bits) {
        unsigned int n = n_bits / 8, rest = n_bits % 8;

        return memcmp(a, b, n) == 0 && (rest == 0 || (a[n] ^ b[n]) >> (8 - rest) == 0);
}

static bool is_mapped(const struct permit *p) {
        return p->prefix >= MAPPED_PREFIX && bits_equal(p->addr, mapped, MAPPED_PREFIX);
}

static bool host_bits_zero(const uint8_t addr[static 16], unsigned int prefix) {
        static const uint8_t zero[16];
        unsigned int n = prefix / 8;

        if (n == sizeof(zero))
                return true;
        return (uint8_t) (addr[n] << (prefix % 8)) == 0 && memcmp(addr + n + 1, zero, sizeof(zero) - n - 1) == 0;
}

/* A decimal number without sign, blanks or leading zeros. NULL stands for max. */
static int prefix_from_str(const char *s, unsigned int max, unsigned int *ret) {
        unsigned int n = 0;

        if (!s) {
                *ret = max;
                return 0;
        }
        if (*s == '\0' || (*s == '0' && s[1] != '\0'))
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                n = n * 10 + (unsigned int) (*s - '0');
                if (n > max)
                        return -EINVAL;
        }
        *ret = n;
        return 0;
}

int permit_net_from_str(const char *s, struct permit *ret) {
        char addr[INET6_ADDRSTRLEN] = "";
        const char *slash = strchr(s, '/');
        size_t n = slash ? (size_t) (slash - s) : strlen(s);
        uint8_t bytes[16];
        unsigned int prefix, base;

        if (n >= sizeof(addr))
                return -EINVAL;
        memcpy(addr, s, n);
        memcpy(bytes, mapped, sizeof(bytes));
        base = inet_pton(AF_INET, addr, bytes + 12) == 1 ? MAPPED_PREFIX : 0;
        if (base == 0 && inet_pton(AF_INET6, addr, bytes) != 1)
                return -EINVAL;
        if (prefix_from_str(slash ? slash + 1 : NULL, PREFIX_MAX - base, &prefix) < 0)
                return -EINVAL;

        prefix += base;
        if (!host_bits_zero(bytes, prefix))
                return -EINVAL;
        /* FAIL-CLOSED: "::/0" is meant as all of IPv6, and the map would let all of IPv4 out as well. */
        if (base == 0 && bits_equal(bytes, mapped, MIN(prefix, MAPPED_PREFIX)))
                return -EINVAL;

        memcpy(ret->addr, bytes, sizeof(ret->addr));
        ret->prefix = (uint8_t) prefix;
        return 0;
}

void permit_net_to_str(const struct permit *p, char *ret, size_t n) {
        unsigned int base = is_mapped(p) ? MAPPED_PREFIX : 0;
        char addr[INET6_ADDRSTRLEN];

        (void) inet_ntop(base ? AF_INET : AF_INET6, base ? p->addr + 12 : p->addr, addr, sizeof(addr));
        (void) snprintf(ret, n, "%s/%u", addr, p->prefix - base);
}

static enum reason read_net(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && permit_net_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_proto(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        for (size_t i = 0; s && i < ELEMENTSOF(protos); i++)
                if (strcmp(protos[i].id, s) == 0) {
                        *(uint8_t *) ret = protos[i].proto;
                        return REASON_NONE;
                }
        return REASON_SCHEMA;
}

static const struct schema_field fields[] = {
        { "net", true, read_net, SCHEMA_WHOLE, 0, 0 },
        { "port", false, schema_int, SCHEMA_MEMBER(struct permit, port), 1, UINT16_MAX },
        { "proto", false, read_proto, SCHEMA_MEMBER(struct permit, proto), 0, 0 },
};

static enum reason read_permit(const json_t *v, void *ret) {
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

enum reason permits_from_json(const json_t *array, size_t max, struct permit **ret, size_t *ret_n) {
        const struct schema_list list = { .size = sizeof(struct permit), .max = max, .item = read_permit };
        enum reason reason;
        void *p = NULL;
        size_t n = 0;

        reason = array ? schema_array(array, &list, &p, &n) : REASON_NONE;
        if (reason == REASON_NONE) {
                *ret = p;
                *ret_n = n;
        }
        return reason;
}

static json_t *permit_to_json(const struct permit *p) {
        _cleanup_json_ json_t *j = json_object();
        char net[PERMIT_STR_SIZE];
        int r;

        permit_net_to_str(p, net, sizeof(net));
        r = json_object_set_new(j, "net", json_string(net));
        if (p->port != 0)
                r |= json_object_set_new(j, "port", json_integer(p->port));
        for (size_t i = 0; i < ELEMENTSOF(protos); i++)
                if (protos[i].proto == p->proto)
                        r |= json_object_set_new(j, "proto", json_string(protos[i].id));
        return r == 0 ? TAKE_PTR(j) : NULL;
}

json_t *permits_to_json(const struct permit *p, size_t n) {
        _cleanup_json_ json_t *array = json_array();
        int r = array ? 0 : -1;

        for (size_t i = 0; i < n; i++)
                r |= json_array_append_new(array, permit_to_json(&p[i]));
        return r == 0 ? TAKE_PTR(array) : NULL;
}
