package reach

import "time"

// account is what has been used of a limit that comes back with time.
type account struct {
	datagrams, bytes float64
	at               time.Time
}

// settle brings the account up to now. A clock that goes back changes nothing.
func (a *account) settle(limit Amount, refill time.Duration, now time.Time) {
	if passed := now.Sub(a.at); passed > 0 {
		back := min(float64(passed)/float64(refill), 1)
		a.datagrams = max(a.datagrams-back*float64(limit.Datagrams), 0)
		a.bytes = max(a.bytes-back*float64(limit.Bytes), 0)
		a.at = now
	}
}

func (a *account) room(cost, limit Amount) bool {
	return a.datagrams+float64(cost.Datagrams) <= float64(limit.Datagrams) && a.bytes+float64(cost.Bytes) <= float64(limit.Bytes)
}

func (a *account) take(cost Amount) {
	a.datagrams += float64(cost.Datagrams)
	a.bytes += float64(cost.Bytes)
}

func (a *account) giveBack(spent Amount) {
	a.datagrams = max(a.datagrams-float64(spent.Datagrams), 0)
	a.bytes = max(a.bytes-float64(spent.Bytes), 0)
}

func (a *account) whole() bool { return a.datagrams == 0 && a.bytes == 0 }

// memory remembers for answerHolds which addresses have answered; of more than maxAnswered it forgets the oldest. The zero value
// is empty.
type memory[K comparable] struct{ young, old map[K]time.Time }

func (m *memory[K]) has(k K, now time.Time) bool {
	at, ok := m.young[k]
	if !ok {
		at, ok = m.old[k]
	}
	return ok && now.Sub(at) < answerHolds
}

func (m *memory[K]) add(k K, now time.Time) {
	if m.young == nil || len(m.young) >= maxAnswered/2 {
		m.young, m.old = make(map[K]time.Time), m.young
	}
	m.young[k] = now
}

func (m *memory[K]) len() int { return len(m.young) + len(m.old) }
