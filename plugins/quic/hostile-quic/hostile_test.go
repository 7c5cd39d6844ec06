package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/sdk/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, percent int) *cheat.Cheat {
	t.Helper()
	dir := t.TempDir()
	c, err := cheat.New(cheat.Options{Seed: 1, Percent: percent, Always: true, Record: filepath.Join(dir, "a"), Report: filepath.Join(dir, "b")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Only keys, signatures, hashes and tokens in a text are substituted; the text stays JSON.
func TestSubstitute(t *testing.T) {
	c := start(t, 100)
	hash, signature := strings.Repeat("ab", 32), strings.Repeat("Zz9", 20)
	text := json.RawMessage(`{"transport":"quic","certificate":"` + hash + `","signature":"` + signature + `"}`)
	escaped := json.RawMessage(`{"value":"{\"certificate\":\"` + hash + `\"}"}`)
	plain := json.RawMessage(`{"code":200,"value":["hyperty://example.com/bob"]}`)
	altered := 0
	for range 2000 {
		for _, whole := range []json.RawMessage{text, escaped} {
			before := string(whole)
			got := substitute(c, whole)
			if string(whole) != before || !json.Valid(got) || len(got) != len(whole) {
				t.Fatalf("%s of %s", got, before)
			}
			if !bytes.Equal(got, whole) {
				altered++
			}
		}
		if got := substitute(c, plain); !bytes.Equal(got, plain) {
			t.Fatalf("%s", got)
		}
	}
	if altered == 0 || altered > 1000 || c.First("certificate") || c.First("signal") {
		t.Errorf("%d of 4000 were altered", altered)
	}
}

func TestParseOptions(t *testing.T) {
	o, rest, err := parseOptions(json.RawMessage(`{"hostile":{"seed":3,"percent":4,"record":"a","report":"b"},"listen":":0"}`))
	if err != nil || o.Seed != 3 || o.Percent != 4 || string(rest) != `{"listen":":0"}` {
		t.Errorf("%+v, %s, %v", o, rest, err)
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"hostile":3}`} {
		if _, _, err := parseOptions(json.RawMessage(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// pipe is a channel that returns the frames that are sent.
type pipe struct {
	p2p.Channel
	frames [][]byte
}

func (p *pipe) Send(_ context.Context, frames ...[]byte) error {
	for _, f := range frames {
		p.frames = append(p.frames, bytes.Clone(f))
	}
	return nil
}

func (p *pipe) Recv(context.Context) ([]byte, error) {
	if len(p.frames) == 0 {
		return nil, io.EOF
	}
	f := p.frames[0]
	p.frames = p.frames[1:]
	return f, nil
}

// An honest channel carries frames unchanged, a cheating one does not.
func TestChannel(t *testing.T) {
	for _, percent := range []int{0, 100} {
		c := start(t, percent)
		p := &pipe{}
		ch := &channel{Channel: p, c: c, out: c.Way(), in: c.Way()}
		honest := 0
		for i := range 500 {
			f := append([]byte{2, 2}, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 100)...)
			if err := ch.Send(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if len(p.frames) == 0 {
				continue
			}
			if got, err := ch.Recv(t.Context()); err == nil && bytes.Equal(got, f) {
				honest++
			}
		}
		if percent == 0 && honest != 500 || percent == 100 && honest > 250 {
			t.Errorf("%d %%: %d of 500 frames came as they were", percent, honest)
		}
	}
}
