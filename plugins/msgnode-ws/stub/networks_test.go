package stub

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listening is a service of this machine that counts the connections to it.
func listening(t *testing.T, serve http.HandlerFunc) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	s := httptest.NewUnstartedServer(serve)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			asked.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), asked
}

// failed returns the stub's report of its first try.
func (c *core) failed() string {
	c.t.Helper()
	late := time.After(patience)
	for {
		select {
		case s := <-c.status:
			if why, ok := strings.CutPrefix(s, "failed: "); ok {
				return why
			}
		case err := <-c.run:
			return fmt.Sprint(err)
		case <-late:
			c.t.Fatal("the stub says nothing")
		}
	}
}

// The stub connects to a node that only its domain has named at the addresses that the operator allows, and nowhere else,
// whatever the node's name.
func TestNodeOfAStranger(t *testing.T) {
	address, asked := listening(t, http.NotFound)
	_, port, _ := net.SplitHostPort(address)
	for _, url := range []string{"wss://" + address, "wss://localhost:" + port, "wss://[::ffff:127.0.0.1]:" + port, "wss://0.0.0.0:" + port, "wss://169.254.169.254/", "wss://10.0.0.1/"} {
		c := begin(t, 1, fmt.Sprintf(`{"url":%q,"networks":["public"]}`, url))
		if why := c.failed(); !strings.Contains(why, "in none of the networks") {
			t.Errorf("%s: %s", url, why)
		}
		c.stop()
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d connections to what is not allowed", n)
	}
	if _, err := ParseConfig([]byte(`{"url":"ws://node.example.com/","networks":["public"]}`)); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Error(err)
	}
	c := begin(t, 1, fmt.Sprintf(`{"url":"ws://%s/","networks":["loopback"]}`, address))
	if why := c.failed(); !strings.Contains(why, "404") || asked.Load() == 0 {
		t.Errorf("allowed: %s", why)
	}
}

// The stub follows no node's redirection to another host.
func TestNodeRedirects(t *testing.T) {
	other, asked := listening(t, http.NotFound)
	to := "http://" + other + "/"
	address, _ := listening(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	for _, config := range []string{`{"url":"ws://%s/"}`, `{"url":"ws://%s/","networks":["loopback"]}`} {
		c := begin(t, 1, fmt.Sprintf(config, address))
		if why := c.failed(); !strings.Contains(why, "redirects") {
			t.Errorf("%s: %s", config, why)
		}
		c.stop()
	}
	if asked.Load() != 0 {
		t.Error("the other host was asked")
	}
}
