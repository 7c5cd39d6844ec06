package outbox

const (
	// turnBytes is what a line may write in one turn.
	turnBytes = 16 << 10
	// looked is how many lines are looked at for the one that loses a packet, besides the line that was the longest when it
	// grew last.
	looked = 16
)

// line has the packets of one sender, the oldest first.
type line struct {
	packets []Packet
	first   int // in packets; those before it have been written
	bytes   int64
	alien   bool // a stranger's

	left       int  // bytes that it may write in this turn; a packet's excess is taken off the next turn
	in         bool // a rotation
	prev, next *line
}

// rotation is a list of lines with packets, first the one whose turn it is: deficit round robin, in which a line may overdraw
// its turn by one packet. The zero value is empty.
type rotation struct {
	front, back *line
	most        *line // the line that was the longest when it grew last, while it is in the list; nil: not known
}

// join puts a line at the end.
func (r *rotation) join(l *line) {
	if l.in {
		return
	}
	l.in, l.left = true, min(l.left, 0)+turnBytes
	l.prev, l.next = r.back, nil
	if r.back == nil {
		r.front = l
	} else {
		r.back.next = l
	}
	r.back = l
}

// leave takes a line out.
func (r *rotation) leave(l *line) {
	if !l.in {
		return
	}
	l.in = false
	if r.most == l {
		r.most = nil
	}
	if l.prev == nil {
		r.front = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		r.back = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.prev, l.next = nil, nil
}

// turn returns the line that may write, nil if there is none.
func (r *rotation) turn() *line {
	for r.front != nil && r.front.left <= 0 {
		l, most := r.front, r.most
		left := l.left
		r.leave(l)
		r.join(l)
		l.left, r.most = left+turnBytes, most
	}
	return r.front
}

// grew notes that a line has grown.
func (r *rotation) grew(l *line) {
	if r.most == nil || l.bytes > r.most.bytes {
		r.most = l
	}
}

// longest returns the line with the most bytes among the next ones and most, except but.
func (r *rotation) longest(but *line) *line {
	l, longest := r.front, r.most
	for range looked {
		if l == nil {
			break
		}
		if l != but && (longest == nil || l.bytes > longest.bytes) {
			longest = l
		}
		l = l.next
	}
	return longest
}
