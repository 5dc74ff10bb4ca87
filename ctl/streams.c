/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"
#include "ctl/streams.h"
#include "policy/dsse.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_NS    (24 * 3600 * SECOND_NS)

/* of JetStream's errors: not enabled for the server, for the account */
#define ERR_OFF         10076
#define ERR_OFF_ACCOUNT 10039

static const struct {
        const char *what;
        const char *subjects[4];
        int64_t days, per_subject, largest;
        bool direct;
} kinds[_STREAMS_MAX] = {
        /* the longest that anything in it is valid is a trust root; orders are for a day */
        [STREAMS_CMD] = { "CMD", { "cmd.>", "head", "trust.>", "sign.>" }, 7, 1, DSSE_ENVELOPE_MAX, true },
        [STREAMS_RSP] = { "RSP", { "rsp.>" }, 1, 4, DSSE_HOST_ENVELOPE_MAX, false },
};

int streams_name(enum streams_which which, const char *fleet, char ret[static SUBJECT_SIZE]) {
        return subject_stream(kinds[which].what, fleet, ret);
}

/* frz.v1.FLEET.head without its last word: names of fleets are spelled in one place. */
static int prefix_of(const char *fleet, char ret[static SUBJECT_SIZE]) {
        struct subject s = { .kind = SUBJECT_HEAD };

        if (strlen(fleet) >= sizeof(s.fleet))
                return -EINVAL;
        (void) snprintf(s.fleet, sizeof(s.fleet), "%s", fleet);
        int r = subject_build(&s, ret);
        if (r == 0)
                *(strrchr(ret, '.') + 1) = '\0';
        return r;
}

static json_t *subjects_of(enum streams_which which, const char *prefix) {
        _cleanup_json_ json_t *a = json_array();
        int r = a ? 0 : -1;

        for (size_t i = 0; i < ELEMENTSOF(kinds[which].subjects) && kinds[which].subjects[i]; i++)
                r |= json_array_append_new(a, json_sprintf("%s%s", prefix, kinds[which].subjects[i]));
        return r == 0 ? TAKE_PTR(a) : NULL;
}

json_t *streams_wanted(enum streams_which which, const char *fleet) {
        char name[SUBJECT_SIZE], prefix[SUBJECT_SIZE];

        if (streams_name(which, fleet, name) < 0 || prefix_of(fleet, prefix) < 0)
                return NULL;
        /* without bounds by number and size, which would have old orders make room for new ones: there are not many.
         * Rolled up, republished or fed from elsewhere it would have in it what nobody published to it. */
        _cleanup_json_ json_t *o =
                json_pack("{s:s,s:o,s:s,s:s,s:I,s:I,s:I,s:i,s:i,s:b,s:b,s:b,s:n,s:n,s:n,s:n}", "name", name, "subjects",
                          subjects_of(which, prefix), "retention", "limits", "discard", "old", "max_age",
                          (json_int_t) (kinds[which].days * DAY_NS), "max_msgs_per_subject",
                          (json_int_t) kinds[which].per_subject, "max_msg_size", (json_int_t) kinds[which].largest,
                          "max_msgs", -1, "max_bytes", -1, "no_ack", 0, "sealed", 0, "allow_rollup_hdrs", 0, "mirror",
                          "sources", "republish", "subject_transform");
        int r = o ? 0 : -1;
        if (kinds[which].direct) {
                r |= json_object_set_new(o, "allow_direct", json_true());
                r |= json_object_set_new(o, "storage", json_string("file"));
        }
        return r == 0 ? TAKE_PTR(o) : NULL;
}

void streams_answer_done(struct streams_answer *a) {
        json_decref(a->config);
        *a = STREAMS_ANSWER_NULL;
}

void streams_read(const char *text, size_t n, int status, struct streams_answer *ret) {
        _cleanup_json_ json_t *o = status == 0 ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
        const json_t *error = json_object_get(o, "error");
        json_t *config = json_object_get(o, "config");
        const int64_t code = member_int(error, "err_code", 0);

        *ret = STREAMS_ANSWER_NULL;
        (void) snprintf(ret->text, sizeof(ret->text), "%s", member_str(error, "description"));
        if (status == 503 || code == ERR_OFF || code == ERR_OFF_ACCOUNT)
                ret->said = STREAMS_OFF;
        else if (json_is_object(error))
                ret->said = member_int(error, "code", 0) == 404 ? STREAMS_NONE : STREAMS_ERROR;
        else if (json_is_object(config)) {
                ret->said = STREAMS_IS;
                ret->config = json_incref(config);
        } else
                (void) snprintf(ret->text, sizeof(ret->text), "that is no answer of JetStream");
        if (ret->said == STREAMS_ERROR && !ret->text[0])
                (void) snprintf(ret->text, sizeof(ret->text), "it does not say why not");
}

/* Lists have no order here. */
static bool has_all(const json_t *a, const json_t *b) {
        json_t *x, *y;
        size_t i, k;

        json_array_foreach(a, i, x) {
                bool found = false;
                json_array_foreach(b, k, y) found |= json_equal(x, y) == 1;
                if (!found)
                        return false;
        }
        return true;
}

/* What is not written is what JetStream takes it for. */
static bool is_same(const json_t *wanted, const json_t *is) {
        if (json_is_array(wanted))
                return json_is_array(is) && json_array_size(is) == json_array_size(wanted) && has_all(wanted, is);
        if (json_is_null(wanted))
                return !is || json_is_null(is);
        if (json_is_false(wanted))
                return !is || json_is_false(is);
        return is && json_equal(wanted, is) == 1;
}

json_t *streams_differences(const json_t *wanted, const json_t *is) {
        _cleanup_json_ json_t *list = json_array();
        int r = list ? 0 : -1;
        const char *name;
        json_t *w;

        json_object_foreach((json_t *) wanted, name, w) {
                json_t *i = json_object_get(is, name);
                if (!is_same(w, i))
                        r |= json_array_append_new(list, json_pack("{s:s,s:O,s:O}", "member", name, "is",
                                                                   i ? i : json_null(), "wanted", w));
        }
        return r == 0 ? TAKE_PTR(list) : NULL;
}

char *streams_request(const json_t *wanted, const json_t *is) {
        _cleanup_json_ json_t *o = is ? json_copy((json_t *) is) : json_object();
        int r = o ? 0 : -1;
        const char *name;
        json_t *w;

        json_object_foreach((json_t *) wanted, name, w) {
                if (!json_is_null(w))
                        r |= json_object_set(o, name, w);
                else
                        (void) json_object_del(o, name);
        }
        return r == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
}
