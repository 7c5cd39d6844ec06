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
	return msg.RespondBody(message.Encode(s.value()))
}

// Reclaimed is the response to the create of an object that was there already, to its reporter, which is told who observes.
func (s Snapshot) Reclaimed(msg message.Message, observers message.URLs) message.Message {
	value := s.value()
	value.Reclaimed, value.Observers = true, observers
	return msg.RespondBody(message.Encode(value))
}

// Whole is the object's metadata with its data.
func (s Snapshot) Whole() object.Metadata {
	meta := s.meta
	meta.Data, meta.Hash = s.doc.JSON(), s.doc.Hash()
	return meta
}

func (s Snapshot) value() protocol.Value {
	meta := s.Whole()
	return protocol.Value{
		Code: message.CodeOK, Schema: meta.Schema, Resource: s.url, Owner: meta.Reporter, Children: meta.Childrens, Value: message.Encode(meta),
	}
}
