/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_rules.c ctl/escalate_template.c ctl/escalate_event.c ctl/escalate_mend.c ctl/escalate_path.c ctl/member.c ctl/text.c */
/* LINK: ctl/why.c */

/* A file of rules: what is taken is in range, stops nothing without a lease, and lets nothing go. */

#include <string.h>

#include "ctl/escalate_rules.h"
#include "ctl/escalate_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct escalate_rules r = ESCALATE_RULES_NULL;
        struct why w = { "" };
        const int code = escalate_rules_parse("f", (const char *) data, size, &r, &w);

        CHECK(code == 0 ? r.n > 0 && !*w.text : !r.v && *w.text);
        for (size_t i = 0; i < r.n; i++) {
                const struct escalate_rule *one = &r.v[i];
                const enum verb_class cls = verb_info(one->verb)->cls;

                CHECK(cls == VERB_CLASS_STOP ? one->lease_ms > 0 : cls == VERB_CLASS_OBSERVE && one->lease_ms == 0);
                CHECK(one->n_matches > 0 && one->n_targets > 0 && one->max_age_ms <= ESCALATE_MEMORY_MS);
                for (size_t k = 0; k < one->n_targets; k++)
                        CHECK(escalate_template_is_target(one->targets[k]));
        }
        escalate_rules_done(&r);
        return 0;
}
