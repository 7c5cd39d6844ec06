package ownnode

import (
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

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

// jitter is d, a quarter more or less.
func jitter(d time.Duration) time.Duration { return d*3/4 + mathrand.N(d/2+1) }
