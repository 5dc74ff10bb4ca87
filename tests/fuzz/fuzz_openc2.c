/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/openc2.c ctl/escalate_template.c ctl/escalate_mend.c ctl/escalate_path.c ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c */
/* LINK: ctl/text.c ctl/why.c */

/* A command of OpenC2: it is an order with one target, a query, or has a status that says what is wrong with it. */

#include <string.h>

#include "ctl/openc2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *o = NULL;
        struct openc2_command c;
        const char *why = NULL;
        enum reason reason;
        char text[TARGET_STR_SIZE];
        struct target again;

        CHECK(schema_json((const char *) data, size, &o, &reason) == 0);
        if (!o)
                return 0;
        const unsigned status = openc2_read(o, 1795284131482LL, &c, &why);
        CHECK(status == 0 ? !why : (status == 400 || status == 501) && why);
        if (status != 0)
                return 0;
        if (c.query) {
                json_decref(openc2_features(&c));
                return 0;
        }
        target_to_str(&c.target, text, sizeof(text));
        CHECK(target_from_str(text, &again) == 0 && memcmp(&again, &c.target, sizeof(again)) == 0);
        CHECK((c.target.cls == TARGET_HOLD) == (c.verb == VERB_RELEASE));
        CHECK(c.lease_ms >= 0 && (c.lease_ms == 0 || verb_info(c.verb)->cls == VERB_CLASS_STOP));
        return 0;
}
