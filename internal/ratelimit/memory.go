// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Memory is a budget inside one process. Where several replicas share a
// credential the store keeps the buckets instead.
type Memory struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	tokens  float64
	at      time.Time
	blocked time.Time
}

// NewMemory returns an empty budget.
func NewMemory(c clock.PassiveClock) *Memory {
	return &Memory{clock: c, buckets: map[string]*bucket{}}
}

// Take takes one token of key and returns 0, or takes none and returns how
// long to wait before asking again.
func (m *Memory) Take(_ context.Context, key string, rate Rate) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	b, ok := m.buckets[key]
	if !ok {
		if rate.IsZero() {
			return 0, nil // nothing to remember until the key is blocked
		}
		b = &bucket{tokens: rate.Max(), at: now}
		m.buckets[key] = b
	}
	if wait := b.blocked.Sub(now); wait > 0 {
		return wait, nil
	}
	if rate.IsZero() {
		return 0, nil
	}
	if b.at.IsZero() { // made by Block before its rate was known
		b.tokens, b.at = rate.Max(), now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(rate.Max(), b.tokens+passed.Seconds()*rate.PerSecond())
		b.at = now
	}
	// The allowance absorbs the rounding of a wait to whole nanoseconds.
	const rounding = 1e-6
	if b.tokens+rounding >= 1 {
		b.tokens--
		return 0, nil
	}
	return time.Duration((1-b.tokens)/rate.PerSecond()*float64(time.Second)) + 1, nil
}

// Peek returns how long to wait for a token of key, and takes none.
func (m *Memory) Peek(key string, rate Rate) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.buckets[key]
	if !ok || rate.IsZero() {
		return 0
	}
	now := m.clock.Now()
	if wait := b.blocked.Sub(now); wait > 0 {
		return wait
	}
	tokens := min(rate.Max(), b.tokens+max(0, now.Sub(b.at).Seconds())*rate.PerSecond())
	if tokens >= 1 {
		return 0
	}
	return time.Duration((1-tokens)/rate.PerSecond()*float64(time.Second)) + 1
}

// Block lets nobody take from key before until; an earlier moment than the
// one already known changes nothing.
func (m *Memory) Block(_ context.Context, key string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.buckets[key]
	if !ok {
		b = &bucket{}
		m.buckets[key] = b
	}
	if until.After(b.blocked) {
		b.blocked = until
	}
	return nil
}

// Scoped is a Memory seen under a prefix: one per credential.
type Scoped struct {
	memory *Memory
	prefix string
}

// Scope returns the part of the budget that belongs to one credential.
func (m *Memory) Scope(credential string) *Scoped {
	return &Scoped{memory: m, prefix: credential + "\x00"}
}

// Take is Memory.Take within the scope.
func (s *Scoped) Take(ctx context.Context, key string, rate Rate) (time.Duration, error) {
	return s.memory.Take(ctx, s.prefix+key, rate)
}

// Block is Memory.Block within the scope.
func (s *Scoped) Block(ctx context.Context, key string, until time.Time) error {
	return s.memory.Block(ctx, s.prefix+key, until)
}
