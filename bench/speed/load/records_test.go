package load

import (
	"bytes"
	"fmt"
	"net"
	"testing"
)

// Records come out as they went in, and one that is too long is an error.
func TestRecords(t *testing.T) {
	a, b := net.Pipe()
	out := NewRecords(a, func() { _ = a.Close() })
	in := NewRecords(b, func() { _ = b.Close() })
	sizes := []int{0, 1, 100, recordBuffer, maxRecord, maxRecord + 1}
	sent := make(chan error, 1)
	go func() {
		defer close(sent)
		for i, n := range sizes {
			if err := out.Send(t.Context(), bytes.Repeat([]byte{byte(i)}, n), i%2 == 0); err != nil {
				sent <- fmt.Errorf("record %d: %w", i, err)
				return
			}
		}
	}()
	var got []int
	err := in.Run(t.Context(), func(r []byte) {
		if !bytes.Equal(r, bytes.Repeat([]byte{byte(len(got))}, len(r))) {
			t.Errorf("record %d is another", len(got))
		}
		got = append(got, len(r))
	})
	if err == nil || fmt.Sprint(got) != fmt.Sprint(sizes[:len(sizes)-1]) {
		t.Errorf("records of %v bytes, then %v", got, err)
	}
	in.end()
	if err := <-sent; err == nil {
		t.Error("the last record was sent to nobody")
	}
	out.end()
}
