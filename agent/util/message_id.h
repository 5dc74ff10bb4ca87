/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* MESSAGE_ID= of the ten events that someone watches the journal for. They are published: alert rules and
 * packaging/catalog/freezed.catalog key on them, so a value is never changed or given a second meaning. Every entry
 * names its command in COMMAND_ID= or its hold in HOLD=, and what went against it in REASON=. In those about evidence
 * HOLD= is what it was taken for, and COMMAND_ID= the order that it is deleted by, if it is by one. */

/* Everything that was asked for is in force and was read back. */
#define MESSAGE_ID_HOLD_MADE "658c440f26da4cfaa2cb3d0bac0f8ac4"
/* Something that was asked for is not in force: state `partial` or `failed`. */
#define MESSAGE_ID_HOLD_PARTIAL "c7a253a30b374fa58cc3b1e36ce7e7b4"
/* A command was refused; nothing was done. */
#define MESSAGE_ID_REFUSED "c17dfc91747343138f898e98e5bdc569"
/* People released a hold. */
#define MESSAGE_ID_RELEASED "3224ccb718ff42d89cfe28df9557ce9f"
/* A hold's lease ran out and it was undone. */
#define MESSAGE_ID_LAPSED "3bcf55ab8c0c499eb229b661ed65f0fc"
/* The agent found a hold in the ledger that was not in force, and put it in force again. */
#define MESSAGE_ID_RECOVERED "7e1aca112f16480db6df3fb7ae3d17d3"
/* Someone undid part of a hold while the agent was there; it was put back. */
#define MESSAGE_ID_REPAIRED "5b0e8f6a9d3c4c7e8a1f2d6b7c90e415"
/* The time for which evidence is kept is over; it is going to be deleted. */
#define MESSAGE_ID_EXPIRED "aca220f145ef4e37b951ad92f51a7f94"
/* Evidence is gone, by an order or because its time was over; its tombstone stays. */
#define MESSAGE_ID_DELETED "6a54b0016b3c4f64a8a7710af09466d5"
/* Evidence that is to be deleted could not be; it is tried again. */
#define MESSAGE_ID_NOT_DELETED "7def825eacc24ab9be87c1e2516be7ef"
