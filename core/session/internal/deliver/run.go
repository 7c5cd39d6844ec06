package deliver

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/receiver"
)

// Source is where batches wait.
type Source interface {
	// Batches are those that wait, in exchange for the memory of room. idle: there was nothing to deliver for a while. Then there
	// may be an end: Run returns, and is to be called again for what comes later.
	Batches(room []receiver.Batch, idle bool) (list []receiver.Batch, end bool)
}

// Run delivers what source has, until there was nothing for as long as linger, or the runtime ends. came says that there may be
// something again. done is called when it returns.
func (w *Deliverer) Run(done func(), linger time.Duration, came <-chan struct{}, source Source) {
	defer done()
	timer := time.NewTimer(linger)
	defer timer.Stop()
	var batches []receiver.Batch
	for idle := false; ; {
		var end bool
		if batches, end = source.Batches(batches, idle); end {
			return
		}
		for i := range batches {
			if _, ended := w.Deliver(&batches[i]); ended {
				return
			}
			batches[i] = receiver.Batch{}
		}
		if idle = false; len(batches) > 0 {
			continue
		}
		timer.Reset(linger)
		select {
		case <-came:
		case <-timer.C:
			idle = true
		case <-w.life.Done():
			return
		}
	}
}
