//go:build !linux

package sandbox

// MayBecome says that it cannot be done here.
func MayBecome(uint32, string) error {
	return &UserError{Why: "it is not done on this system"}
}

// Become fails: see [MayBecome].
func Become(User) error { return MayBecome(0, "") }

// Unreadable is nothing here.
func Unreadable([]string) []string { return nil }
