package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/sdk/message"
)

// CrowdArgument is the first word of a crowd's command line. A program that is started with it calls [Crowd] with the words
// that follow.
const CrowdArgument = "scale-crowd"

// Crowd is the child process: it serves its parent until in ends.
func Crowd(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	c, err := crowdOf(args)
	if err != nil {
		_ = json.NewEncoder(out).Encode(load.Ready{Err: err.Error()})
		return err
	}
	child := load.Child{Own: c.do, PIDs: c.pids}
	return errors.Join(child.Serve(ctx, "", in, out), c.close())
}

func crowdOf(args []string) (*crowd, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("a crowd has one argument, not %d", len(args))
	}
	o, err := parse(args[0])
	if err != nil {
		return nil, err
	}
	return newCrowd(o)
}

// The commands of a crowd, for load.Command.Do.
const (
	doGuests  = "guests"  // Size guests connect to the Message Node
	doPeers   = "peers"   // Size peers connect to the Message Node; their plug-in is Text
	doMeet    = "meet"    // Size further peers ask for a connection with the runtime of the address Text
	doObserve = "observe" // all guests observe a data object
	doPublish = "publish" // a guest publishes Rate changes of Size bytes, each when all guests have got the one before
	doBurst   = "burst"   // the same, all at once
)

func (c *crowd) do(ctx context.Context, o load.Command) (r load.Result, ok bool, err error) {
	began := time.Now()
	switch o.Do {
	case doGuests:
		err = c.inviteGuests(ctx, o.Size)
	case doPeers:
		err = c.invitePeers(ctx, o.Size, o.Text)
	case doMeet:
		err = c.meet(ctx, o.Size, message.URL(o.Text))
	case doObserve:
		err = c.observe(ctx)
	case doPublish, doBurst:
		r, err = c.publish(ctx, o)
		return r, true, err
	default:
		return r, false, nil
	}
	return load.Result{Messages: uint64(o.Size), Seconds: time.Since(began).Seconds()}, true, err
}

func (c *crowd) inviteGuests(ctx context.Context, n int) error {
	var mu sync.Mutex
	return each(ctx, n, func(ctx context.Context, _ int) error {
		g, err := c.newGuest()
		if err == nil {
			err = c.enter(ctx, g.id.URL(), g)
		}
		if err == nil {
			mu.Lock()
			c.guests = append(c.guests, g)
			mu.Unlock()
		}
		return err
	})
}

func (c *crowd) invitePeers(ctx context.Context, n int, plugin string) error {
	var mu sync.Mutex
	return each(ctx, n, func(ctx context.Context, _ int) error {
		p, err := c.newPeer(plugin)
		if err == nil {
			err = c.enter(ctx, p.id.URL(), p)
		}
		if err == nil {
			mu.Lock()
			c.peers = append(c.peers, p)
			mu.Unlock()
		}
		return err
	})
}

func (c *crowd) meet(ctx context.Context, n int, to message.URL) error {
	if n > len(c.peers) {
		return fmt.Errorf("%d peers are to meet %s, %d are left", n, to, len(c.peers))
	}
	some := c.peers[:n]
	c.peers = c.peers[n:]
	return each(ctx, n, func(ctx context.Context, i int) error { return some[i].meet(ctx, to) })
}

// counted counts the publications that have come, by guest.
type counted struct {
	took atomic.Int64
	want atomic.Int64
	all  chan struct{} // has room for one
}

func (c *counted) came(uint64) {
	if c.took.Add(1) == c.want.Load() {
		c.all <- struct{}{}
	}
}

// observe makes all guests but the first observe an object of the first one.
func (c *crowd) observe(ctx context.Context) (err error) {
	if len(c.guests) < 2 {
		return errors.New("nobody is there to observe")
	}
	if c.object, err = c.guests[0].object(ctx); err != nil {
		return err
	}
	return each(ctx, len(c.guests)-1, func(ctx context.Context, i int) error { return c.guests[i+1].observe(ctx, c.object, c.came.came) })
}

// publish publishes, and reports how long it took until all guests had got each publication. Text is how many publications were
// lost, doubled or out of order.
func (c *crowd) publish(ctx context.Context, o load.Command) (r load.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	observers := int64(len(c.guests) - 1)
	began := time.Now()
	var times []float64
	c.came.took.Store(0)
	c.came.want.Store(observers)
	if o.Do == doBurst {
		c.came.want.Store(observers * int64(o.Rate))
	}
	for i := range o.Rate {
		at := time.Now()
		if err := c.guests[0].publish(ctx, c.object, c.published, o.Size); err != nil {
			return r, err
		}
		c.published++
		if o.Do == doBurst && i < o.Rate-1 {
			continue
		}
		if err := within(ctx, c.came.all, "of the publication to %d observers %d copies came", observers, c.came.took.Load()); err != nil {
			return r, err
		}
		times = append(times, float64(time.Since(at).Microseconds()))
		c.came.took.Store(0)
	}
	slices.Sort(times)
	r = load.Result{Messages: uint64(o.Rate) * uint64(observers), Seconds: time.Since(began).Seconds(),
		P50: figures.Median(times), P99: times[min(len(times)-1, len(times)*99/100)]}
	wrong := uint64(0)
	for _, g := range c.guests[1:] {
		wrong += g.trouble.Load()
		if g.next.Load() != c.published {
			wrong++
		}
	}
	r.Text = fmt.Sprint(wrong)
	return r, nil
}
