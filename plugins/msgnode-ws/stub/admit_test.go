package stub

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// A node that admits only invited runtimes: without a token the refusal says what to do, and the stub does not try again and
// again; with a token that the operator makes while the node runs, the runtime is admitted.
func TestInvited(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	config := filepath.Join(data, "node.yaml")
	if err := os.WriteFile(config, []byte("admit: {members: invited}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, data, "127.0.0.1:0", "--config", config)
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q}`, n.url))
	alice.want("created", "in-progress", "failed: handshake with "+n.url+": the node refused (403): not admitted (admit.members: invited)")
	if code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{}`); code != 504 || !strings.Contains(text, "stubs.msgnode-ws.token") {
		t.Errorf("%d %s", code, text)
	}
	select {
	case s := <-alice.status: // traffic does not make it try again
		t.Errorf("status %q", s)
	default:
	}
	out, err := exec.Command(nodeBinary, "admit", "--domain", domain, "--data", data, "--runtime", string(alice.runtime)).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	alice.stop()
	alice = begin(t, 1, fmt.Sprintf(`{"url":%q,"token":%q}`, n.url, strings.TrimSpace(string(out))))
	alice.want("created", "in-progress", "live")
	alice.stop()
	alice = begin(t, 1, fmt.Sprintf(`{"url":%q,"token_file":%q}`, n.url, file))
	alice.want("created", "in-progress", "live")
	bob := begin(t, 2, fmt.Sprintf(`{"url":%q,"token_file":%q}`, n.url, file)) // stolen
	bob.want("created", "in-progress", "failed: handshake with "+n.url+": the node refused (403): not admitted (admit.members: invited): the token is for "+string(alice.runtime))
}

// A node comes back and does not admit the runtime any more: the status says so, and not how the connection was lost.
func TestRefusedAfterwards(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	config := filepath.Join(data, "node.yaml")
	if err := os.WriteFile(config, []byte("admit: {members: invited}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, data, "127.0.0.1:0")
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q}`, n.url))
	alice.want("created", "in-progress", "live")
	n.kill()
	alice.want("disconnected: connection lost")
	startNode(t, data, n.addr, "--config", config)
	alice.want("disconnected: handshake with " + n.url + ": the node refused (403)")
}

// If the file of tokens does not exist, the stub does not dial the node.
func TestNoTokenFile(t *testing.T) {
	var asked atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer s.Close()
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q,"token_file":"/nowhere"}`, "ws"+strings.TrimPrefix(s.URL, "http")))
	alice.want("created", "in-progress", "failed: token_file: open /nowhere")
	alice.stop()
	if asked.Load() {
		t.Error("the node was dialled")
	}
}

// If a node says when to come again, the stub does not try before.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "too many", http.StatusTooManyRequests)
	}))
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http") + wire.Path
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q}`, url))
	alice.want("created", "in-progress", "failed: "+url+" answered 429 Too Many Requests: \"too many\"")
	if code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{}`); code != 504 { // after giveUp
		t.Errorf("%d %s", code, text)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestStayAway(t *testing.T) {
	for err, want := range map[error]time.Duration{
		&wire.Refused{Retry: 7}:                            7 * time.Second,
		&wire.Refused{Retry: 1 << 30}:                      longRefusal,
		&wire.Refused{Retry: -5}:                           0,
		fmt.Errorf("x: %w", &wire.Refused{}):               0,
		fmt.Errorf("x: %w", &wire.Refused{Retry: 2}):       2 * time.Second,
		&laterError{error: http.ErrAbortHandler, after: 4}: 4,
	} {
		if got := stayAway(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// A token is shown to the node of its domain and to no other.
func TestTokenFor(t *testing.T) {
	const a = "e30.eyJhdWQiOlsiYS5leGFtcGxlIl19.eA" // aud a.example
	const b = "e30.eyJhdWQiOiJiLmV4YW1wbGUifQ.eA"   // aud b.example
	c := Config{Token: a + " " + b}
	for domain, want := range map[string]string{"a.example": a, "B.example": b, "c.example": ""} {
		if got, err := c.tokenFor(domain); got != want || err != nil {
			t.Errorf("%s: %q %v", domain, got, err)
		}
	}
	if _, err := (Config{TokenFile: "/nowhere"}).tokenFor("a.example"); err == nil {
		t.Error("a file that is not there is no error")
	}
	for _, text := range []string{`{"url":"ws://x","token":"nonsense"}`, `{"url":"ws://x","token":"` + a + `","token_file":"x"}`} {
		if _, err := ParseConfig([]byte(text)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
