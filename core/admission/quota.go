package admission

// Quota limits how much of something there may be at once, in units of the user's choice. The limits are set before it is used;
// 0 means no limit.
type Quota struct {
	All  int // of all accounts together
	Each int // of one account
	// Least, with All, shares what is free: an account may have at most half of what is still free, so that accounts that
	// never give back leave something for others. But each account may have Least, while there is room.
	Least int
	// Within is a quota that this one is a part of: it also counts what is charged here, without a check of its limits.
	Within *Quota

	used int
}

// Account counts what has been charged to one user of a quota. The zero value has been charged nothing.
type Account struct {
	Each int // a limit of its own, in place of the quota's; 0: the quota's
	used int
}

// Refusal is why a quota has no room.
type Refusal int

// The refusals. After [FullAll] there is room as soon as any account gives something back.
const (
	Room     Refusal = iota // none: there is room
	FullEach                // the account has as much as it may
	FullAll                 // all accounts together have as much as they may
)

// Look tells whether n more may be charged to a, without charging them.
func (q *Quota) Look(a *Account, n int) Refusal {
	each := q.Each
	if a.Each > 0 {
		each = a.Each
	}
	if q.Least > 0 {
		each = min(each, max(q.Least, (q.All-q.used)/2))
	}
	switch {
	case each > 0 && a.used+n > each:
		return FullEach
	case q.All > 0 && q.used+n > q.All:
		return FullAll
	}
	return Room
}

// Charge charges n to a, if there is room.
func (q *Quota) Charge(a *Account, n int) Refusal {
	no := q.Look(a, n)
	if no == Room {
		q.Add(a, n)
	}
	return no
}

// Add charges n to a whether there is room or not; a negative n gives back.
func (q *Quota) Add(a *Account, n int) {
	a.used += n
	for ; q != nil; q = q.Within {
		q.used += n
	}
}

// Used is what is charged at present.
func (q *Quota) Used() int { return q.used }

// Used is what is charged to a at present.
func (a *Account) Used() int { return a.used }
