// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds that a company commits to git to describe
// its SaaS estate: what is connected, what it costs, who owns it, when a seat
// counts as unused and what happens then.
//
// Resources hold intent and a small, quiet summary. Facts (people, accounts,
// seats, use) live in the SQL inventory and are never listed in a status. No
// status field moves while nothing changed, so there are no next or last times.
//
// +kubebuilder:object:generate=true
// +groupName=seatkeeper.dev
package v1alpha1
