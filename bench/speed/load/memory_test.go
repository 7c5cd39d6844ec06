package load

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also main for the children that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		if err := play(os.Args[2]); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// memory is one end of a connection within this process. Its messages go through alter first, if there is one, which returns
// what arrives in their place.
type memory struct {
	out   chan<- []byte
	in    <-chan []byte
	delay time.Duration // of every message that comes
	alter func(b []byte) [][]byte
	once  sync.Once
}

// connection makes both ends.
func connection() (a, b *memory) {
	to, back := make(chan []byte, 64), make(chan []byte, 64)
	return &memory{out: to, in: back}, &memory{out: back, in: to}
}

func (m *memory) Send(ctx context.Context, b []byte, _ bool) error {
	all := [][]byte{b}
	if m.alter != nil {
		all = m.alter(b)
	}
	for _, b := range all {
		select {
		case m.out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (m *memory) Run(ctx context.Context, take func(b []byte)) error {
	for {
		select {
		case b, ok := <-m.in:
			if !ok {
				return io.EOF
			}
			time.Sleep(m.delay) // the time on the way
			take(b)
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *memory) close() { m.once.Do(func() { close(m.out) }) }

// between runs both parts until the test ends.
func between(t testing.TB, sender Conn, receiver Conn) *Driver {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	driver, run := Drive(sender)
	var parts sync.WaitGroup
	for _, part := range []func() error{func() error { return run(ctx) }, func() error { return Answer(ctx, receiver) }} {
		parts.Go(func() {
			if err := part(); err != nil {
				t.Errorf("a part ended: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		parts.Wait()
	})
	return driver
}

var errRefused = errors.New("refused")

// play is main for a child: both parts in one process.
func play(role string) error {
	ctx := context.Background()
	switch role {
	case "refuses":
		return errRefused
	case "silent":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "receiver":
		return (&Child{}).Serve(ctx, "here", os.Stdin, os.Stdout)
	}
	a, b := connection()
	driver, run := Drive(a)
	var parts sync.WaitGroup
	parts.Go(func() { _ = run(ctx) })
	parts.Go(func() { _ = Answer(ctx, b) })
	child := &Child{Driver: driver, PIDs: func() []int { return []int{os.Getppid()} }, Own: func(_ context.Context, c Command) (Result, bool, error) {
		if c.Do == "hangs" {
			time.Sleep(time.Hour) // until it is killed
		}
		return Result{Text: c.Text}, c.Do == "own", nil
	}}
	err := child.Serve(ctx, "there", os.Stdin, os.Stdout)
	a.close()
	b.close()
	parts.Wait()
	return err
}
