// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package queryclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// The Service of the gateway, as the chart names it, and its selector.
const (
	serviceName     = "seatkeeper-gateway"
	gatewaySelector = "app.kubernetes.io/name=seatkeeper,seatkeeper.dev/serves-gateway=true"
	gatewayPort     = 8443
)

// forward opens a port-forward to a running gateway pod, as kubectl does.
func forward(ctx context.Context, cfg *rest.Config) (Location, func(), error) {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return Location{}, nil, err
	}
	pods, err := client.CoreV1().Pods(SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: gatewaySelector})
	if err != nil {
		return Location{}, nil, fmt.Errorf("find the gateway's pod in namespace %s: %w; or name the gateway with --server https://HOST:PORT", SystemNamespace, err)
	}
	pod := runningPod(pods.Items)
	if pod == "" {
		return Location{}, nil, fmt.Errorf("no gateway is published or runs in namespace %s of this cluster: check the kubeconfig's context, or name the gateway with --server https://HOST:PORT", SystemNamespace)
	}
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return Location{}, nil, err
	}
	u := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(SystemNamespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	stop, ready, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	fw, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", gatewayPort)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return Location{}, nil, err
	}
	go func() { failed <- fw.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		return Location{}, nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	case <-ctx.Done():
		close(stop)
		return Location{}, nil, ctx.Err()
	}
	ports, err := fw.GetPorts()
	if err != nil || len(ports) == 0 {
		close(stop)
		return Location{}, nil, errors.Join(errors.New("port-forward gave no local port"), err)
	}
	ca, err := client.CoreV1().ConfigMaps(SystemNamespace).Get(ctx, caConfigMap, metav1.GetOptions{})
	loc := Location{Server: fmt.Sprintf("https://127.0.0.1:%d", ports[0].Local), serverName: serviceName}
	if err == nil {
		loc.CA = []byte(ca.Data[locationCA])
	}
	return loc, func() { close(stop) }, nil
}

// caConfigMap holds the authority of the gateway's certificate, if it is not
// one that systems trust.
const caConfigMap = "seatkeeper-gateway-ca"

func runningPod(pods []corev1.Pod) string {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			return p.Name
		}
	}
	return ""
}
