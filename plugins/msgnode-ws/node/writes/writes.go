// Package writes says whether the state may be written to now, and what to answer if not: the disk is full, NATS has a fault, a
// runtime writes too often, or the state has no room.
package writes

import (
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// Writes decides about writes to a node's state.
type Writes struct {
	Folder  string // the folder of the state; "": it is at other servers
	MinFree int64  // bytes that stay free on the disk of Folder
	Limit   int    // writes of one runtime in a second, for the text of a refusal
	Rates   *rates.Rates
	NATS    Fault
	Log     hclog.Logger
}

// Fault is why NATS cannot write.
type Fault interface {
	Fault() string // "": it can
}

// Payer pays for writes: it is a connection.
type Payer interface {
	Charge(cost int) *refusal.Refusal
	Finish() // ends its turn to compute, since it waits for the disk
}

// May tells whether a runtime may write rows to the state now, and charges c for those beyond the first one, which the price of
// the request includes. The refusal is the response to give.
func (w *Writes) May(c Payer, runtime message.URL, rows int) *refusal.Refusal {
	if free, ok := w.free(); ok && free < w.MinFree {
		return refusal.New(message.CodeError, "the disk under the node's data folder is full: %d bytes free, %d are kept free; nothing was written",
			free, w.MinFree)
	}
	if why := w.NATS.Fault(); why != "" {
		return refusal.New(message.CodeError, "the node's state cannot be written: %s", why)
	}
	if wait, ok := w.Rates.Write(runtime, rows, time.Now()); !ok {
		return refusal.TryAgain(wait, "too many changes: at most %d a second", w.Limit)
	}
	if rows > 1 {
		if r := c.Charge(w.Rates.RowsPrice(rows)); r != nil {
			return r
		}
	}
	c.Finish() // from here on it waits for the disk
	return nil
}

// DiskFull tells whether nothing can be written because the disk is full.
func (w *Writes) DiskFull() bool {
	free, ok := w.free()
	return ok && free < w.MinFree
}

func (w *Writes) free() (int64, bool) {
	if w.Folder == "" {
		return 0, false
	}
	return freeBytes(w.Folder)
}

// Failed is the response to an error of a table, nil for nil.
func (w *Writes) Failed(err error) *refusal.Refusal {
	if err == nil {
		return nil
	}
	if e := (*state.Full)(nil); errors.As(err, &e) {
		return refusal.New(e.Code, "%s", e.Text)
	}
	w.Log.Error("state", "error", err)
	code := message.CodeError
	if s := (*table.Error)(nil); errors.As(err, &s) {
		code = s.Code()
	}
	if why := w.NATS.Fault(); why != "" {
		return refusal.New(message.CodeError, "the node's state cannot be written: %s", why)
	}
	return refusal.New(code, "%v", err)
}
