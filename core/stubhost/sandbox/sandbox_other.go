//go:build !linux

package sandbox

// Available says what confines processes on this system: nothing. The error is an [*UnavailableError].
func Available() (string, error) {
	return "", &UnavailableError{Why: "this system has no Landlock; on Linux it has"}
}

// Confine is not possible here.
func Confine(Policy) error { _, err := Available(); return err }

// Limit does nothing here.
func Limit(int, Limits) error { return nil }

// Conceal does nothing here.
func Conceal() error { return nil }
