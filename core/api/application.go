package api

import (
	"context"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/core/api/internal/handover"
	"github.com/protofly/protofly/core/api/internal/window"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// application is one stream.
type application struct {
	shared *shared
	conn   net.Conn
	reader *wire.Reader
	ctx    context.Context // ends with the stream
	work   sync.WaitGroup  // everything that runs for it, but for the writer
	kick   chan struct{}   // the writer has something to do
	late   *time.Timer     // it has something to do in a while
	quit   chan struct{}   // ends it

	// Of the reader.
	parsers map[uint32]*message.Parser // by reference
	credits wire.Credit                // that was read last
	settled []handover.Message         // by it

	mu        sync.Mutex
	ended     bool
	attached  map[uint32]*attachment
	control   wire.Queue    // records
	controls  int           // how many of them count
	owing     []*attachment // that owe the application credit
	hesitates bool          // late is running
	out       wire.Queue    // records of messages
	last      bool          // nothing follows what is in control
	changed   chan struct{} // closed and replaced when there is room or credit, for those who wait
	waiters   int
}

// attachment is one hyperty of an application. Its fields are guarded by the application's mu.
type attachment struct {
	app  *application
	ref  uint32
	name string

	inner   Attachment // nil until it is registered
	gone    bool       // nothing is delivered any more
	leaving bool       // the application wants it to end
	release bool       // and its name to be given up

	posts  work.Lane[posted]               // worked off by a goroutine, or the reader; held until inner is there
	behind work.Lanes[destination, posted] // posts to receivers that are behind: each has a goroutine that waits for it
	window window.Window                   // what it has posted
	given  handover.Handover               // what it is given
}

// maxBehind is how many receivers may be behind without holding up what a hyperty posts to others.
const maxBehind = 64

// newAttachment is a hyperty that has not been registered yet: what it posts is held.
func newAttachment(app *application, ref uint32, name string) *attachment {
	a := &attachment{app: app, ref: ref, name: name, given: handover.New()}
	a.posts.Memory = &app.shared.posts
	a.posts.Hold()
	// What waits is bounded by the window.
	a.behind.Limits = work.Limits{Keys: maxBehind, Items: wire.Window, Bytes: math.MaxInt, AllBytes: math.MaxInt, Overhead: 1}
	return a
}

// locked is an application with its lock taken, from lock to unlock. Methods that need the lock are methods of locked.
type locked struct{ *application }

// lock locks mu.
func (app *application) lock() locked {
	app.mu.Lock()
	return locked{app}
}

// unlock unlocks mu.
func (app locked) unlock() { app.mu.Unlock() }

// say queues a frame.
func (app locked) say(f *wire.RuntimeFrame) error {
	if app.ended {
		return nil
	}
	if app.controls >= maxControl {
		return faultf("the application asks and does not read the answers")
	}
	app.controls++
	app.control.Control(f)
	app.poke()
	return nil
}

// wake lets everybody look again who waits for room or credit.
func (app locked) wake() {
	if app.waiters > 0 {
		close(app.changed)
		app.changed = make(chan struct{})
	}
}

// poke has the writer look for what is to be written.
func (app *application) poke() {
	select {
	case app.kick <- struct{}{}:
	default:
	}
}

func endedFrame(ref uint32, code int, reason string) *wire.RuntimeFrame {
	return &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Ended{Ended: &wire.Ended{Ref: ref, Code: uint32(code), Reason: strings.ToValidUTF8(reason, "?")}}}
}
