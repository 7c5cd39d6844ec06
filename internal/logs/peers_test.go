package logs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// However many runtimes there are lines about, and however often, a minute has a bounded number of them, and each kind and runtime
// one at most; what was left out is counted.
func TestLinesAboutPeers(t *testing.T) {
	var out bytes.Buffer
	l := hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &Peers{now: func() time.Time { return now }}
	lines := func() (list []string) {
		list = strings.Split(strings.TrimSpace(out.String()), "\n")
		out.Reset()
		return list
	}
	for range 5 {
		p.Log(l, hclog.Warn, "gone", "hyperty-runtime://a/1")
		p.Log(l, hclog.Info, "away", "hyperty-runtime://a/1")
	}
	if got := lines(); len(got) != 2 {
		t.Errorf("%q", got)
	}
	total := 0
	for range 600 { // ten minutes
		now = now.Add(time.Second)
		for n := range 10 {
			for _, text := range []string{"gone", "away", "given up"} {
				p.Log(l, hclog.Warn, text, message.URL(fmt.Sprint("hyperty-runtime://a/", n)), "why", "x")
			}
		}
		if strings.TrimSpace(out.String()) == "" {
			continue
		}
		total += len(lines())
	}
	if total > 10*PeerLines+PeerLines || total < 9*PeerLines {
		t.Errorf("%d lines in ten minutes", total)
	}
	now = now.Add(time.Hour)
	p.Log(l, hclog.Warn, "gone", "hyperty-runtime://a/1")
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "left out before") {
		t.Errorf("%q", got)
	}
	if len(p.last) > maxPeers {
		t.Errorf("%d are remembered", len(p.last))
	}
	(*Peers)(nil).Log(l, hclog.Warn, "gone", "hyperty-runtime://a/1")
	if got := lines(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
