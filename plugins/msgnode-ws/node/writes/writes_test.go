package writes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

const alice message.URL = "hyperty-runtime://example.com/alice"

// fault is NATS with a fault, "": with none.
type fault string

func (f fault) Fault() string { return string(f) }

// payer is a connection that pays; it notes the prices, and the end of its turn as -1.
type payer struct {
	paid   []int
	refuse *refusal.Refusal
}

func (p *payer) Charge(cost int) *refusal.Refusal {
	p.paid = append(p.paid, cost)
	return p.refuse
}
func (p *payer) Finish() { p.paid = append(p.paid, -1) }

// begin makes Writes that allow each runtime 2 writes a second, and 20 at once.
func begin() *Writes {
	l := limits.Defaults()
	l.Writes = 2
	return &Writes{Limit: l.Writes, Rates: rates.New(l), NATS: fault(""), Log: hclog.NewNullLogger()}
}

// A write first costs its rows except the first one, and then its connection's turn to compute.
func TestWritesArePaid(t *testing.T) {
	w := begin()
	for _, c := range []struct {
		rows int
		want []int
	}{{0, []int{-1}}, {1, []int{-1}}, {2, []int{w.Rates.RowsPrice(2), -1}}, {9, []int{w.Rates.RowsPrice(9), -1}}} {
		var p payer
		if no := w.May(&p, alice, c.rows); no != nil || !slices.Equal(p.paid, c.want) {
			t.Errorf("%d rows: %v, paid %v, want %v", c.rows, no, p.paid, c.want)
		}
	}
	poor := payer{refuse: refusal.New(message.CodeTooMany, "poor")}
	if no := w.May(&poor, alice, 2); no != poor.refuse || len(poor.paid) != 1 {
		t.Errorf("who cannot pay: %v, %v", no, poor.paid)
	}
}

// A runtime that writes too often is refused with the time to try again; another one is not held up, and the bucket refills
// with time.
func TestWritesOfARuntimeAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin()
		for i := range 20 {
			if no := w.May(&payer{}, alice, 1); no != nil {
				t.Fatalf("write %d: %s", i, no.Text)
			}
		}
		var p payer
		no := w.May(&p, alice, 1)
		if no == nil || no.Code != message.CodeTooMany || no.Again != 1 || !strings.Contains(no.Text, "at most 2 a second") || p.paid != nil {
			t.Errorf("one too many: %+v, paid %v", no, p.paid)
		}
		if no := w.May(&p, alice+"-other", 1); no != nil {
			t.Errorf("another runtime: %s", no.Text)
		}
		time.Sleep(500 * time.Millisecond)
		if no := w.May(&p, alice, 1); no != nil {
			t.Errorf("half a second later: %s", no.Text)
		}
		if w.May(&p, alice, 1) == nil {
			t.Error("two writes half a second later")
		}
	})
}

// If nothing can be written the answer says so, before anything is paid or counted.
func TestNothingCanBeWritten(t *testing.T) {
	full := begin()
	full.Folder, full.MinFree = t.TempDir(), 1<<62
	broken := begin()
	broken.NATS = fault("JetStream is off")
	for name, c := range map[string]struct {
		w    *Writes
		want string
		full bool
	}{"a full disk": {full, "full", true}, "a fault of NATS": {broken, "JetStream is off", false}} {
		var p payer
		for range 100 { // more than a runtime may write
			if no := c.w.May(&p, alice, 5); no == nil || no.Code != message.CodeError || !strings.Contains(no.Text, c.want) || p.paid != nil {
				t.Fatalf("%s: %+v, paid %v", name, no, p.paid)
			}
		}
		if c.w.DiskFull() != c.full {
			t.Errorf("%s: the disk is full: %v", name, !c.full)
		}
	}
	full.MinFree = 0
	if no := full.May(&payer{}, alice, 1); full.DiskFull() || no != nil {
		t.Errorf("a disk of which nothing has to stay free: %v", no)
	}
	away := Writes{Folder: "/no/such/folder", MinFree: 1 << 62}
	if remote := (&Writes{MinFree: 1 << 62}); away.DiskFull() || remote.DiskFull() {
		t.Error("a disk of which nothing is known is full")
	}
}

// The answer to a failed write has the code of its cause: full, refused, out of reach, or a fault of NATS.
func TestFailed(t *testing.T) {
	w := begin()
	if w.Failed(nil) != nil {
		t.Error("no error is refused")
	}
	unknown := errors.New("odd")
	for name, c := range map[string]struct {
		nats fault
		err  error
		code int
		text string
	}{
		"no room":              {"", fmt.Errorf("x: %w", &state.Full{Code: message.CodeTooMany, Text: "free some"}), message.CodeTooMany, "free some"},
		"no room and a fault":  {"off", &state.Full{Code: message.CodeTooMany, Text: "free some"}, message.CodeTooMany, "free some"},
		"an error of no table": {"", unknown, message.CodeError, "odd"},
		"of a table":           {"", fmt.Errorf("x: %w", &table.Error{}), (&table.Error{}).Code(), "cannot be written"},
		"a fault of NATS":      {"off", unknown, message.CodeError, "the node's state cannot be written: off"},
	} {
		w.NATS = c.nats
		if no := w.Failed(c.err); no == nil || no.Code != c.code || !strings.Contains(no.Text, c.text) {
			t.Errorf("%s: %+v", name, no)
		}
	}
}
