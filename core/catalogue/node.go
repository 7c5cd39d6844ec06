package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const nodeTimeout = 10 * time.Second

// NodeAddress reads where the Message Node of domain is: the URL in the stub descriptor that the domain publishes. A
// domain on this machine's loopback ("localhost:8080") may publish by plain HTTP, and name a plain WebSocket; any
// other needs TLS for both.
func NodeAddress(ctx context.Context, domain string) (string, error) {
	at, err := nodeAddress(ctx, domain)
	if err != nil {
		return "", fmt.Errorf("find the Message Node of %s: %w; its address can also be given in the configuration", domain, err)
	}
	return at, nil
}

func nodeAddress(ctx context.Context, domain string) (string, error) {
	base := &url.URL{Scheme: "https", Host: domain, Path: "/.well-known/protocolstub/default"}
	if u, err := url.Parse(base.String()); err != nil || u.Host != domain || domain == "" || u.User != nil || strings.ContainsAny(domain, "/?#@") {
		return "", errors.New("it is not a host name")
	}
	if !loopback(base.Hostname()) {
		return fetch(ctx, base)
	}
	plain := *base
	plain.Scheme = "http"
	at, err := fetch(ctx, &plain)
	if err != nil {
		if tls, tlsErr := fetch(ctx, base); tlsErr == nil {
			return tls, nil
		}
	}
	return at, err
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func fetch(ctx context.Context, from *url.URL) (string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: transport, Timeout: nodeTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" && !(r.URL.Scheme == "http" && loopback(r.URL.Hostname()) && loopback(from.Hostname())) || len(via) > 3 {
				return fmt.Errorf("it redirects to %s", r.URL)
			}
			return nil
		}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", from, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDescriptor+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", from, err)
	}
	at, err := parseNode(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	return at, nil
}

// parseNode reads the stub descriptor that a domain publishes.
func parseNode(text []byte) (string, error) {
	if len(text) > maxDescriptor {
		return "", fmt.Errorf("larger than %d bytes", maxDescriptor)
	}
	var d struct {
		Type          string `json:"type"`
		Configuration struct {
			URL string `json:"url"`
		} `json:"configuration"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return "", fmt.Errorf("not a stub descriptor: %w", err)
	}
	if d.Type != "node" {
		return "", fmt.Errorf("a stub descriptor of type %.40q, want node", d.Type)
	}
	u, err := url.Parse(d.Configuration.URL)
	if err != nil || u.Host == "" || len(d.Configuration.URL) > 2048 || u.User != nil {
		return "", fmt.Errorf("the node's address %.100q is not a WebSocket URL", d.Configuration.URL)
	}
	if u.Scheme != "wss" && !(u.Scheme == "ws" && loopback(u.Hostname())) {
		return "", fmt.Errorf("the node's address %.100q is not a wss:// URL", d.Configuration.URL)
	}
	return d.Configuration.URL, nil
}
