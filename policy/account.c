/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/account.h"

#include <string.h>

struct incident {
        char name[COMMAND_INCIDENT_MAX + 1];
        int64_t used_ms;
        int64_t last_ms; /* the floor when it was charged last */
};

struct slot {
        int64_t hour; /* of the floor; another one than is asked for: used_ms is of long ago */
        int64_t used_ms;
};

struct account {
        uint8_t key[32];
        int64_t last_ms;
        struct slot day[ACCOUNT_SLOTS];
        struct incident *incidents;
        size_t n_incidents;
};

static int64_t add_capped(int64_t a, int64_t b) {
        int64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void account_done(struct account_set *s) {
        for (size_t i = 0; i < s->n; i++)
                free(s->all[i].incidents);
        free(s->all);
        *s = (struct account_set) {};
}

static struct account *find_account(const struct account_set *s, const uint8_t key[static 32]) {
        for (size_t i = 0; i < s->n; i++)
                if (memcmp(s->all[i].key, key, sizeof(s->all[i].key)) == 0)
                        return &s->all[i];

        return NULL;
}

static struct incident *find_incident(const struct account *a, const char *name) {
        for (size_t i = 0; i < a->n_incidents; i++)
                if (strcmp(a->incidents[i].name, name) == 0)
                        return &a->incidents[i];

        return NULL;
}

/* A place for one more account: a new one, or that of whoever was charged least recently. NULL when out of memory. */
static struct account *put_account(struct account_set *s, const uint8_t key[static 32]) {
        struct account *a;

        if (s->n < ACCOUNT_KEYS_MAX) {
                a = reallocarray(s->all, s->n + 1, sizeof(*a));
                if (!a)
                        return NULL;
                s->all = a;
                a = &s->all[s->n++];
        } else {
                a = &s->all[0];
                for (size_t i = 1; i < s->n; i++)
                        if (s->all[i].last_ms < a->last_ms)
                                a = &s->all[i];
                free(a->incidents);
        }

        *a = (struct account) {};
        memcpy(a->key, key, sizeof(a->key));
        return a;
}

/* The same for an incident. */
static struct incident *put_incident(struct account *a, const char *name) {
        struct incident *i;

        if (a->n_incidents < ACCOUNT_INCIDENTS_MAX) {
                i = reallocarray(a->incidents, a->n_incidents + 1, sizeof(*i));
                if (!i)
                        return NULL;
                a->incidents = i;
                i = &a->incidents[a->n_incidents++];
        } else {
                i = &a->incidents[0];
                for (size_t k = 1; k < a->n_incidents; k++)
                        if (a->incidents[k].last_ms < i->last_ms)
                                i = &a->incidents[k];
        }

        *i = (struct incident) {};
        memcpy(i->name, name, strnlen(name, COMMAND_INCIDENT_MAX));
        return i;
}

int64_t account_day_cost(int64_t ms) {
        return MAX(ms, ACCOUNT_LEAST_MS);
}

static bool is_over(const struct incident *i, int64_t floor_ms) {
        return floor_ms - i->last_ms >= ACCOUNT_INCIDENT_MS;
}

int account_add(struct account_set *s, const struct account_charge *to, const char *incident, int64_t ms) {
        const int64_t hour = to->floor_ms / ACCOUNT_SLOT_MS;
        struct account *a = find_account(s, to->key);
        struct incident *i;

        if (!a)
                a = put_account(s, to->key);
        if (!a)
                return -ENOMEM;
        i = find_incident(a, incident);
        if (!i)
                i = put_incident(a, incident);
        if (!i)
                return -ENOMEM;

        i->used_ms = add_capped(is_over(i, to->floor_ms) ? 0 : i->used_ms, ms);
        i->last_ms = to->floor_ms;

        struct slot *slot = &a->day[hour % ACCOUNT_SLOTS];
        if (slot->hour != hour)
                *slot = (struct slot) { .hour = hour };
        slot->used_ms = add_capped(slot->used_ms, account_day_cost(ms));
        a->last_ms = to->floor_ms;
        return 0;
}

int64_t account_incident_used(const struct account_set *s, const struct account_charge *of, const char *incident) {
        const struct account *a = find_account(s, of->key);
        const struct incident *i = a ? find_incident(a, incident) : NULL;

        return i && !is_over(i, of->floor_ms) ? i->used_ms : 0;
}

int64_t account_day_used(const struct account_set *s, const struct account_charge *of) {
        const int64_t hour = of->floor_ms / ACCOUNT_SLOT_MS;
        const struct account *a = find_account(s, of->key);
        int64_t used = 0;

        for (size_t i = 0; a && i < ACCOUNT_SLOTS; i++)
                if (a->day[i].hour > hour - ACCOUNT_SLOTS)
                        used = add_capped(used, a->day[i].used_ms);
        return used;
}
