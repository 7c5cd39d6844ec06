package stub

import (
	"fmt"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk/message"
)

// maxPumping bounds the doors of a run that are open, or are closed and have frames left.
const maxPumping = 2 * link.MaxDoors

// doors has the doors of one run. The zero value has none.
type doors struct {
	last     uint32 // the highest number of a door
	pumping  int    // doors whose frames are being passed on, also closed ones
	byNumber map[uint32]door
	byURL    map[message.URL]door // by canonical URL
}

type door struct {
	url  message.URL // canonical
	lane *link.Lane
}

// next notes the number of a door that the plug-in wants to open. Numbers grow; the error is a [*link.ProtocolError].
func (d *doors) next(number uint32, stub message.URL) error {
	if number <= d.last {
		return &link.ProtocolError{What: fmt.Sprintf("door number %d of stub %s is not a new one", number, stub)}
	}
	d.last = number
	return nil
}

// mayOpen tells whether one more door may be opened, with this URL.
func (d *doors) mayOpen(url message.URL) bool {
	_, isOpen := d.byURL[url.Canonical()]
	return !isOpen && len(d.byURL) < link.MaxDoors && d.pumping < maxPumping
}

// open adds a door. The caller calls [doors.pumped] when its last frame was passed on.
func (d *doors) open(number uint32, url message.URL, lane *link.Lane) {
	if d.byNumber == nil {
		d.byNumber, d.byURL = map[uint32]door{}, map[message.URL]door{}
	}
	added := door{url: url.Canonical(), lane: lane}
	d.byNumber[number], d.byURL[added.url] = added, added
	d.pumping++
}

// pumped notes that all frames of one door are passed on.
func (d *doors) pumped() { d.pumping-- }

// close removes a door. Its frames that have arrived can still be received.
func (d *doors) close(number uint32) {
	if closed, ok := d.byNumber[number]; ok {
		delete(d.byNumber, number)
		delete(d.byURL, closed.url)
		closed.lane.End()
	}
}

// end ends the lanes of all doors: nothing more arrives by them.
func (d *doors) end() {
	for _, open := range d.byNumber {
		open.lane.End()
	}
}

// lane returns the lane of an open door, or nil.
func (d *doors) lane(url message.URL) *link.Lane { return d.byURL[url.Canonical()].lane }

// doorURL checks a door's address: a stub opens its own URL, or one below it.
func doorURL(text string, owner message.URL) (message.URL, bool) {
	u, err := message.ParseURL(text)
	return u, err == nil && u.Within(owner)
}
