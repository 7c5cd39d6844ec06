package catalogue

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/networks"
)

// Limits of reading a domain's descriptor.
const (
	nodeTimeout   = 10 * time.Second
	maxHeaders    = 16 << 10 // bytes
	maxRedirects  = 3        // at the same host
	maxDomainName = 255 + len(":65535")
)

// NodeAddress reads the address of a domain's Message Node: the URL in the stub descriptor that the domain publishes. It connects,
// over TLS, only to addresses within the allowed networks, also after a redirection and through a proxy; nil allows all, for a
// domain that the operator has named. A domain on this machine's loopback ("localhost:8080"), where that is allowed, may publish by
// plain HTTP and name a plain WebSocket.
//
// The domain chooses the URL. So whatever connects to it must check its address by the same rule.
func NodeAddress(ctx context.Context, domain string, within *networks.Allowed) (string, error) {
	at, err := descriptors{within}.nodeAddress(ctx, domain)
	switch {
	case errors.Is(err, networks.ErrRefused):
		return "", fmt.Errorf("read where the domain says it is: %w; if it is to be there, add its network to catalogue.networks, or its address to nodes", err)
	case err != nil:
		return "", fmt.Errorf("read where the domain says it is: %w; it can also be given in the configuration (node for the own domain, nodes for others)", err)
	}
	return at, nil
}

// descriptors reads the descriptors that domains publish.
type descriptors struct{ within *networks.Allowed }

// local tells whether host is this machine and may be connected to without TLS.
func (d descriptors) local(host string) bool {
	return loopback(host) && (d.within == nil || d.within.Loopback())
}

func (d descriptors) nodeAddress(ctx context.Context, domain string) (string, error) {
	base := &url.URL{Scheme: "https", Host: domain, Path: "/.well-known/protocolstub/default"}
	if u, err := url.Parse(base.String()); err != nil || u.Host != domain || u.Hostname() == "" || u.User != nil || strings.ContainsAny(domain, "/?#@") || len(domain) > maxDomainName {
		return "", errors.New("it is not a host name")
	}
	if !d.local(base.Hostname()) {
		return d.fetch(ctx, base)
	}
	plain := *base
	plain.Scheme = "http"
	at, err := d.fetch(ctx, &plain)
	if err != nil {
		secure, tlsErr := d.fetch(ctx, base)
		if tlsErr == nil {
			return secure, nil
		}
		err = fmt.Errorf("%w; and over TLS: %w", err, tlsErr)
	}
	return at, err
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// client makes one connection, to an address that is allowed.
func (d descriptors) client(from *url.URL) *http.Client {
	dialer := &net.Dialer{Timeout: nodeTimeout}
	t := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
		TLSHandshakeTimeout: nodeTimeout, ResponseHeaderTimeout: nodeTimeout, MaxResponseHeaderBytes: maxHeaders,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if d.within == nil {
		t.Proxy = http.ProxyFromEnvironment
	} else {
		dialer.Control = d.within.Control // without a proxy, which could connect to any address
	}
	return &http.Client{Transport: t, Timeout: nodeTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != from.Scheme || r.URL.Host != from.Host || len(via) > maxRedirects {
				return fmt.Errorf("it redirects to %.100q; only %s is asked", r.URL, from.Host)
			}
			return nil
		}}
}

func (d descriptors) fetch(ctx context.Context, from *url.URL) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return "", err
	}
	answer, err := d.client(from).Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %.60q", from, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDescriptor+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", from, err)
	}
	at, err := d.parseNode(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	return at, nil
}

// parseNode reads the stub descriptor that a domain publishes.
func (d descriptors) parseNode(text []byte) (string, error) {
	if len(text) > maxDescriptor {
		return "", fmt.Errorf("larger than %d bytes", maxDescriptor)
	}
	var found struct {
		Type          string `json:"type"`
		Configuration struct {
			URL string `json:"url"`
		} `json:"configuration"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return "", fmt.Errorf("not a stub descriptor: %w", err)
	}
	if found.Type != "node" {
		return "", fmt.Errorf("a stub descriptor of type %.40q, want node", found.Type)
	}
	u, err := url.Parse(found.Configuration.URL)
	if err != nil || u.Hostname() == "" || len(found.Configuration.URL) > 2048 || u.User != nil {
		return "", fmt.Errorf("the node's address %.100q is not a WebSocket URL", found.Configuration.URL)
	}
	if u.Scheme != "wss" && !(u.Scheme == "ws" && d.local(u.Hostname())) {
		return "", fmt.Errorf("the node's address %.100q is not a wss:// URL", found.Configuration.URL)
	}
	return found.Configuration.URL, nil
}
