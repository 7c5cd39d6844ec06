package handover

// fifo is a queue whose memory is used again.
type fifo[T any] struct {
	list []T
	head int // the first in list that counts
}

func (q *fifo[T]) len() int { return len(q.list) - q.head }

func (q *fifo[T]) first() *T { return &q.list[q.head] }

func (q *fifo[T]) at(i int) *T { return &q.list[q.head+i] }

func (q *fifo[T]) push(v T) {
	if len(q.list) == cap(q.list) && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, v)
}

func (q *fifo[T]) pop() (v T) {
	v, q.list[q.head] = q.list[q.head], v
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return v
}

// takeAll empties q.
func (q *fifo[T]) takeAll() []T {
	all := q.list[q.head:]
	*q = fifo[T]{}
	return all
}
