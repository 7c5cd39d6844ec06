package stub

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Config is the stub's configuration, the "config" of an operator's or a descriptor's Message Node.
type Config struct {
	URL string `json:"url"`          // of the node: wss://host:port/protofly, or ws:// on loopback
	CA  string `json:"ca,omitempty"` // a PEM file with the certificates to trust instead of the system's
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
			return c, fmt.Errorf("message node stub: configuration: %w; want url and, if needed, ca", err)
		}
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return c, fmt.Errorf("message node stub: configuration: url %q: want wss://host:port/protofly", c.URL)
	}
	return c, nil
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
