//go:build !linux

package descendants

// BecomeReaper does nothing: only Linux has subreapers.
func BecomeReaper() error { return nil }

// sweep finds nothing: this system does not tell what processes have started.
func (f *Tracker) sweep() (found int, unread []int) { return 0, nil }

func (f *Tracker) sweepChildren() {}

func (f *Tracker) owns(int) bool { return false }
