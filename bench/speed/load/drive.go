package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// patience is how long a driver waits for an answer.
const patience = 30 * time.Second

// Driver is the sender's part on a connection.
type Driver struct {
	conn    Conn
	answers chan answer

	mu    sync.Mutex
	paced *paced // nil: none runs
}

type answer struct {
	kind   byte
	number uint64
}

// Drive makes the sender's part of c. run receives its messages: the caller runs it in a goroutine, ends it, and waits for it.
func Drive(c Conn) (d *Driver, run func(ctx context.Context) error) {
	d = &Driver{conn: c, answers: make(chan answer, 16)}
	return d, func(ctx context.Context) error { return c.Run(ctx, d.take) }
}

func (d *Driver) take(b []byte) {
	kind, number, err := Parse(b)
	if err != nil {
		return
	}
	d.mu.Lock()
	p := d.paced
	d.mu.Unlock()
	if kind == Echo && p != nil {
		p.came(number)
		return
	}
	select {
	case d.answers <- answer{kind, number}:
	default: // no goroutine waits for it
	}
}

func (d *Driver) await(ctx context.Context, kind byte, number uint64) (answer, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case a := <-d.answers:
			if a.kind == Echo && (kind != Echo || a.number != number) {
				continue // the answer to a ping that was given up
			}
			return a, nil
		case <-late.C:
			return answer{}, fmt.Errorf("no answer within %v", patience)
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
	}
}

// checkEvery is how many bytes are sent between two reads of the clock.
const checkEvery = 64 << 10

// minCycle is the least number of different messages before they repeat.
const minCycle = 16

// Stream sends messages of size bytes for a while.
func (d *Driver) Stream(ctx context.Context, size int, length time.Duration) (r Result, err error) {
	batch := max(1, checkEvery/size)
	texts := make([][]byte, max(minCycle, batch)) // made before, so that only the contender is measured
	for i := range texts {
		texts[i] = Text(Data, uint64(i), size)
	}
	began := time.Now()
	var sent uint64
	for time.Since(began) < length {
		for range batch {
			text := texts[sent%uint64(len(texts))]
			if err := d.conn.Send(ctx, text, true); err != nil {
				return r, fmt.Errorf("message %d of %d bytes: %w", sent, size, err)
			}
			sent++
		}
	}
	if err := d.conn.Send(ctx, Text(End, sent, MinSize), false); err != nil {
		return r, fmt.Errorf("the last message: %w", err)
	}
	a, err := d.await(ctx, Count, 0)
	if err != nil {
		return r, err
	}
	if a.kind != Count || a.number != sent {
		return r, errLost(sent, a.number)
	}
	r.Messages, r.Seconds = sent, time.Since(began).Seconds()
	return r, nil
}

// Trips sends a message of size bytes and waits for its answer, again and again for a while.
func (d *Driver) Trips(ctx context.Context, size int, length time.Duration) (r Result, err error) {
	times := make([]time.Duration, 0, 1<<16)
	began := time.Now()
	for n := uint64(0); time.Since(began) < length; n++ {
		at := time.Now()
		if err := d.trip(ctx, Text(Ping, n, size), n); err != nil {
			return r, fmt.Errorf("round trip %d: %w", n, err)
		}
		times = append(times, time.Since(at))
	}
	r.Messages, r.Seconds = uint64(len(times)), time.Since(began).Seconds()
	r.percentiles(times)
	return r, nil
}

func (d *Driver) trip(ctx context.Context, ping []byte, n uint64) error {
	if q, ok := d.conn.(Requester); ok {
		return q.Request(ctx, ping)
	}
	if err := d.conn.Send(ctx, ping, false); err != nil {
		return err
	}
	_, err := d.await(ctx, Echo, n)
	return err
}

// paced notes when pings were due and when they were answered.
type paced struct {
	began time.Time
	every time.Duration
	mu    sync.Mutex
	times []time.Duration
	want  int
	all   chan struct{}
}

func (p *paced) came(n uint64) {
	took := time.Since(p.began) - time.Duration(n)*p.every
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times = append(p.times, took); len(p.times) == p.want {
		close(p.all)
	}
}

// Paced sends rate pings a second, each at its time, for a while.
func (d *Driver) Paced(ctx context.Context, size, rate int, length time.Duration) (r Result, err error) {
	p := &paced{every: time.Second / time.Duration(rate), want: max(1, int(length.Seconds()*float64(rate))), all: make(chan struct{})}
	p.times = make([]time.Duration, 0, p.want)
	p.began = time.Now()
	d.mu.Lock()
	d.paced = p
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.paced = nil
		d.mu.Unlock()
	}()
	for n := range p.want {
		if due := time.Until(p.began.Add(time.Duration(n) * p.every)); due > 0 {
			time.Sleep(due) // the pace
		}
		if err := d.conn.Send(ctx, Text(Ping, uint64(n), size), false); err != nil {
			return r, fmt.Errorf("paced message %d: %w", n, err)
		}
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.all:
	case <-late.C:
		return r, fmt.Errorf("not all of %d paced messages were answered within %v", p.want, patience)
	case <-ctx.Done():
		return r, ctx.Err()
	}
	r.Messages, r.Seconds = uint64(p.want), time.Since(p.began).Seconds()
	r.percentiles(p.times)
	return r, nil
}

func (r *Result) percentiles(times []time.Duration) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	at := func(part float64) float64 {
		return float64(times[min(len(times)-1, int(part*float64(len(times))))].Nanoseconds()) / 1000
	}
	r.P50, r.P99 = at(0.5), at(0.99)
}
