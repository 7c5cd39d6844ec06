package sdk

import (
	"context"
	"fmt"
	"sync"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// doors are an instance's; see [Doors].
type doors struct {
	conn     *link.Conn
	instance uint32
	owner    message.URL

	mu     sync.Mutex
	byURL  map[message.URL]*door
	last   uint32 // the last door's number
	closed bool
}

// door is one door of an instance; see [Door].
type door struct {
	*link.Lane
	doors  *doors
	url    message.URL // canonical
	number uint32
}

func (d *doors) Open(url message.URL) (Door, error) {
	if !url.Within(d.owner) {
		return nil, fmt.Errorf("open door %s: it is not %s or below it", url, d.owner)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := url.Canonical()
	switch {
	case d.closed:
		return nil, fmt.Errorf("open door %s: %w", url, ErrDoorClosed)
	case d.byURL[key] != nil:
		return nil, fmt.Errorf("open door %s: it is open", url)
	case len(d.byURL) >= link.MaxDoors:
		return nil, fmt.Errorf("open door %s: %d doors are open, no more are allowed", url, link.MaxDoors)
	}
	d.last++
	o := &door{Lane: d.conn.Lane(d.instance, d.last), doors: d, url: key, number: d.last}
	d.byURL[key] = o
	d.conn.Control(&linkpb.Frame{Instance: d.instance,
		Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{Door: o.number, Url: string(url)}}})
	return o, nil
}

// refused ends a door that the host does not accept.
func (d *doors) refused(number uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, o := range d.byURL {
		if o.number == number {
			delete(d.byURL, key)
			o.Lane.Close()
		}
	}
}

// close closes every door; the instance has ended.
func (d *doors) close() {
	d.mu.Lock()
	open := d.byURL
	d.byURL, d.closed = nil, true
	d.mu.Unlock()
	for _, o := range open {
		o.shut()
	}
}

// Recv is the lane's.
func (o *door) Recv(ctx context.Context) ([]Frame, error) { return o.Lane.Recv(ctx) }

// Close closes the door; see [Door].
func (o *door) Close() error {
	o.doors.mu.Lock()
	known := o.doors.byURL[o.url] == o
	if known {
		delete(o.doors.byURL, o.url)
	}
	o.doors.mu.Unlock()
	if known {
		o.shut()
	}
	return nil
}

func (o *door) shut() {
	o.Lane.Close()
	o.doors.conn.Control(&linkpb.Frame{Instance: o.doors.instance,
		Kind: &linkpb.Frame_CloseDoor{CloseDoor: &linkpb.CloseDoor{Door: o.number}}})
}
