package syncher

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Change is one step of an observed object. Several additions in one update come as one change each.
type Change struct {
	Attribute string          // the path; empty with Deleted and Resync
	Operation Operation       // OpSet, OpAdd (an element of an array, inserted at the path's index) or OpRemove
	Value     json.RawMessage // what was set or added; with Resync all of the data
	Version   uint64          // of the object, with this change in it
	Deleted   bool            // the object is gone; the last change
	Resync    bool            // the data was replaced: changes before may have been missed
	Since     time.Time       // with OpAway
	End       End             // with Deleted: why
	Reason    string          // with EndKicked: what the reporter says
}

// End is why an object is gone for an observer.
type End string

// The ends of an observation. The empty string is that of a runtime that does not say.
const (
	EndDeleted = End("deleted") // by its reporter, or it was not there any more when the reporter's runtime was
	EndExpired = End("expired") // its reporter was away for longer than its grace time
	EndKicked  = End("kicked")  // the reporter has ended this observation: [Reporter.Kick]
	EndRefused = End("refused") // the reporter does not allow this observer any more
)

// Observer is a copy of an object that follows its reporter.
type Observer struct {
	s        *Syncher
	url      message.URL
	children chan struct{} // holds a token for each change of a child object that is under way

	mu         sync.Mutex
	meta       object.Metadata // without data
	doc        object.Document
	packer     object.Packer
	check      object.Check
	joining    bool            // the object is being fetched: updates wait in early
	early      []object.Update //
	earlyBytes int
	doubted    bool     // the object is to be fetched anew some time later
	changes    []Change // for Next
	bytes      int      // of the values in changes
	ended      bool
	wake       chan struct{} // holds a token when there is something for Next
}

// Reporter is the one side of an object that may change it. Its methods may be called from many goroutines; changes
// are made one after the other.
type Reporter struct {
	s       *Syncher
	url     message.URL
	scheme  string
	private bool
	wished  bool // the address

	turn chan struct{} // holds one token: whoever has it makes a change

	mu      sync.Mutex
	meta    object.Metadata // without data
	doc     object.Document
	packer  object.Packer
	doubt   doubt
	gone    bool
	allow   func(message.URL) bool
	invited map[message.URL]struct{}
	onChild func(ChildChange)

	reclaimed  bool
	observers  map[message.URL]struct{}
	onObserver func(ObserverChange)
}

// ObserverChange is what a reporter is told of its object's observers.
type ObserverChange struct {
	Observer message.URL
	Joined   bool // else it has left: by itself, with its application or runtime, or because it was kicked
}

// doubt is what a reporter knows of a change whose answer was lost. Its version is not used again.
type doubt struct {
	is       bool // the runtime, and observers, may have the change: the next one carries the whole object
	settling bool // a goroutine sends the whole object
}

// ChildChange tells a reporter what happened to a child object.
type ChildChange struct {
	ID      string
	Child   Child // as it is now; where it was removed, as it was
	Removed bool
}

// Invitation describes to an observer an object to which it is invited and has not subscribed yet.
type Invitation struct {
	URL      message.URL     // the object
	Reporter message.URL     // the component that reports it
	Runtime  message.URL     // the reporter's runtime, as the reporter says
	Schema   message.URL     //
	Name     string          //
	Metadata json.RawMessage // all of it, as it came

	reply *reply
}

type reply struct {
	s    *Syncher
	m    message.Message
	done atomic.Bool
}
