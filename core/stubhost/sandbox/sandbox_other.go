//go:build !linux

package sandbox

// Available returns an [*UnavailableError]: nothing confines processes on this system.
func Available() (string, error) {
	return "", &UnavailableError{Why: "this system has no Landlock; on Linux it has"}
}

// Confine returns an [*UnavailableError].
func Confine(Policy) error { _, err := Available(); return err }

// Limit does nothing on this system.
func Limit(int, Limits) error { return nil }

// Conceal does nothing on this system.
func Conceal() error { return nil }
