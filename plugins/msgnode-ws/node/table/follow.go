package table

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A watch first brings the rows that are there, then says that these were all, then brings what changes. The server makes a list
// of the rows when the watch begins. At a row of the list that has ended by its time since, as the mark of a deleted one does after
// a minute, it stops, and goes on with its next heartbeat, 5 s later, or when somebody writes; and if such a row was the last one,
// the library waits for it until somebody writes. While a node starts, nobody does. Right after a restart there may be many such
// rows: the server removes all that ended meanwhile when the node begins to follow. So where no row has come for a while, Follow
// gives up, and the next watch has another list.

// silence is how long the next of the rows that are there may take, before the watch is begun again; twice as long each time
// in a row, up to maxSilence: a slow server must not be asked again and again for what it is sending.
const (
	silence    = time.Second
	maxSilence = 8 * time.Second
)

// ErrSilent is in the error of [Table.Follow] where the rows that were there stopped coming.
var ErrSilent = errors.New("the rows that were there stopped coming")

// Follow keeps the copy up to date until ctx ends. It is to be called again after an error, and after it returned nil
// because renewed was closed.
func (t *Table[T]) Follow(ctx context.Context, renewed <-chan struct{}) error {
	w, err := t.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("follow %s: %w", t.name, err)
	}
	defer w.Stop()
	seen := map[string]bool{} // until everything that was there has come
	patience := min(silence<<min(t.silences, 8), maxSilence)
	silent := time.NewTimer(patience)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renewed:
			return nil
		case <-silent.C:
			t.silences++
			return fmt.Errorf("follow %s: %w", t.name, ErrSilent)
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("follow %s: the watch ended", t.name)
			case e == nil:
				t.drop(seen)
				seen, t.silences = nil, 0
				silent.Stop()
				t.completed()
			default:
				if seen != nil {
					seen[e.Key()] = true
				}
				t.apply(e)
				if seen != nil { // counted from here: what is told of a row may take its time
					silent.Reset(patience)
				}
			}
		}
	}
}

// completed notes that the copy is complete.
func (t *Table[T]) completed() {
	select {
	case <-t.complete:
	default:
		close(t.complete)
	}
}
