/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/streams.c ctl/member.c */

/* What a broker answers about a stream: an answer is one thing, and what is brought in line differs in nothing. */

#include "ctl/streams.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *wanted = streams_wanted(STREAMS_CMD, "prod");
        _cleanup_(streams_answer_done) struct streams_answer a = STREAMS_ANSWER_NULL;

        streams_read((const char *) data, size, 0, &a);
        CHECK(wanted && (a.said == STREAMS_IS) == (a.config != NULL));
        if (!a.config)
                return 0;
        _cleanup_json_ json_t *before = streams_differences(wanted, a.config);
        _cleanup_free_ char *request = streams_request(wanted, a.config);
        CHECK(before && request);
        _cleanup_json_ json_t *mended = json_loads(request, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_json_ json_t *after = streams_differences(wanted, mended);
        CHECK(mended && after && json_array_size(after) == 0);
        return 0;
}
