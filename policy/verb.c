/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/verb.h"

#include <stddef.h>
#include <string.h>

static const struct verb_info verbs[_VERB_MAX] = {
#define X(name, str, class, isolates_, freezes_, snapshots_, text_) \
        [VERB_##name] = { .id = str,                                \
                          .text = text_,                            \
                          .cls = VERB_CLASS_##class,                \
                          .isolates = isolates_,                    \
                          .freezes = freezes_,                      \
                          .snapshots = snapshots_ },
        VERB_TABLE(X)
#undef X
};

static const struct {
        const char *id, *example;
} target_classes[_TARGET_MAX] = {
#define X(name, str, example_) [TARGET_##name] = { .id = str, .example = example_ },
        TARGET_TABLE(X)
#undef X
};

static const struct {
        const char *id, *word;
} severities[_SEVERITY_MAX] = {
#define X(name, str, word_) [SEVERITY_##name] = { .id = str, .word = word_ },
        SEVERITY_TABLE(X)
#undef X
};

/* strcasecmp would ask the locale, in some of which "CRITICAL" and "Critical" differ. */
static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static bool equal_nocase(const char *a, const char *b) {
        for (; *a && lower(*a) == lower(*b); a++)
                b++;
        return lower(*a) == lower(*b);
}

bool verb_class_is_of_holds(enum verb_class c) {
        return c != VERB_CLASS_STOP && c != VERB_CLASS_OBSERVE;
}

bool verb_class_lets_go(enum verb_class c) {
        return c == VERB_CLASS_RELEASE || c == VERB_CLASS_DROP;
}

const struct verb_info *verb_info(enum verb v) {
        return &verbs[v];
}

bool verb_from_id(const char *id, enum verb *ret) {
        for (size_t i = 0; i < _VERB_MAX; i++)
                if (strcmp(verbs[i].id, id) == 0) {
                        *ret = (enum verb) i;
                        return true;
                }
        return false;
}

const char *target_class_id(enum target_class c) {
        return target_classes[c].id;
}

const char *target_class_example(enum target_class c) {
        return target_classes[c].example;
}

bool target_class_from_id(const char *id, enum target_class *ret) {
        for (size_t i = 0; i < _TARGET_MAX; i++)
                if (strcmp(target_classes[i].id, id) == 0) {
                        *ret = (enum target_class) i;
                        return true;
                }
        return false;
}

const char *severity_id(enum severity s) {
        return severities[s].id;
}

bool severity_from_id(const char *id, enum severity *ret) {
        for (size_t i = 0; i < _SEVERITY_MAX; i++)
                if (strcmp(severities[i].id, id) == 0 || equal_nocase(severities[i].word, id)) {
                        *ret = (enum severity) i;
                        return true;
                }
        return false;
}
