package table

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// silentBucket is a bucket that does not say that all rows have come, in as many watches as silent says.
type silentBucket struct {
	*bucket
	silent int
}

func (b *silentBucket) WatchAll(ctx context.Context, o ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	if b.silent--; b.silent < 0 {
		return b.bucket.WatchAll(ctx, o...)
	}
	w := &watcher{make(chan jetstream.KeyValueEntry, 1<<12)}
	for _, e := range b.rows {
		w.updates <- e
	}
	return w, nil
}

// A watch that never says that all rows have come is given up, after a longer time each time in a row, and the next one counts anew.
func TestRowsThatStopComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		row := &entry{key: "1", text: []byte(`{"owner":"a"}`), revision: 1}
		b := &silentBucket{&bucket{rows: map[string]*entry{"1": row}, last: 1}, 5}
		table := New(b, Options[thing]{Name: "things", Terms: (*thing).terms})
		for i, want := range []time.Duration{1, 2, 4, 8, 8} {
			began := time.Now()
			if err := table.Follow(t.Context(), nil); !errors.Is(err, ErrSilent) || time.Since(began) != want*time.Second {
				t.Errorf("watch %d: %v after %v", i, err, time.Since(began))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); table.Follow(ctx, nil) }()
		<-table.Ready()
		time.Sleep(time.Hour) // it is silent from now on because nobody writes
		select {
		case <-done:
			t.Error("a watch ended where nobody wrote")
		default:
		}
		cancel()
		<-done
		b.silent = 1
		if began := time.Now(); !errors.Is(table.Follow(t.Context(), nil), ErrSilent) || time.Since(began) != time.Second {
			t.Errorf("after one that was complete: %v", time.Since(began))
		}
	})
}
