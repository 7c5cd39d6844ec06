package outbox

const (
	// turnBytes is what a line may write in one turn.
	turnBytes = 16 << 10
	// looked is among how many lines, besides the one that had the most when it got more, the one is sought that loses a packet.
	looked = 16
)

// line is what one sender has waiting, the oldest first.
type line struct {
	packets []Packet
	first   int // in packets; those before it have been written
	bytes   int64
	alien   bool // a stranger's

	left       int  // bytes that it may write in this turn; what a packet is longer than that, it lacks in the next one
	in         bool // a rotation
	prev, next *line
}

// rotation is lines that have something, the one whose turn it is first: deficit round robin, where a line may overdraw
// its turn by one packet. The zero value is empty.
type rotation struct {
	front, back *line
	most        *line // the one that had the most when it got more, as far as it is here still; nil: not known
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

// turn is the line that may write, nil where there is none.
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

// grew notes that a line has got more.
func (r *rotation) grew(l *line) {
	if r.most == nil || l.bytes > r.most.bytes {
		r.most = l
	}
}

// longest is the line with the most bytes among the next ones and the one that is known to have had the most, but for one.
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
