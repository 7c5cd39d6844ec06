package object

import (
	"bytes"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// packAfter is the time without a change after which a document is packed.
const packAfter = time.Second

// Packer packs the document of a Connection object when it has not changed for a second. Such an object changes at most a
// hundred times while its connection is set up, and then no more for as long as the connection lives; a runtime has two for
// every peer. If it were packed after each change, each further change would read and write all of it. The zero value is
// ready. The lock that guards the document guards its Packer too.
type Packer struct{ timer *time.Timer }

// Changed is called when the document of the object at url has changed. If it does not change for a second then, pack is called
// on a goroutine of its own. pack calls Packed.
func (r *Packer) Changed(url message.URL, pack func()) {
	switch {
	case url.Scheme() != message.SchemeConnection:
	case r.timer == nil:
		r.timer = time.AfterFunc(packAfter, pack)
	default:
		r.timer.Reset(packAfter)
	}
}

// Packed returns d in the form in which it is kept while it does not change.
func (r *Packer) Packed(d Document) Document {
	r.timer = nil
	return d.Packed()
}

// Packed returns the same document in a fifth of the memory or so. Its methods take longer, and a document that Apply makes of
// it is not packed: it is for many documents that do not change any more.
func (d Document) Packed() Document {
	if d.root == nil {
		return d
	}
	return Document{text: bytes.Clone(encode(d.root)), size: d.size, hash: d.hash} // its buffer has room that is not needed
}
