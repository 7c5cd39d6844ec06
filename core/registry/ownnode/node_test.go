package ownnode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// functions are a Message Node's, as far as a test needs them.
type functions struct {
	mu    sync.Mutex
	asked []string
	next  int
	slow  time.Duration
	fails int // how many answers refuse, before one that does not
	code  int // their code
}

func (f *functions) request(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error) {
	m := message.Message{ID: message.NumberID(1), Type: typ, To: to, From: "hyperty-runtime://example.com/a/registry", Body: message.Encode(body)}
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf("%s %s", typ, to))
	f.mu.Unlock()
	select {
	case <-time.After(f.slow):
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return message.Message{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return message.Message{}, &message.ResponseError{Code: f.code, From: to}
	}
	var wish struct {
		Scheme string
		Value  struct {
			Number     int
			Identifier string
		}
	}
	_ = m.Decode(&wish)
	var list []string
	for range wish.Value.Number {
		f.next++
		name := fmt.Sprintf("a%d", f.next)
		if wish.Value.Identifier != "" {
			name = wish.Value.Identifier
		}
		list = append(list, wish.Scheme+"://example.com/"+name)
	}
	return m.Respond(message.CodeOK, map[string]any{"allocated": list}), nil
}

func node(f *functions) *Node[string] {
	return New[string](Options{Domain: "example.com", PoolBlock: 4, Request: f.request})
}

func TestAddressesComeInBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &functions{slow: time.Second}
		n := node(f)
		var mu sync.Mutex
		seen := map[message.URL]bool{}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				u, err := n.Allocate(t.Context(), "comm")
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[u] {
					t.Error(u, err)
				}
				seen[u] = true
			})
		}
		wait.Wait()
		if len(f.asked) != 2 {
			t.Errorf("%q, want two blocks", f.asked)
		}
		if _, err := n.Allocate(t.Context(), "hyperty"); err != nil {
			t.Error(err)
		}
		if unused := n.Unused(); len(unused) != 3 || len(n.Unused()) != 0 {
			t.Errorf("unused: %v", unused)
		}
		if _, err := n.Allocate(t.Context(), "no scheme"); err == nil {
			t.Error("of no scheme")
		}
	})
}

// While the node is away no call waits for it, and a call that waits when it goes ends.
func TestNobodyWaitsForANodeThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &functions{slow: time.Second}
		n := node(f)
		if _, granted, err := n.Address(t.Context(), "comm"); err != nil || !granted {
			t.Error("before it has ever been there it is waited for:", err)
		}
		n.Set(true)
		n.Unused()
		time.AfterFunc(100*time.Millisecond, func() { n.Set(false) })
		begin := time.Now()
		u, granted, err := n.Address(t.Context(), "comm")
		if err != nil || granted || !strings.HasPrefix(string(u), "comm://example.com/") || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("%s %v %v after %v", u, granted, err, time.Since(begin))
		}
		asked := len(f.asked)
		if _, err := n.Name(t.Context(), "hyperty", "bob", false); !errors.Is(err, ErrAway) || len(f.asked) != asked {
			t.Error("asked while it is away:", err)
		}
		if u, err := n.Name(t.Context(), "hyperty", "bob", true); err != nil || u != "hyperty://example.com/bob" {
			t.Error("a name waits for it:", u, err)
		}
		n.Set(true)
		if err := n.Release(t.Context(), []message.URL{u}); err != nil {
			t.Error(err)
		}
		n.Set(false)
	})
}

func TestANodeThatStartsAgainGetsAFewTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, x := range []struct{ fails, code, asked int }{
			{registerTries - 1, message.CodeUnavailable, registerTries},
			{registerTries, message.CodeUnavailable, registerTries},
			{1, message.CodeForbidden, 1},
		} {
			f := &functions{fails: x.fails, code: x.code}
			if err := node(f).CreateEntry(t.Context(), "entry"); (err == nil) != (x.asked > x.fails) || len(f.asked) != x.asked {
				t.Errorf("%+v: asked %d times, %v", x, len(f.asked), err)
			}
		}
		f := &functions{fails: 1, code: message.CodeNotFound}
		if err := node(f).LeaveEntry(t.Context(), "hyperty://example.com/bob"); err != nil {
			t.Error("what is not there is left:", err)
		}
	})
}

func TestNamesAndDebtsAreBounded(t *testing.T) {
	n := node(&functions{})
	for i := range 2 * maxOwed {
		u := message.URL(fmt.Sprintf("hyperty://example.com/%d", i))
		n.Granted(u)
		n.Owe(u, "gone", true)
	}
	if !n.Knows("hyperty://example.com/8000") || n.Knows("hyperty://example.com/never") || len(n.names) > maxNames {
		t.Errorf("%d names are known", len(n.names))
	}
	n.Owe("hyperty://example.com/0", "", false)
	if debts := n.Debts(); len(debts) != maxOwed-1 || len(n.Debts()) != 0 {
		t.Errorf("%d are owed", len(debts))
	}
}
