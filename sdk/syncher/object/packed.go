package object

import (
	"bytes"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// Kept is the document of the object at url as it is best kept. A Connection object changes while its connection is set
// up, and then no more for as long as that lives; a runtime has two for every peer. They are kept packed.
func Kept(url message.URL, d Document) Document {
	if url.Scheme() == message.SchemeConnection {
		return d.Packed()
	}
	return d
}

// Packed returns the same document in a fifth of the memory or so. What is done with it takes longer, and a document that
// Apply makes of it is not packed: it is for many documents that change no more.
func (d Document) Packed() Document {
	if d.root == nil {
		return d
	}
	return Document{text: bytes.Clone(encode(d.root)), size: d.size} // its buffer has room that is not needed
}

// open is the document's root; nil: an empty one.
func (d Document) open() map[string]any {
	if d.text == nil {
		return d.root
	}
	v, err := decode(d.text, 0)
	root, ok := v.(map[string]any)
	if err != nil || !ok {
		panic(fmt.Sprintf("a packed document is not what was packed: %v", err)) // Packed has written it
	}
	return root
}
