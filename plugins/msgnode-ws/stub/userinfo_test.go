package stub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// A user and a password in the node's URL are shown to the node, or a proxy before it, and to nobody else.
func TestUserinfoIsNotShown(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		select {
		case asked <- user + " " + password:
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	host := strings.TrimPrefix(proxy.URL, "http://")
	alice := begin(t, 1, fmt.Sprintf(`{"url":"ws://alice-user:very%%20secret@%s/protofly"}`, host))
	alice.want("created", "in-progress", "failed: ws://"+host+"/protofly answered 403")
	if got := <-asked; got != "alice-user very secret" {
		t.Errorf("the node was shown %q", got)
	}
	code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{}`)
	if code != 504 || !strings.Contains(text, "ws://"+host) || strings.Contains(text, "secret") || strings.Contains(text, "alice-user") {
		t.Errorf("%d %s", code, text)
	}
	for _, text := range []string{`{"url":"ws://alice-user:very secret@x\u007f/"}`, `{"url":"http://alice-user:secret@x/"}`,
		`{"url":"ws://alice-user:secret@x/","networks":{}}`} {
		if _, err := ParseConfig(json.RawMessage(text)); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "alice-user") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
