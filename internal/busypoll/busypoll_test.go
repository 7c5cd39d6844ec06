//go:build unix

package busypoll

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a pipe that is read by a Waiter.
type source struct {
	*Waiter
	write *os.File
	b     [100]byte
	n     int
	err   error
	tries int
}

func newSource(t testing.TB, limit time.Duration) *source {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &source{write: w}
	if s.Waiter, err = For(r, limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Waiter.Close()
		_ = r.Close()
		_ = w.Close()
	})
	return s
}

func (s *source) try(fd uintptr) bool {
	s.tries++
	s.n, s.err = syscall.Read(int(fd), s.b[:])
	return s.err != syscall.EAGAIN
}

// read waits for what is written once it waits.
func (s *source) read(t *testing.T, text string) {
	t.Helper()
	s.tries = 0
	go func() {
		_, _ = s.write.WriteString(text)
	}()
	if err := s.Read(s.try); err != nil || s.err != nil {
		t.Fatal(err, s.err)
	}
	if got := s.b[:s.n]; !bytes.Equal(got, []byte(text)) {
		t.Fatalf("read %q, want %q", got, text)
	}
}

// All that is written is read, in order, whether the reader polls or sleeps.
func TestRead(t *testing.T) {
	for _, limit := range []time.Duration{0, Usual, Longest} {
		t.Run(limit.String(), func(t *testing.T) {
			s := newSource(t, limit)
			for i := range 300 {
				s.read(t, strconv.Itoa(i))
			}
		})
	}
}

// streaming makes the process look as if it carried a stream, or none, for an hour from now on.
func streaming(is bool) {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.streams, process.began = is, time.Now().Add(time.Hour)
	if !is {
		process.began = time.Time{}
	}
}

// A Waiter polls after an input that came soon, also the next time, and does not poll before anything came.
func TestLooksWhereInputComesSoon(t *testing.T) {
	if !canYield {
		t.Skip("nobody looks on this system")
	}
	s := newSource(t, time.Hour) // a limit that is never reached
	if s.shouldPoll(time.Now()) {
		t.Fatal("looks before anything came")
	}
	s.read(t, "soon")
	s.pace.until = time.Time{}
	if !s.shouldPoll(time.Now()) {
		t.Fatal("does not look though the last input came soon")
	}
	s.pace.skip = 1
	if s.shouldPoll(time.Now()) || !s.shouldPoll(time.Now()) {
		t.Fatal("does not sleep for just one wait after it has looked in vain")
	}
	streaming(true)
	if s.shouldPoll(time.Now()) {
		t.Error("looks while the process carries a stream")
	}
	streaming(false)
	turns := 0
	s.yield = func() {
		if turns++; turns == 3 {
			_, _ = s.write.WriteString("x")
		}
	}
	s.tries = 0
	for !s.poll(s.fd, time.Now(), s.try) { // it ends if others needed the processor
	}
	if s.tries < 3 || turns != s.tries || string(s.b[:s.n]) != "x" {
		t.Errorf("looked %d times, yielded %d times, and found %q", s.tries, turns, s.b[:s.n])
	}
}

// No Waiter polls while the process carries a stream.
func TestSleepsInStreams(t *testing.T) {
	var g group
	now := time.Now()
	g.began = now
	for i, step := range []struct {
		bytes  uint64
		after  time.Duration
		stream bool
	}{
		{1 << 20, window / 2, false}, // too early to measure
		{0, window / 2, true},
		{0, window / 2, true},
		{100, window / 2, false},
		{stream / 1000, window, false}, // exactly the limit
		{stream/1000 + 1, window, true},
		{stream, 2 * time.Second, false},
	} {
		g.carried.Add(step.bytes)
		now = now.Add(step.after)
		if got := g.busy(now); got != step.stream {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

// Input for another Waiter ends the polling, so that the scheduler finds it; and only one Waiter of a process polls.
func TestLooksForOthers(t *testing.T) {
	if !canYield {
		t.Skip("nobody looks on this system")
	}
	a, b := newSource(t, time.Hour), newSource(t, time.Hour)
	a.yield = func() {
		if a.tries > 1000 { // else it would poll for an hour
			_, _ = a.write.WriteString("x")
		}
	}
	if _, err := b.write.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if a.poll(a.fd, time.Now(), a.try) {
		t.Fatal("found what nobody has written")
	}
	if a.tries != 1 || a.pace.skip != 0 {
		t.Errorf("looked %d times and sleeps for %d, want once: the other has input", a.tries, a.pace.skip)
	}
	if _, ok := process.begin(a.Waiter); !ok {
		t.Fatal("may not look though nobody does")
	}
	if b.poll(b.fd, time.Now(), b.try); b.tries != 0 {
		t.Error("two look at a time")
	}
	process.end()
	b.Waiter.Close()
	if others, _ := process.begin(a.Waiter); len(others) != 0 {
		t.Errorf("looks at %d that were closed", len(others))
	}
	process.end()
}

// With one processor for goroutines, a reader that polls does not keep the process from noticing its other descriptors: else
// it would poll in vain, up to the limit, each time.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := newSource(t, Longest), newSource(t, Longest)
	const rounds = 200
	done := make(chan error)
	go func() { // a's reader passes it on to b
		for range rounds {
			if err := a.Read(a.try); err != nil {
				done <- err
				return
			}
			if _, err := b.write.Write(a.b[:a.n]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	vain := 0
	for range rounds {
		b.pace = pace{soon: true} // it looks each time
		if _, err := a.write.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		if err := b.Read(b.try); err != nil {
			t.Fatal(err)
		}
		if b.pace.skipped > 0 {
			vain++
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if vain > rounds/10 {
		t.Errorf("in %d of %d round trips it looked in vain for %v: a reader that looks keeps others waiting", vain, rounds, Longest)
	}
}

// Closing the file, or its deadline, ends a Read.
func TestEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	waiter, err := For(r, Usual)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(uintptr) bool { return false }
	if err := r.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := waiter.Read(nothing); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("after the deadline: %v", err)
	}
	if err := r.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- waiter.Read(nothing) }()
	waiter.Close()
	_ = r.Close()
	if err := <-ended; err == nil {
		t.Fatal("a closed file was read")
	}
	if _, err := For(r, Usual); err == nil {
		t.Fatal("a closed file can be waited for")
	}
}

func TestLimit(t *testing.T) {
	for text, want := range map[string]time.Duration{"": Usual, "0": 0, "100us": 100 * time.Microsecond, "10ms": Longest, "11ms": -1, "-1us": -1, "1": -1, "soon": -1} {
		got, err := Parse(text)
		if ok := want >= 0; ok != (err == nil) || ok && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		t.Setenv(Variable, text)
		if got := Inherited(); want >= 0 && got != want || want < 0 && got != Usual {
			t.Errorf("%s=%q: %v", Variable, text, got)
		}
	}
}

// BenchmarkPingPong is a round trip between two goroutines over pipes, of which one sleeps and one polls.
func BenchmarkPingPong(b *testing.B) {
	for _, limit := range []time.Duration{0, Usual} {
		b.Run(limit.String(), func(b *testing.B) {
			b.ReportAllocs()
			there, back := newSource(b, limit), newSource(b, limit)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for there.Read(there.try) == nil && there.n > 0 {
					_, _ = back.write.Write(there.b[:there.n])
				}
			}()
			for b.Loop() {
				_, _ = there.write.WriteString("x")
				if err := back.Read(back.try); err != nil {
					b.Fatal(err)
				}
			}
			_ = there.write.Close()
			<-done
		})
	}
}
