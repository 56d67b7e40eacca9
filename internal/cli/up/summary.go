// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package up

import (
	"context"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/cli/summary"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// summarise prints what was found and which commands look further.
func (m *machine) summarise(ctx context.Context) error {
	m.say("\nstate       %s", m.StateDir)
	m.say("kubeconfig  %s", m.running.Kubeconfig)
	m.say("gateway     %s", m.running.Gateway)
	if !m.Simulate {
		m.say("\nNothing is connected yet. In another terminal:")
		m.say("  export KUBECONFIG=%s PATH=%s:$PATH", m.running.Kubeconfig, m.BinDir)
		m.say("  seatkeeper import slack-members.csv -n my-company")
		m.say("\nCtrl-C stops; the next start continues from here.")
		return nil
	}
	client, err := queryclient.New(ctx, m.running.Config, queryclient.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	var s model.Summary
	if err := client.Get(ctx, fmt.Sprintf("/apis/v1/namespaces/%s/summary", Namespace), nil, &s); err != nil {
		return err
	}
	m.say("simulators  %s/_sim/  (press the buttons of Slack there)", m.running.Simulators.URL(fakesaas.Admin))
	m.say("\nFound in %q, %d people simulated:\n", Namespace, m.running.Simulators.Truth(fakesaas.TruthOptions{}).People)
	if err := summary.Print(m.Out, s); err != nil {
		return err
	}
	m.say("\nLook further, in another terminal:")
	m.say("  export KUBECONFIG=%s PATH=%s:$PATH", m.running.Kubeconfig, m.BinDir)
	for _, c := range []struct{ command, what string }{
		{"seatkeeper seats -n acme --use Inactive", "who holds a paid seat and does not use it"},
		{"seatkeeper runs -n acme", "who was asked, and what came of it"},
		{"seatkeeper savings -n acme", "what that saves, and when"},
		{"seatkeeper audit -n acme", "who or what decided"},
		{"kubectl get saas -n acme", "the resources, as git holds them"},
		{"kubectl describe licensepolicy zoom-90d -n acme", "one policy, explained"},
	} {
		m.say("  %-50s %s", c.command, c.what)
	}
	m.say("\nCtrl-C stops; the next start continues from here.")
	return nil
}
