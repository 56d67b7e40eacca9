// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store is the one place that speaks SQL. It keeps the inventory,
// outbox, inbox, runs, prompts, lanes, ledger and audit in SQLite (one
// process) or PostgreSQL (many).
//
// Conventions that every table and method keeps:
//
//   - tenant is the first column of every table and of every unique key, and
//     the first argument of every method that reads or writes a tenant's rows.
//   - Instants are BIGINT Unix milliseconds UTC; calendar dates are TEXT
//     YYYY-MM-DD; money is BIGINT minor units with a currency column; JSON is
//     TEXT. One SQL text with $n placeholders then serves both databases.
//   - A write transaction runs under Store.write, which serialises writers on
//     SQLite and repeats serialisation failures on PostgreSQL, so its function
//     must be safe to run again from the start.
package store
