package identity

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Examine checks what is in the data folder dir, and returns the errors that [Open] and [Trust.Policy] would return. It changes
// nothing. A file that these would make, or write again in the new form, is no error.
func Examine(dir string, trust Trust) error {
	_, err := readKey(filepath.Join(dir, KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if trust.Mode != Pinned {
		return err
	}
	p := newPolicy(trust, dir)
	_, pins := p.read()
	return errors.Join(err, pins)
}
