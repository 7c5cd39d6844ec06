//go:build unix

package identity

import (
	"fmt"
	"os"
)

// private refuses a key that other users may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("runtime key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("runtime key %s has mode %#o: others may read it; if nobody has, run chmod 600 on it, else remove it to get a new key", path, info.Mode().Perm())
	}
	return nil
}
