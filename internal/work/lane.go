package work

// Lane is the queue of one worker. Items come from sources. Items of one source keep their order; the sources take turns of
// a few items each, so that no source waits for all items of another one. A user without sources uses 0 for all items.
//
// Mostly all items are from one source, and there is only the first list. The other lists are made when a second source
// has an item; sources with the same number modulo 64 share one. A source stays in its list while
// the list has items, so that none has items in two lists.
//
// The zero value is an empty lane that is open. The owner's lock guards it.
type Lane[T any] struct {
	Memory *Memory[T] // the pool of blocks; nil: the lane makes its own

	n       int    // items in all
	source  uint32 // the source of the first list; it changes only while the lane is empty
	first   list[T]
	others  *[numOthers]list[T] // the lists of other sources; nil: not needed yet
	head    *list[T]            // the first of the lists that are not empty, in the order of their turns
	tail    *list[T]
	running bool // there is a worker, or Add has returned that the owner starts one
	held    bool
}

const (
	numOthers  = 64 // lists beside the first; there may be more sources, since strangers may choose their number
	turnBlocks = 4  // blocks of one turn: enough to make the cost of a turn small for each item
)

// Len returns how many items wait.
func (l *Lane[T]) Len() int { return l.n }

// LenOf returns how many items wait in the list of a source.
func (l *Lane[T]) LenOf(source uint32) int { return l.of(source).n }

// Busy tells whether there is a worker or an item.
func (l *Lane[T]) Busy() bool { return l.running || l.n > 0 }

// Running tells whether there is a worker.
func (l *Lane[T]) Running() bool { return l.running }

// Add adds an item. If begin is true the caller starts the worker, which calls Next or Take until the lane is empty.
func (l *Lane[T]) Add(source uint32, v *T) (begin bool) {
	list := l.of(source)
	if !list.push(v) && list.grow(l.Memory.block(), v) {
		l.append(list)
	}
	l.n++
	if l.running || l.held {
		return false
	}
	l.running = true
	return true
}

// Claim makes the caller the worker if there is none, the lane is empty and it is not held. Then the caller calls Leave or Next.
func (l *Lane[T]) Claim() bool {
	if l.Busy() || l.held {
		return false
	}
	l.running = true
	return true
}

// Leave ends the worker. If begin is true an item waits, and the caller starts another worker.
func (l *Lane[T]) Leave() (begin bool) {
	l.running = false
	return l.resume()
}

// Hold makes the lane keep its items until Open is called.
func (l *Lane[T]) Hold() { l.held = true }

// Open ends Hold. If begin is true an item waits, and the caller starts the worker.
func (l *Lane[T]) Open() (begin bool) {
	l.held = false
	return l.resume()
}

func (l *Lane[T]) resume() (begin bool) {
	begin = l.n > 0 && !l.running && !l.held
	l.running = l.running || begin
	return begin
}

// Next removes the next item, for the worker. If ok is false there is none, and the worker has ended.
func (l *Lane[T]) Next() (v T, ok bool) {
	q := l.turn()
	if q == nil {
		return v, false
	}
	v = q.pop(l.Memory)
	l.n--
	if q.n > 0 {
		l.append(q)
	}
	return v, true
}

// Take removes the items of one turn, for the worker, which gives each block back with Memory.Done. It returns nil if the lane is
// empty; then the worker has ended.
func (l *Lane[T]) Take() *Block[T] {
	q := l.turn()
	if q == nil {
		return nil
	}
	before := q.n
	batch := q.take(turnBlocks)
	if l.n -= before - q.n; q.n > 0 {
		l.append(q)
	}
	return batch
}

// turn returns the list whose turn it is; nil: the lane is empty.
func (l *Lane[T]) turn() *list[T] {
	q := l.head
	if q == nil {
		l.running = false
		l.drop()
		return nil
	}
	if l.head, q.next = q.next, nil; l.head == nil {
		l.tail = nil
	}
	return q
}

// of returns the list of a source.
func (l *Lane[T]) of(source uint32) *list[T] {
	if source == l.source {
		return &l.first
	}
	return l.other(source)
}

// other returns the list of a source that is not the first list's.
func (l *Lane[T]) other(source uint32) *list[T] {
	if l.n == 0 {
		l.source = source
		return &l.first
	}
	if l.others == nil {
		if l.Memory != nil {
			l.others, _ = l.Memory.others.Get().(*[numOthers]list[T])
		}
		if l.others == nil {
			l.others = new([numOthers]list[T])
		}
	}
	return &l.others[source%numOthers]
}

// append gives q a turn after the others.
func (l *Lane[T]) append(q *list[T]) {
	if l.tail == nil {
		l.head = q
	} else {
		l.tail.next = q
	}
	l.tail = q
}

// drop gives back the memory of the other lists. They are all empty.
func (l *Lane[T]) drop() {
	if l.others != nil && l.Memory != nil {
		l.Memory.others.Put(l.others)
	}
	l.others = nil
}
