package stub

import (
	"fmt"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk/message"
)

// maxPumping bounds the doors of a run that are open, or were and have frames left.
const maxPumping = 2 * link.MaxDoors

// doors is the doors of one run. The zero value has none.
type doors struct {
	last     uint32 // number
	pumping  int    // doors whose frames are handed on, closed ones among them
	byNumber map[uint32]door
	byURL    map[message.URL]door // by canonical URL
}

type door struct {
	url  message.URL // canonical
	lane *link.Lane
}

// next notes the number of a door that is to be opened. Numbers grow; the error is a [*link.ProtocolError].
func (d *doors) next(number uint32, stub message.URL) error {
	if number <= d.last {
		return &link.ProtocolError{What: fmt.Sprintf("door number %d of stub %s is not a new one", number, stub)}
	}
	d.last = number
	return nil
}

// mayOpen tells whether there may be one more, with this URL.
func (d *doors) mayOpen(url message.URL) bool {
	_, isOpen := d.byURL[url.Canonical()]
	return !isOpen && len(d.byURL) < link.MaxDoors && d.pumping < maxPumping
}

// open adds a door. [doors.pumped] has to be called when its last frame was handed on.
func (d *doors) open(number uint32, url message.URL, lane *link.Lane) {
	if d.byNumber == nil {
		d.byNumber, d.byURL = map[uint32]door{}, map[message.URL]door{}
	}
	added := door{url: url.Canonical(), lane: lane}
	d.byNumber[number], d.byURL[added.url] = added, added
	d.pumping++
}

// pumped notes that the frames of one door are all handed on.
func (d *doors) pumped() { d.pumping-- }

// close removes a door. What has arrived by it can still be received.
func (d *doors) close(number uint32) {
	if closed, ok := d.byNumber[number]; ok {
		delete(d.byNumber, number)
		delete(d.byURL, closed.url)
		closed.lane.End()
	}
}

// end ends all lanes: nothing more arrives by them.
func (d *doors) end() {
	for _, open := range d.byNumber {
		open.lane.End()
	}
}

// lane is an open door's, or nil.
func (d *doors) lane(url message.URL) *link.Lane { return d.byURL[url.Canonical()].lane }

// doorURL checks a door's address: a stub opens its own URL, or one below it.
func doorURL(text string, owner message.URL) (message.URL, bool) {
	u, err := message.ParseURL(text)
	return u, err == nil && u.Within(owner)
}
