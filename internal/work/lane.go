package work

// Lane is what waits for one worker. Items come from sources. Those of one source keep their order; the sources have turns, of
// a few items at a time, so that nobody waits for all that another one has brought. Who needs no turns says 0 for each.
//
// Where all items are of one source, as they mostly are, there is only the first list. The others, which are made when a
// second source comes, are shared by the sources that have the same number modulo 64. A source stays in its list while
// anything waits; so none has items in two.
//
// The zero value is an empty lane that is open. Its owner's lock guards it.
type Lane[T any] struct {
	Memory *Memory[T] // nil: of its own

	n       int    // items in all
	source  uint32 // whose the first list is; another's only when nothing waits
	first   list[T]
	others  *[numOthers]list[T] // nil: not needed yet
	head    *list[T]            // of those that are not empty, in the order of their turns
	tail    *list[T]
	running bool // somebody works, or has been told to
	held    bool
}

const (
	numOthers  = 64 // lists beside the first. Sources may be more, where strangers choose how many they are
	turnBlocks = 4  // of a list that are taken at once: enough that what a turn costs is little for each item
)

// Len is how many items wait.
func (l *Lane[T]) Len() int { return l.n }

// LenOf is how many items wait in the list of a source.
func (l *Lane[T]) LenOf(source uint32) int { return l.of(source).n }

// Busy tells whether somebody works or something waits.
func (l *Lane[T]) Busy() bool { return l.running || l.n > 0 }

// Running tells whether somebody works.
func (l *Lane[T]) Running() bool { return l.running }

// Add adds an item. Where begin is true the caller starts the worker, which calls Next or Take until there is nothing.
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

// Claim makes the caller the worker, where nobody works, nothing waits and the lane is not held. It calls Leave or Next then.
func (l *Lane[T]) Claim() bool {
	if l.Busy() || l.held {
		return false
	}
	l.running = true
	return true
}

// Leave is the end of a worker. Where begin is true something waits, and the caller starts another.
func (l *Lane[T]) Leave() (begin bool) {
	l.running = false
	return l.resume()
}

// Hold has the lane keep what comes until it is opened.
func (l *Lane[T]) Hold() { l.held = true }

// Open ends Hold. Where begin is true something waits, and the caller starts the worker.
func (l *Lane[T]) Open() (begin bool) {
	l.held = false
	return l.resume()
}

func (l *Lane[T]) resume() (begin bool) {
	begin = l.n > 0 && !l.running && !l.held
	l.running = l.running || begin
	return begin
}

// Next removes the item that is next, for the worker. Where it is not ok there is none, and the worker has ended.
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

// Take removes the items of one turn, for the worker, who gives each block back to Memory.Done. Where it is nil there are none,
// and the worker has ended.
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

// turn is the list whose turn it is; nil: nothing waits.
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

// of is the list of a source.
func (l *Lane[T]) of(source uint32) *list[T] {
	if source == l.source {
		return &l.first
	}
	return l.other(source)
}

// other is of for a source that the first list is not the one of.
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

// drop gives the memory of lists back that are all empty.
func (l *Lane[T]) drop() {
	if l.others != nil && l.Memory != nil {
		l.Memory.others.Put(l.others)
	}
	l.others = nil
}
