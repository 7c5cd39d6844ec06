package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
)

const (
	slowRate     = 10_000          // messages a second to the slow reader, by default
	slowPause    = time.Second     // that the slow reader takes for each
	slowPadding  = 512             // bytes that each of these messages carries besides the rest
	slowPatience = 2 * time.Second // for which the sender waits with a message
	slowFill     = 20 * time.Second
	otherRate    = 500 // messages a second between the other applications, both ways together
	slowWindow   = 2 * time.Second
)

// slowBound is how many bytes a slow reader may cost each of the two runtimes: the ring of unacknowledged messages
// (session.Options.RingBytes, 4 MiB) and the inbox (InboxBytes, 16 MiB) of one session.
const slowBound = 20 << 20

// slowReader makes an application at bob's runtime read one message a second, while one at alice's runtime sends as fast as it
// can. Latencies of other messages, and the memory, are compared with those of the same run without the slow reader.
func slowReader(ctx context.Context, b *bed) error {
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	for _, f := range b.flows {
		f.rate = otherRate / 2
		f.measure()
	}
	loud, reader, err := b.slowPair(ctx)
	if err != nil {
		return err
	}
	defer reader.hurryUp()
	b.flow(ctx)
	if b.transport != relay {
		if err := b.direct(ctx, b.transport, time.Time{}, directTime); err != nil {
			return err
		}
	}
	if err := wait(ctx, slowWindow); err != nil { // programs are slower just after their start
		return err
	}
	quiet := max(1, b.rounds/4)
	before, err := b.windows(ctx, quiet)
	if err != nil {
		return err
	}
	loud.start(context.WithoutCancel(ctx))
	during, err := b.windows(ctx, max(1, b.rounds-2*quiet))
	if err != nil {
		return err
	}
	for late := time.Now().Add(slowFill); loud.heldUp() == 0 && time.Now().Before(late); { // a slow machine takes longer to fill the queues
		if err := wait(ctx, lookPause); err != nil {
			return err
		}
	}
	read, held := loud.read(), loud.heldUp()
	b.result.figure("read_slowly", float64(read))
	b.result.figure("sender_held_up", float64(held))
	switch {
	case read == 0:
		b.result.fail("the slow reader has read nothing")
	case held == 0:
		b.result.fail("the sender was never held up, nor told of an error")
	}
	reader.hurryUp()
	if err := loud.end(ctx, settleTime); err != nil {
		return err
	}
	after, err := b.windows(ctx, b.rounds-b.result.Rounds) // since the machine may be slower or quicker at the end
	before.p99 = append(before.p99, after.p99...)
	b.compare(before, during)
	return err
}

// slowPair are the two applications at either end of the slow flow.
func (b *bed) slowPair(ctx context.Context) (*flow, *slowpoke, error) {
	from, err := b.sides[0].client.Register(ctx, hyperty.Registration{Name: "loud"})
	if err != nil {
		return nil, nil, err
	}
	to, err := b.sides[1].client.Register(ctx, hyperty.Registration{Name: "slow"})
	if err != nil {
		return nil, nil, err
	}
	f := newFlow(from, to, b.rate, slowPadding)
	f.patience, f.mayRefuse = slowPatience, true
	r := &slowpoke{flow: f, hurry: make(chan struct{})}
	to.Handle(r.take)
	b.more = append(b.more, f)
	return f, r, nil
}

// slowpoke pauses after each message, until it is told to hurry.
type slowpoke struct {
	*flow
	hurry chan struct{}
	once  sync.Once
}

func (s *slowpoke) take(ctx context.Context, m hyperty.Received) {
	s.flow.take(ctx, m)
	timer := time.NewTimer(slowPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.hurry:
	case <-ctx.Done():
	}
}

func (s *slowpoke) hurryUp() { s.once.Do(func() { close(s.hurry) }) }

// phase has the measurements of some windows.
type phase struct {
	p99    []time.Duration // of the other applications' messages, one a window
	memory [2]int64        // bytes, at most, of each side's runtime
}

// windows measures the other applications' messages and the runtimes' memory for n windows.
func (b *bed) windows(ctx context.Context, n int) (p phase, err error) {
	for range n {
		for _, f := range b.flows {
			f.latencies()
		}
		pause, end := b.watch(), time.Now().Add(slowWindow)
		for time.Now().Before(end) {
			for i, s := range b.sides {
				used, err := resident(s.PID())
				if err != nil {
					return p, err
				}
				p.memory[i] = max(p.memory[i], used)
			}
			if err := wait(ctx, 50*time.Millisecond); err != nil {
				return p, err
			}
		}
		one, other := b.flows[0].latencies(), b.flows[1].latencies()
		p99 := max(quantile(one, 0.99), quantile(other, 0.99))
		p.p99 = append(p.p99, p99)
		b.result.round(pause(), 0)
		b.say("  %3d  others' p99 %.1f ms of %d messages; runtimes use %.1f and %.1f MiB", b.result.Rounds, milliseconds(p99), len(one)+len(other),
			mebibytes(p.memory[0]), mebibytes(p.memory[1]))
	}
	return p, nil
}

// compare checks the slow reader's effect on others. It compares medians of the windows, since a machine has better and worse
// moments.
func (b *bed) compare(before, during phase) {
	was, is := quantile(before.p99, 0.5), quantile(during.p99, 0.5)
	b.result.figure("others_p99_before_ms", milliseconds(was))
	b.result.figure("others_p99_during_ms", milliseconds(is))
	if is > 2*was {
		b.result.late("others' p99 is %.1f ms beside the slow reader, %.1f ms without: at most twice as much is promised", milliseconds(is), milliseconds(was))
	}
	b.result.figure("memory_bound_mib", mebibytes(slowBound))
	for i, s := range b.sides {
		grown := during.memory[i] - before.memory[i]
		b.result.figure("memory_grown_"+s.Name+"_mib", mebibytes(grown))
		if grown > slowBound+slowBound/10 {
			b.result.late("%s's runtime has grown by %.1f MiB; %.0f MiB and 10 %% are promised", s.Name, mebibytes(grown), mebibytes(slowBound))
		}
	}
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// resident is how much memory a process has in use.
func resident(pid int) (bytes int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, &cannotError{"a process's memory is read from /proc: " + err.Error()}
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, &cannotError{fmt.Sprintf("no VmRSS of process %d in /proc", pid)}
}
