package replica

import (
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Snapshot is an object as it was at one moment. Nothing changes in it.
type Snapshot struct {
	url  message.URL
	meta object.Metadata
	doc  object.Document
}

// Answer is the response to msg that carries the object. Encoding a large one takes time: no lock is to be held for it.
func (s Snapshot) Answer(msg message.Message) message.Message {
	meta := s.meta
	meta.Data, meta.Hash = s.doc.JSON(), s.doc.Hash()
	return msg.RespondBody(message.Encode(protocol.Value{
		Code: message.CodeOK, Schema: meta.Schema, Resource: s.url, Owner: meta.Reporter, Children: meta.Childrens, Value: message.Encode(meta),
	}))
}
