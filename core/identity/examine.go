package identity

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Examine tells whether [Open] and [Trust.Policy] take what is in the data folder dir, as their errors do. It changes nothing: what
// they would make, or write anew, is well.
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
