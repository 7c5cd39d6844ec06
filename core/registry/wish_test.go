package registry

import (
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// The wished address of a data object is one runtime's until the object is gone; then it is free, for any runtime.
func TestWishedAddressesOfObjects(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		const board message.URL = "comm://example.com/board"
		wish := func(s *side) error {
			t.Helper()
			url, err := s.reg.RegisterObject(w.ctx, Object{URL: board, Reporter: s.url.Join("reporter"), Wished: true})
			if err == nil && url != board {
				t.Errorf("the address is %s", url)
			}
			return err
		}
		if err := wish(a); err != nil || w.entries[board] == nil {
			t.Fatal("not registered:", err)
		}
		wantCode(t, wish(a), message.CodeConflict)
		wantCode(t, wish(b), message.CodeConflict)
		if err := a.reg.UnregisterObject(w.ctx, board); err != nil {
			t.Fatal(err)
		}
		if err := wish(b); err != nil {
			t.Error("it is not free:", err)
		}
		_, err := a.reg.RegisterObject(w.ctx, Object{URL: "comm://elsewhere.example/board", Reporter: a.url.Join("reporter"), Wished: true})
		wantCode(t, err, message.CodeBadRequest)

		// A kept one is registered before its reporter is there.
		const alice, diary message.URL = "hyperty://example.com/alice", "comm://example.com/diary"
		if _, err := a.reg.RegisterObject(w.ctx, Object{URL: diary, Reporter: alice}); err == nil {
			t.Error("nobody's object is registered")
		}
		if _, err := a.reg.RegisterObject(w.ctx, Object{URL: diary, Reporter: alice, Kept: true}); err != nil || w.entries[diary] == nil {
			t.Error("not registered:", err)
		}
	})
}
