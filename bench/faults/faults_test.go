package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// came enters a message with this body into the ledger.
func came(l *ledger, body json.RawMessage) {
	l.take(context.Background(), hyperty.Received{Message: message.Message{Type: message.Update, Body: body}})
}

func body(sender string, incarnation, number uint64) json.RawMessage {
	e := entry{Sender: sender, Incarnation: incarnation, Number: number, Padding: "pp"}
	return e.seal()
}

// The ledger notices everything that can be wrong with messages, and counts it by its kind.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *ledger)
		want result
	}{
		{"all well", func(l *ledger) {
			for n := range uint64(4) {
				came(l, body("a", 1, n+1))
			}
		}, result{Delivered: 4}},
		{"lost", func(l *ledger) { came(l, body("a", 1, 1)); came(l, body("a", 1, 4)) }, result{Delivered: 2, Lost: 2}},
		{"twice", func(l *ledger) {
			for _, n := range []uint64{1, 2, 2, 3, 4} {
				came(l, body("a", 1, n))
			}
		}, result{Delivered: 4, Duplicated: 1}},
		{"out of order", func(l *ledger) {
			for _, n := range []uint64{1, 3, 2, 4} {
				came(l, body("a", 1, n))
			}
		}, result{Delivered: 4, OutOfOrder: 1}},
		{"of an earlier incarnation", func(l *ledger) {
			came(l, body("a", 1, 1))
			came(l, body("a", 2, 2))
			came(l, body("a", 1, 3))
			came(l, body("a", 2, 4))
		}, result{Delivered: 4, OutOfOrder: 1}},
		{"altered", func(l *ledger) {
			came(l, bytes.Replace(body("a", 1, 1), []byte("pp"), []byte("pq"), 1))
			came(l, bytes.Replace(body("a", 1, 2), []byte(`"number":2`), []byte(`"number":3`), 1))
			came(l, body("b", 1, 3))
			came(l, body("a", 1, 5)) // never sent
			came(l, json.RawMessage(`[`))
		}, result{Corrupt: 5, Lost: 4}},
		{"in doubt", func(l *ledger) {
			came(l, body("a", 1, 1))
			came(l, body("a", 1, 2))
			for _, n := range []uint64{2, 3, 4, 4} {
				m := message.Message{ID: message.NumberID(n), Type: message.Update, From: "hyperty://x/a", To: "hyperty://x/b"}
				l.reported(context.Background(), m.Refuse(message.CodeUnavailable, "in doubt"))
			}
		}, result{Delivered: 2, InDoubt: 3}},
		{"refused", func(l *ledger) {
			m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://x/a", To: "hyperty://x/b"}
			l.reported(context.Background(), m.Refuse(message.CodeNotFound, "nobody"))
		}, result{Lost: 4}},
		{"refused as it may be", func(l *ledger) {
			l.mayRefuse = true
			came(l, body("a", 1, 2))
			for _, n := range []uint64{1, 1, 3} {
				m := message.Message{ID: message.NumberID(n), Type: message.Update, From: "hyperty://x/a", To: "hyperty://x/b"}
				l.reported(context.Background(), m.Refuse(message.CodeNotFound, "nobody"))
			}
		}, result{Delivered: 1, Refused: 2, Lost: 1}},
	} {
		f := &flow{ledger: &ledger{sender: "a", sent: 4}}
		c.do(f.ledger)
		var got result
		f.enter(&got)
		c.want.Sent, got.wrong = 4, nil
		if got.Sent != c.want.Sent || got.Delivered != c.want.Delivered || got.Lost != c.want.Lost || got.Duplicated != c.want.Duplicated ||
			got.OutOfOrder != c.want.OutOfOrder || got.Corrupt != c.want.Corrupt || got.InDoubt != c.want.InDoubt || got.Refused != c.want.Refused {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// The pause is the longest time without a message, also if it still goes on.
func TestPause(t *testing.T) {
	l := &ledger{sender: "a", sent: 2}
	pause := l.watch()
	l.arrived = l.arrived.Add(-time.Second)
	came(l, body("a", 1, 1))
	if got := pause(); got < time.Second || got > 2*time.Second {
		t.Errorf("pause %v", got)
	}
	l.arrived = l.arrived.Add(-time.Minute)
	if got := pause(); got < time.Minute {
		t.Errorf("pause that goes on: %v", got)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	for q, want := range map[float64]time.Duration{0.5: 50, 0.95: 95, 0.99: 99, 1: 100} {
		if got := quantile(times, q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 || quantile(times[:1], 0.5) != 100 {
		t.Error("of none, of one")
	}
}

// A result holds only if all rounds were completed, something came, and nothing was wrong.
func TestVerdict(t *testing.T) {
	good := func() *result { return &result{Rounds: 2, Sent: 5, Delivered: 5} }
	if r := good(); true {
		if r.close(2); !r.OK || r.Why != "" {
			t.Errorf("%+v", r)
		}
	}
	for name, spoil := range map[string]func(*result){
		"lost":    func(r *result) { r.Lost = 1 },
		"twice":   func(r *result) { r.Duplicated = 1 },
		"order":   func(r *result) { r.OutOfOrder = 1 },
		"corrupt": func(r *result) { r.Corrupt = 1 },
		"rounds":  func(r *result) { r.Rounds = 1 },
		"nothing": func(r *result) { r.Delivered = 0 },
		"bound": func(r *result) {
			r.atMost("pause", []time.Duration{time.Second + time.Millisecond}, 1, time.Second)
		},
	} {
		r := good()
		spoil(r)
		if r.close(2); r.OK || r.Why == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestPlan(t *testing.T) {
	all, err := (&options{}).plan()
	if err != nil || len(all) < 10 {
		t.Fatalf("%d trials, %v", len(all), err)
	}
	some, err := (&options{name: "kill-node", transport: relay, rounds: 7, rate: 9}).plan()
	if err != nil || len(some) != 1 || some[0].rounds != 7 || some[0].rate != 9 || some[0].transport != relay {
		t.Errorf("%+v, %v", some, err)
	}
	for _, o := range []options{{name: "none"}, {transport: "none"}, {name: "kill-plugin", transport: relay}, {rounds: -1}, {rate: -1}} {
		if _, err := o.plan(); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	var text strings.Builder
	list(&text)
	for _, trial := range all {
		if !strings.Contains(text.String(), trial.name+" ") {
			t.Errorf("%s is not listed", trial.name)
		}
	}
}

// A text is found wherever it is in a file, and only where it is.
func TestContains(t *testing.T) {
	const text = "body-marker"
	name := filepath.Join(t.TempDir(), "record")
	for at := range 3 * len(text) {
		file := make([]byte, 1<<20+2*len(text))
		where := 1<<20 - 2*len(text) + at
		copy(file[where:], text)
		for _, c := range []struct {
			file []byte
			want bool
		}{{file, true}, {file[:where+len(text)-1], false}, {file[where:], true}} {
			if err := os.WriteFile(name, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := contains(name, text); err != nil || got != c.want {
				t.Errorf("at %d of %d bytes: %v, %v", where, len(c.file), got, err)
			}
		}
	}
}

// A message that is stuck counts with the time that it has been under way.
func TestLatencies(t *testing.T) {
	l := &ledger{sender: "a", sent: 2}
	l.measure()
	l.posted[1], l.posted[2] = time.Now().Add(-time.Minute), time.Now().Add(-time.Hour)
	came(l, body("a", 1, 1))
	if got := l.latencies(); len(got) != 2 || quantile(got, 0.5) < time.Minute || quantile(got, 1) < time.Hour {
		t.Errorf("%v", got)
	}
	if got := l.latencies(); len(got) != 1 {
		t.Errorf("again: %v", got)
	}
}

// The JSON of a result has exactly these members, if a case has no others.
func TestJSON(t *testing.T) {
	r := newResult(trial{fault: faults()[0], transport: "quic"})
	r.close(0)
	text, err := json.Marshal(r)
	var members map[string]any
	if err != nil || json.Unmarshal(text, &members) != nil {
		t.Fatalf("%s, %v", text, err)
	}
	want := []string{"case", "corrupt", "delivered", "duplicated", "in_doubt", "lost", "ok", "out_of_order", "pause_ms", "recovered_ms", "rounds", "sent", "transport", "why"}
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
		t.Errorf("members %q", got)
	}
	r.figure("x", 1.00049)
	r.Cheats = map[string]uint64{"drop": 2}
	r.pauseP99(0)
	text, err = json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"cheats":{"drop":2},"figures":{"x":1}`) {
		t.Errorf("%s, %v", text, err)
	}
}

// A process is known by more than its number, and counts as ended whether or not its parent has waited for it.
func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	p := identify(cmd.Process.Pid)
	if !p.alive() {
		t.Error("it was just started")
	}
	if err := kill(p.pid); err != nil {
		t.Fatal(err)
	}
	if p.born != "" && !gone(t.Context(), p) { // its parent has not waited for it
		t.Error("killed, and alive")
	}
	_ = cmd.Wait()
	if !gone(t.Context(), p) {
		t.Error("ended, and alive")
	}
	me := identify(os.Getpid())
	other := me
	if other.born != "" {
		other.born += "0"
		if !me.alive() || other.alive() {
			t.Error("not told from another with its number")
		}
	}
}
