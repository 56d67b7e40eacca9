// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const stateVersion = 1

// state is what outlives a restart.
type state struct {
	Version  int               `json:"version"`
	Company  *Company          `json:"company"`
	Effects  []Effect          `json:"effects"`
	Messages []*Message        `json:"messages"`
	Channels map[string]string `json:"channels"` // direct-message channel by Slack user
	Sequence int64             `json:"sequence"`
}

// loadState reads the file, or begins anew with company. A file made for
// another company is refused: going on with it would answer questions about
// the wrong one.
func loadState(file string, company *Company) (*state, error) {
	fresh := &state{Version: stateVersion, Company: company, Channels: map[string]string{}}
	if file != "" {
		data, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("simulator state: %w", err)
		default:
			return decodeState(file, data, company)
		}
	}
	if company == nil {
		return nil, errors.New("fakesaas: no company given and no state file to go on from")
	}
	return fresh, nil
}

func decodeState(file string, data []byte, company *Company) (*state, error) {
	st := &state{}
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("simulator state %s is damaged (remove it to begin anew): %w", file, err)
	}
	if st.Version != stateVersion || st.Company == nil {
		return nil, fmt.Errorf("simulator state %s has version %d, this program reads %d: remove it to begin anew", file, st.Version, stateVersion)
	}
	if company != nil && !company.Config.sameCompany(st.Company.Config) {
		return nil, fmt.Errorf("simulator state %s belongs to %s, asked for was %s: remove the file or ask for that company", file, st.Company, company)
	}
	if st.Channels == nil {
		st.Channels = map[string]string{}
	}
	return st, nil
}

// save writes the state in one piece; s.mu is held. A write that the file does
// not have must not have been answered, so callers save before they answer.
func (s *Server) save() error {
	file := s.opts.StateFile
	if file == "" {
		return nil
	}
	data, err := json.Marshal(s.state)
	if err != nil {
		return fmt.Errorf("simulator state: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".sim-*")
	if err != nil {
		return fmt.Errorf("simulator state: %w", err)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("simulator state: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
