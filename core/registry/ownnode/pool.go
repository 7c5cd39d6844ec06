package ownnode

import (
	"errors"
	"slices"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// pool holds allocated addresses that are not used yet, by scheme.
type pool struct {
	mu      sync.Mutex
	free    map[string][]message.URL
	filling map[string]chan struct{} // closed when the block has come
}

func isCode(err error, codes ...int) bool {
	var no *message.ResponseError
	return errors.As(err, &no) && slices.Contains(codes, no.Code)
}
