package stub

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// Config is the stub's configuration, the "config" of an operator's or a descriptor's Message Node.
type Config struct {
	URL string `json:"url"`          // of the node: wss://host:port/protofly, or ws:// on loopback
	CA  string `json:"ca,omitempty"` // a PEM file with the certificates to trust instead of the system's
	// Token is what the node's operator gave out, where the node admits only who was invited; several, for nodes of
	// several domains, are separated by spaces. TokenFile is a file to read them from instead, at every connection. Each is
	// shown to the node of its domain and to no other.
	Token     string `json:"token,omitempty"`
	TokenFile string `json:"token_file,omitempty"`
}

// ParseConfig reads and checks a configuration. Unknown members are errors.
func ParseConfig(text json.RawMessage) (Config, error) {
	var c Config
	if len(text) > 64<<10 {
		return c, fmt.Errorf("message node stub: a configuration of %d bytes", len(text))
	}
	if len(text) > 0 {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			return c, fmt.Errorf("message node stub: configuration: %w; want url and, if needed, ca, token or token_file", err)
		}
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return c, fmt.Errorf("message node stub: configuration: url %q: want wss://host:port/protofly", c.URL)
	}
	if c.Token != "" && c.TokenFile != "" {
		return c, errors.New("message node stub: configuration: token and token_file: want one of them")
	}
	for _, t := range strings.Fields(c.Token) {
		if _, ok := wire.TokenDomain(t); !ok {
			return c, errors.New("message node stub: configuration: token: that is none; want what protofly-node admit prints")
		}
	}
	return c, nil
}

// maxTokens is the largest file of tokens, in bytes.
const maxTokens = 64 << 10

// tokenFor is the token for the node of a domain, "" where there is none.
func (c Config) tokenFor(domain string) (string, error) {
	text := c.Token
	if c.TokenFile != "" {
		f, err := os.Open(c.TokenFile)
		if err != nil {
			return "", fmt.Errorf("token_file: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxTokens))
		if err != nil {
			return "", fmt.Errorf("token_file: %w", err)
		}
		text = string(b)
	}
	for _, t := range strings.Fields(text) {
		if of, ok := wire.TokenDomain(t); ok && strings.EqualFold(of, domain) {
			return t, nil
		}
	}
	return "", nil
}

// client is the HTTP client that the WebSocket is dialled with.
func (c Config) client() (*http.Client, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: connectTime, ResponseHeaderTimeout: connectTime,
		MaxResponseHeaderBytes: 16 << 10, IdleConnTimeout: time.Second}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("message node stub: ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("message node stub: ca: %s has no certificate in PEM form", c.CA)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t}, nil
}
