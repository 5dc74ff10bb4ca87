/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A key pair of age-keygen, for evidence that tests open again. */
#define AGE_KEYS_SECRET "AGE-SECRET-KEY-1CCKMPTDMD9M4MPDPQCGHAVY4U0L67RW8C0NEMCY53MZ7V0QAJ5GQTZT5NX"
#define AGE_KEYS_PUBLIC "age1kw3ly7r8n63sj9xzc9wfk7rgmpnh569tdhsqsutgua9xxfqz3qhq2p9gjh"
