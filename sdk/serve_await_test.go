package sdk

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A plug-in whose link no host opens ends after a while, with an error; one whose link was opened does not.
func TestEndsWithoutLink(t *testing.T) {
	for _, opens := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			links := newLinkServer(Descriptor{Name: "idler", Version: "1.0", Kind: KindP2P}, nil, hclog.NewNullLogger())
			signals := make(chan os.Signal, 1)
			began := time.Now()
			if opens {
				close(links.opened)
				go func() {
					time.Sleep(3 * linkTimeout)
					signals <- os.Interrupt
				}()
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of the bubble's time: it must have ended long before
			defer cancel()
			reason, ok := awaitEnd(ctx, links, signals, os.Getppid())
			took := time.Since(began)
			if opens && (took != 3*linkTimeout || !ok) || !opens && (took != linkTimeout || ok || !strings.Contains(reason, "no host opened the link")) {
				t.Errorf("opened %v: %q, %v after %v", opens, reason, ok, took)
			}
		})
	}
}
