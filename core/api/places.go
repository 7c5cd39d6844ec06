package api

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/stats"
)

// Every process of the own user may connect, so a process that opens connections without end must not keep others out.
// A connection has a place: as one that has not said yet what it is, as a caller (of gRPC: the command line), or as an
// application. Where a place for the first two is wanted and none is free, the process that has the most of them loses
// one, so that whoever comes always gets in; applications are refused.

// kind is what a connection is.
type kind int

const (
	isUnopened    kind = iota // it has said neither Hello nor called anything
	isCaller                  // it has called something
	isApplication             // it has said Hello
)

// Limits of connections, at one time.
const (
	maxUnopened    = 64
	maxCallers     = 64
	maxConnections = 256 // of applications
	maxOfProcess   = 128 // of applications of one process, where the system tells which that is
	openTime       = 5 * time.Second
	idleTime       = 10 * time.Minute // a caller that calls nothing
)

// places are the places that are taken. The zero value works.
type places struct {
	mu    sync.Mutex
	taken [isApplication + 1][]*place // oldest first
}

// place is a connection that has one.
type place struct {
	net.Conn
	all   *places
	pid   int         // 0: not known
	kind  kind        // all.mu guards it
	calls int         // … that go on; all.mu guards it
	gone  bool        // … it has given its place back
	late  *time.Timer // closes it where it does not open
}

// NetConn is the connection itself.
func (p *place) NetConn() net.Conn { return p.Conn }

// lockedPlaces are places with their lock taken, from lock to unlock. Methods that need the lock are methods of lockedPlaces.
type lockedPlaces struct{ *places }

// lock locks mu.
func (p *places) lock() lockedPlaces {
	p.mu.Lock()
	return lockedPlaces{p}
}

// unlock unlocks mu.
func (p lockedPlaces) unlock() { p.mu.Unlock() }

// enter gives a connection a place, if need be another one's.
func (p *places) enter(conn net.Conn, pid int) *place {
	one := &place{Conn: conn, all: p, pid: pid}
	l := p.lock()
	victim := l.put(one, isUnopened, maxUnopened)
	one.late = time.AfterFunc(openTime, func() {
		l := p.lock()
		still := one.kind == isUnopened
		l.unlock()
		if still {
			_ = one.Close()
		}
	})
	l.unlock()
	if victim != nil {
		_ = victim.Close()
	}
	return one
}

// put takes a place of a kind for one, and takes it from the one that it returns where there are limit already.
func (p lockedPlaces) put(one *place, k kind, limit int) (victim *place) {
	if len(p.taken[k]) >= limit {
		victim = greediest(p.taken[k])
		p.leave(victim)
	}
	one.kind = k
	p.taken[k] = append(p.taken[k], one)
	return victim
}

// leave gives one's place back.
func (p lockedPlaces) leave(one *place) {
	if i := slices.Index(p.taken[one.kind], one); i >= 0 {
		p.taken[one.kind] = slices.Delete(p.taken[one.kind], i, i+1)
	}
}

// greediest is the oldest connection of the process that has the most of them, before others one that nobody waits for.
func greediest(taken []*place) *place {
	of := map[int]int{}
	for _, one := range taken {
		of[one.pid]++
	}
	var worst *place
	for _, one := range taken {
		switch {
		case worst == nil, of[one.pid] > of[worst.pid], one.pid == worst.pid && worst.calls > 0 && one.calls == 0:
			worst = one
		}
	}
	return worst
}

// called notes that a call begins.
func (one *place) called() {
	p := one.all.lock()
	one.calls++
	var victim *place
	if one.kind == isUnopened && !one.gone {
		one.late.Stop()
		p.leave(one)
		victim = p.put(one, isCaller, maxCallers)
	}
	p.unlock()
	if victim != nil {
		_ = victim.Close()
	}
}

// answered notes that a call has ended.
func (one *place) answered() {
	p := one.all.lock()
	one.calls--
	p.unlock()
}

// attach makes the connection an application's. The error says why there is no room for one more.
func (one *place) attach() error {
	p := one.all.lock()
	defer p.unlock()
	same := 0
	for _, other := range p.taken[isApplication] {
		if other.pid == one.pid {
			same++
		}
	}
	switch {
	case len(p.taken[isApplication]) >= maxConnections:
		return faultf("%d applications are connected already, no more are possible", maxConnections)
	case one.pid != 0 && same >= maxOfProcess:
		return faultf("this process has %d connections already, no more are possible: one carries many hyperties", maxOfProcess)
	case one.gone:
		return net.ErrClosed
	}
	one.late.Stop()
	p.leave(one)
	one.kind = isApplication
	p.taken[isApplication] = append(p.taken[isApplication], one)
	return nil
}

// Close closes the connection and gives its place back.
func (one *place) Close() error {
	p := one.all.lock()
	if !one.gone {
		one.gone = true
		one.late.Stop()
		p.leave(one)
	}
	p.unlock()
	return one.Conn.Close()
}

// RemoteAddr leads gRPC's callbacks to the place.
func (one *place) RemoteAddr() net.Addr { return placeAddr{one.Conn.RemoteAddr(), one} }

type placeAddr struct {
	net.Addr
	of *place
}

// calls tells places of gRPC's calls.
type calls struct{}

type placeKey struct{}

func (calls) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	if a, ok := info.RemoteAddr.(placeAddr); ok {
		return context.WithValue(ctx, placeKey{}, a.of)
	}
	return ctx
}

func (calls) HandleConn(context.Context, stats.ConnStats) {}

func (calls) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (calls) HandleRPC(ctx context.Context, s stats.RPCStats) {
	one, ok := ctx.Value(placeKey{}).(*place)
	if !ok {
		return
	}
	switch s.(type) {
	case *stats.Begin:
		one.called()
	case *stats.End:
		one.answered()
	}
}
