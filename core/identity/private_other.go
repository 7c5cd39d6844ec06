//go:build !unix

package identity

// private does nothing where files have no mode bits: the data folder's own protection is the user profile's.
func private(string) error { return nil }
