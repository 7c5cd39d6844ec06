package stub

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
)

// Config is the stub's configuration. It comes from the operator, or from the descriptor of a domain's Message Node.
type Config struct {
	URL string `json:"url"`          // of the node: wss://host:port/protofly, or ws:// on loopback
	CA  string `json:"ca,omitempty"` // a PEM file with the certificates to trust instead of the system's
	// Token is what the node's operator gave out, for a node that admits only invited runtimes; several, for nodes of
	// several domains, are separated by spaces. TokenFile is a file to read them from instead, at every connection. Each is
	// shown to the node of its domain and to no other.
	Token     string `json:"token,omitempty"`
	TokenFile string `json:"token_file,omitempty"`
	// Networks are the networks where the node may be, if its URL comes from the descriptor of a domain that the operator has
	// not named. nil: the operator has named the node, and it may be anywhere.
	Networks *networks.Allowed `json:"networks,omitempty"`
}

// Described describes to operators the options beside the node's URL, which they write under node and nodes.
func Described() []sdk.Option {
	return []sdk.Option{
		{Name: "ca", Type: sdk.OptionPath, Default: "", About: "A PEM file with the certificates to trust instead of the system's."},
		{Name: "token", Type: sdk.OptionText, Default: "", Secret: true, About: "What protofly-node admit printed, where a node admits only who was invited; several, for nodes of several domains, are separated by spaces. " +
			"Each is shown to the node of its domain and to no other."},
		{Name: "token_file", Type: sdk.OptionPath, Default: "", About: "A file to read tokens from instead, at every connection."},
	}
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
		return c, fmt.Errorf("message node stub: configuration: url %q: want wss://host:port/protofly", shown(c.URL))
	}
	if c.Token != "" && c.TokenFile != "" {
		return c, errors.New("message node stub: configuration: token and token_file: want one of them")
	}
	for _, t := range strings.Fields(c.Token) {
		if _, ok := wire.TokenDomain(t); !ok {
			return c, errors.New("message node stub: configuration: token: that is none; want what protofly-node admit prints")
		}
	}
	if c.Networks != nil && u.Scheme == "ws" && !c.Networks.Loopback() {
		return c, fmt.Errorf("message node stub: configuration: url %q: a node that the operator has not named is reached over TLS: want wss://", shown(c.URL))
	}
	return c, nil
}

// address returns the node's URL without the user and password that may be in it, so that no error, log or status shows them,
// and a header with them. It is for a configuration that [ParseConfig] has checked.
func (c Config) address() (string, http.Header) {
	u, err := url.Parse(c.URL)
	if err != nil || u.User == nil {
		return c.URL, nil
	}
	r := http.Request{Header: http.Header{}}
	password, _ := u.User.Password()
	r.SetBasicAuth(u.User.Username(), password)
	u.User = nil
	return u.String(), r.Header
}

// shown returns a text that may be a URL, without what may be a user and a password.
func shown(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "(hidden)" + text[at:]
	}
	return text
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
	dialer := &net.Dialer{Timeout: connectTime}
	t := &http.Transport{DialContext: dialer.DialContext, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: connectTime, ResponseHeaderTimeout: connectTime,
		MaxResponseHeaderBytes: 16 << 10, IdleConnTimeout: time.Second}
	if c.Networks != nil {
		dialer.Control, t.Proxy = c.Networks.Control, nil // a proxy could connect to other addresses
	}
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
	return &http.Client{Transport: t, CheckRedirect: sameHost}, nil
}

// connectTime is how long it may take to connect and to prove the identity.
const connectTime = 5 * time.Second

// maxRedirects is how often a node may send the stub to another path.
const maxRedirects = 3

// sameHost allows redirections to another path, and to no other host: the host is part of the node's name.
func sameHost(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != via[0].URL.Scheme || r.URL.Host != via[0].URL.Host || len(via) > maxRedirects {
		return fmt.Errorf("it redirects to %.100q; only %s is connected to", r.URL, via[0].URL.Host)
	}
	return nil
}
