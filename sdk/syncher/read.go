package syncher

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Read returns an object as it is now, its metadata and its data, without observing it (specification, "Read"). It
// asks the sync manager of the reporter's runtime. The error is a *message.ResponseError: 401 where the reporter would
// not let this component observe the object, 404 where there is none, 408 where nobody answered.
func (s *Syncher) Read(ctx context.Context, url message.URL) (Metadata, json.RawMessage, error) {
	meta, doc, err := s.read(ctx, url)
	if err != nil {
		return Metadata{}, nil, fmt.Errorf("read %s: %w", url, err)
	}
	return metadataOf(meta), doc.JSON(), nil
}

func (s *Syncher) read(ctx context.Context, url message.URL) (meta object.Metadata, doc object.Document, err error) {
	if url, err = message.ParseURL(string(url)); err != nil {
		return meta, doc, err
	}
	answer, err := s.bus.Request(ctx, message.Message{Type: message.Read, From: s.owner, To: url})
	if err != nil {
		return meta, doc, err
	}
	if answer.From == "" { // a time-out answer that the bus made
		answer.From = url
	}
	value, err := answer.OK()
	if err != nil {
		return meta, doc, err
	}
	return object.ParseWhole(value)
}
