package hyperty

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// frame handles one frame from the runtime. An error ends the connection.
func (conn *connection) frame(data []byte) error {
	c := conn.client
	var f apiwire.RuntimeFrame
	if err := proto.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("from the runtime: %w", err)
	}
	switch f := f.Frame.(type) {
	case *apiwire.RuntimeFrame_Registered:
		c.registered(conn, f.Registered)
	case *apiwire.RuntimeFrame_Ended:
		c.ended(conn, f.Ended)
	case *apiwire.RuntimeFrame_Outcome:
		c.mu.Lock()
		a := c.attached[f.Outcome.Ref]
		c.mu.Unlock()
		if a != nil {
			a.settled(f.Outcome)
		}
	case *apiwire.RuntimeFrame_Farewell:
		return errors.New(f.Farewell.Reason)
	}
	return nil
}

// confirmed takes the runtime's credit.
func (conn *connection) confirmed(data []byte) error {
	c := conn.client
	if err := conn.credit.Parse(data); err != nil {
		return fmt.Errorf("from the runtime: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.attached[conn.credit.Ref]
	if a == nil {
		return nil
	}
	err := a.locked().confirm(conn.credit.Posts)
	c.locked().wake()
	return err
}

func (c *Client) registered(conn *connection, f *apiwire.Registered) {
	c.mu.Lock()
	a := c.attached[f.Ref]
	if a == nil || a.state != asked {
		c.mu.Unlock()
		return
	}
	url, err := message.ParseURL(f.Url)
	switch {
	case err != nil:
	case a.url == "" || a.url == url:
		again := a.url != ""
		a.url, a.state, a.pause = url, registered, 0
		if len(a.queue) > 0 {
			a.locked().markDirty(conn)
		}
		if again && a.hyperty != nil && !c.closed {
			c.work.Go(func() { a.hyperty.resume(conn.ctx) })
		}
		c.locked().wake()
		c.mu.Unlock()
		return
	default:
		err = fmt.Errorf("the address %s was lost: the runtime gave %s instead", a.url, url)
	}
	conn.locked().send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: f.Ref}}})
	c.mu.Unlock()
	a.fail(err)
}

// ended handles the runtime's notice that a hyperty is not, or no longer, registered.
func (c *Client) ended(conn *connection, f *apiwire.Ended) {
	c.mu.Lock()
	a := c.attached[f.Ref]
	if a == nil {
		c.mu.Unlock()
		return
	}
	err := error(&message.ResponseError{Code: int(f.Code), Description: f.Reason, From: conn.runtime})
	switch {
	case a.state == closing || a.url == "":
		a.state, a.err, a.released = ended, err, f.Released
		c.locked().wake()
		c.mu.Unlock()
	case a.state == asked && passing(int(f.Code)):
		a.pause = min(max(2*a.pause, 100*time.Millisecond), 5*time.Second)
		pause := a.pause
		c.mu.Unlock()
		c.o.Log.Warn("hyperty not yet registered again", "url", a.url, "error", err, "again", pause)
		c.work.Go(func() { a.again(conn, pause) })
	default:
		c.mu.Unlock()
		a.fail(fmt.Errorf("%s is no longer registered: %w", a.url, err))
	}
}

// passing tells whether a refusal of an address that was ours may be temporary: the node cannot be reached yet, or the
// registration of the previous connection is still being ended.
func passing(code int) bool {
	switch code {
	case message.CodeTimeout, message.CodeConflict, message.CodeTooMany, message.CodeUnavailable, message.CodeError:
		return true
	}
	return false
}
