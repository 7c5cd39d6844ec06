package object

import (
	"bytes"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// restTime is how long a document has not changed when it is packed.
const restTime = time.Second

// Rest has the document of a Connection object packed when it rests. Such an object changes while its connection is set up, a
// hundred times at most, and then no more for as long as that lives; a runtime has two for every peer. Packed between the
// changes it would be read and written as a whole for each. The zero value is ready; the lock of the document guards it.
type Rest struct{ timer *time.Timer }

// Changed is called when the document of the object at url has changed. When it rests pack is called, on a goroutine of its
// own, which calls Packed.
func (r *Rest) Changed(url message.URL, pack func()) {
	switch {
	case url.Scheme() != message.SchemeConnection:
	case r.timer == nil:
		r.timer = time.AfterFunc(restTime, pack)
	default:
		r.timer.Reset(restTime)
	}
}

// Packed is d as it is kept while it rests.
func (r *Rest) Packed(d Document) Document {
	r.timer = nil
	return d.Packed()
}

// Packed returns the same document in a fifth of the memory or so. What is done with it takes longer, and a document that
// Apply makes of it is not packed: it is for many documents that change no more.
func (d Document) Packed() Document {
	if d.root == nil {
		return d
	}
	return Document{text: bytes.Clone(encode(d.root)), size: d.size} // its buffer has room that is not needed
}
