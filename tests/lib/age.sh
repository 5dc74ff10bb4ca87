# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The key pair of age_keys.h, for evidence that tests open again.

# shellcheck disable=SC2034
AGE_IDENTITY=AGE-SECRET-KEY-1CCKMPTDMD9M4MPDPQCGHAVY4U0L67RW8C0NEMCY53MZ7V0QAJ5GQTZT5NX
# shellcheck disable=SC2034
AGE_RECIPIENT=age1kw3ly7r8n63sj9xzc9wfk7rgmpnh569tdhsqsutgua9xxfqz3qhq2p9gjh
