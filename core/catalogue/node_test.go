package catalogue

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/networks"
)

func allowed(t testing.TB, names ...string) *networks.Allowed {
	t.Helper()
	a, err := networks.Parse(names)
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func TestNodeAddress(t *testing.T) {
	here := allowed(t, "loopback")
	var body string
	code := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/protocolstub/default" {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	defer s.Close()
	domain := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct{ body, want string }{
		{`{"name":"default","type":"node","configuration":{"url":"wss://node.example.com/protofly"}}`, "wss://node.example.com/protofly"},
		{`{"name":"default","type":"node","configuration":{"url":"ws://127.0.0.1:1/protofly"}}`, "ws://127.0.0.1:1/protofly"},
		{`{"name":"default","type":"node","configuration":{"url":"ws://node.example.com/protofly"}}`, ""},
		{`{"name":"default","type":"node","configuration":{"url":"file:///etc/passwd"}}`, ""},
		{`{"name":"default","type":"p2p","configuration":{"url":"wss://node.example.com"}}`, ""},
		{`no`, ""},
		{`{"name":"` + strings.Repeat("x", maxDescriptor) + `"}`, ""},
	} {
		body = c.body
		got, err := NodeAddress(t.Context(), domain, here)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%.80s: %q, %v", c.body, got, err)
		}
	}
	code = http.StatusNotFound
	if _, err := NodeAddress(t.Context(), domain, here); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not found: %v", err)
	}
	for _, bad := range []string{"", "a/b", "user@host", "a?b", "a#b", "a b"} {
		if _, err := NodeAddress(t.Context(), bad, here); err == nil || !strings.Contains(err.Error(), "not a host name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

const goodNode = `{"name":"default","type":"node","configuration":{"url":"wss://node.example.com/protofly"}}`

// victim is a server on this machine; asked counts the connections to it.
func victim(t *testing.T, secure bool) (domain string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, goodNode) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			asked.Add(1)
		}
	}
	s.Config.ErrorLog = quiet
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), asked
}

// A domain that a stranger made up cannot make the runtime connect to this machine or its networks, in whatever form it names
// them, by name too.
func TestNodeAddressConnectsNowhereElse(t *testing.T) {
	for _, secure := range []bool{false, true} {
		domain, asked := victim(t, secure)
		_, port, _ := net.SplitHostPort(domain)
		for _, within := range []*networks.Allowed{allowed(t), allowed(t, "public"), allowed(t, "public", "private", "169.254.0.0/16")} {
			for _, host := range []string{domain, "localhost:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port, "[::]:" + port, "[::ffff:0:0]:" + port} {
				_, err := NodeAddress(t.Context(), host, within)
				if err == nil || !strings.Contains(err.Error(), "catalogue.networks") && !strings.Contains(err.Error(), "is not a host name") {
					t.Errorf("%s, allowed %s: %v", host, within, err)
				}
			}
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("%d connections to what is not allowed", n)
		}
		if _, err := NodeAddress(t.Context(), domain, allowed(t, "loopback")); !secure && err != nil || asked.Load() == 0 {
			t.Errorf("allowed: %v, %d connections", err, asked.Load())
		}
	}
}

// A domain cannot redirect the runtime to another host.
func TestNodeAddressFollowsNobodyElsewhere(t *testing.T) {
	other, asked := victim(t, false)
	to := "http://" + other + "/"
	var loops atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/loop" {
			loops.Add(1)
		}
		if r.URL.Path == "/there" {
			fmt.Fprint(w, goodNode)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer s.Close()
	domain := strings.TrimPrefix(s.URL, "http://")
	for _, elsewhere := range []string{to, "https://" + other + "/", "http://localhost:1/", "file:///etc/passwd", "gopher://x/", "//" + other + "/", s.URL + "/loop"} {
		to = elsewhere
		if at, err := NodeAddress(t.Context(), domain, allowed(t, "loopback")); err == nil {
			t.Errorf("redirected to %s: %s", elsewhere, at)
		}
	}
	if asked.Load() != 0 {
		t.Error("the other host was asked")
	}
	if n := loops.Load(); n != maxRedirects {
		t.Errorf("%d redirections were followed, want %d", n, maxRedirects)
	}
	to = "/there"
	if _, err := NodeAddress(t.Context(), domain, allowed(t, "loopback")); err != nil {
		t.Errorf("at the same host: %v", err)
	}
}

// Nothing is read without TLS but from this machine's loopback, whatever the rule allows.
func TestNodeAddressNeedsTLS(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, goodNode)
	}))
	defer s.Close()
	s.Config.ErrorLog = quiet
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	// Linux connects to this machine's loopback by it, but it is not an address of the loopback.
	at, err := NodeAddress(t.Context(), "0.0.0.0:"+port, allowed(t, "loopback", "0.0.0.0/8"))
	if err == nil || asked.Load() != 0 {
		t.Errorf("%q, %v, asked %d times", at, err, asked.Load())
	}
}

// The cost of a domain's answer is bounded.
func TestNodeAddressIsBounded(t *testing.T) {
	answer := func(http.ResponseWriter) {}
	var sent atomic.Int64
	ended := make(chan struct{}) // the answer of many bytes
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	defer s.Close()
	s.Config.ErrorLog = quiet
	domain := strings.TrimPrefix(s.URL, "http://")
	for name, a := range map[string]func(http.ResponseWriter){
		"headers": func(w http.ResponseWriter) { w.Header().Set("X", strings.Repeat("x", 1<<20)); fmt.Fprint(w, goodNode) },
		"body": func(w http.ResponseWriter) {
			defer close(ended)
			for range 1 << 10 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
				sent.Add(1 << 16)
			}
		},
	} {
		answer = a
		if _, err := NodeAddress(t.Context(), domain, allowed(t, "loopback")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if <-ended; sent.Load() > 16<<20 { // what is in the system's buffers does not count
		t.Errorf("%d bytes of an answer were read", sent.Load())
	}
	c := (descriptors{allowed(t, "public")}).client(&url.URL{Scheme: "https", Host: "example.com"})
	if transport := c.Transport.(*http.Transport); transport.Proxy != nil || c.Timeout == 0 || c.Timeout > 10*time.Second || transport.MaxResponseHeaderBytes == 0 {
		t.Errorf("%+v", transport)
	}
}

// The address that a domain names is checked by the same rule.
func TestNodeAddressNamed(t *testing.T) {
	for at, within := range map[string]*networks.Allowed{
		"ws://127.0.0.1:4433/protofly": allowed(t, "public"), "ws://localhost/": allowed(t, "public", "private"),
		"ws://node.example.com/": allowed(t, "loopback"), "wss:///x": allowed(t, "public"), "wss://u:p@node.example.com/": nil,
	} {
		text := fmt.Sprintf(`{"type":"node","configuration":{"url":%q}}`, at)
		if got, err := (descriptors{within}).parseNode([]byte(text)); err == nil {
			t.Errorf("%s, allowed %s: %s", at, within, got)
		}
	}
	if _, err := NodeAddress(t.Context(), "169.254.169.254", allowed(t, "public")); !errors.Is(err, networks.ErrRefused) {
		t.Error(err)
	}
}

// quiet is the log of servers whose clients break off.
var quiet = log.New(io.Discard, "", 0)
