// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answerlink

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

const prompt = "2f1c5e4e-8f0a-5b7e-9d51-0c1f6a2b3c4d"

var (
	older = bytes.Repeat([]byte{1}, 32)
	newer = bytes.Repeat([]byte{2}, 32)
	ada   = Addressee{PersonID: "p-ada", Email: "ada@acme.example"}
)

func mint(t *testing.T, k Keys, to Addressee) string {
	t.Helper()
	token, err := k.Token(7, prompt, to)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestToken(t *testing.T) {
	k := Keys{older}
	token := mint(t, k, ada)
	if token != mint(t, k, ada) {
		t.Error("a message that is sent again carries another link")
	}
	l, ok := k.Open(token)
	if !ok || l.Tenant != 7 || l.PromptID != prompt {
		t.Fatalf("Open = %+v, %v", l, ok)
	}
	for to, want := range map[Addressee]bool{
		ada:                                true,
		{"p-ada", "ADA@acme.example"}:      true,
		{"p-ada", "ada@elsewhere.example"}: false,
		{"p-bob", "ada@acme.example"}:      false,
		{"p-ad", "aada@acme.example"}:      false,
		{"", "ada@acme.example"}:           false,
		{"", ""}:                           false,
	} {
		if got := l.IsFor(to); got != want {
			t.Errorf("IsFor(%+v) = %v, want %v", to, got, want)
		}
	}
	if strings.Contains(token, "ada") {
		t.Error("the link names its addressee")
	}
}

// A new key signs, and what an older one signed still opens until it is gone.
func TestRotation(t *testing.T) {
	before := mint(t, Keys{older}, ada)
	after := mint(t, Keys{newer, older}, ada)
	for name, c := range map[string]struct {
		keys  Keys
		token string
		want  bool
	}{
		"rotated, old link": {Keys{newer, older}, before, true},
		"rotated, new link": {Keys{newer, older}, after, true},
		"old key gone":      {Keys{newer}, before, false},
		"new key only":      {Keys{newer}, after, true},
		"no key":            {nil, after, false},
		"short key":         {Keys{{}}, after, false},
	} {
		l, ok := c.keys.Open(c.token)
		if ok != c.want || ok && !l.IsFor(ada) {
			t.Errorf("%s: Open = %v, want %v", name, ok, c.want)
		}
	}
}

func TestForged(t *testing.T) {
	k := Keys{older}
	token := mint(t, k, ada)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, bit := range []byte{1, 0x80} {
			forged := bytes.Clone(raw)
			forged[i] ^= bit
			if _, ok := k.Open(base64.RawURLEncoding.EncodeToString(forged)); ok {
				t.Errorf("a changed byte %d passes", i)
			}
		}
	}
	for _, s := range []string{"", "x", token[1:], token + "A", token + "=", " " + token, strings.Repeat("A", len(token)), strings.Repeat("-", 1<<16)} {
		if _, ok := k.Open(s); ok {
			t.Errorf("%.80q passes", s)
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	for name, f := range map[string]func() (string, error){
		"no key":     func() (string, error) { return Keys(nil).Token(1, prompt, ada) },
		"short key":  func() (string, error) { return Keys{[]byte("short")}.Token(1, prompt, ada) },
		"no address": func() (string, error) { return Keys{older}.Token(1, prompt, Addressee{PersonID: "p"}) },
		"no id":      func() (string, error) { return Keys{older}.Token(1, "prompt-1", ada) },
	} {
		if token, err := f(); err == nil {
			t.Errorf("%s: minted %q", name, token)
		}
	}
}

// FuzzOpen: nothing but what was signed opens, and what opens is canonical.
func FuzzOpen(f *testing.F) {
	k := Keys{newer, older}
	token, err := k.Token(7, prompt, ada)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[:len(token)-1] + "-")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := k.Open(s)
		if !ok {
			return
		}
		if s != token || l.PromptID != prompt || l.Tenant != 7 || !l.IsFor(ada) {
			t.Errorf("%q opens as %+v", s, l)
		}
	})
}
