package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Writable tells whether files can be made in dir, or dir itself where it is not there yet. It leaves nothing behind.
func Writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is no folder", dir)
		case err == nil:
			f, err := os.CreateTemp(dir, ".protofly-*")
			if err != nil {
				return fmt.Errorf("cannot write in %s: %w", dir, errors.Unwrap(err))
			}
			return errors.Join(f.Close(), os.Remove(f.Name()))
		case !errors.Is(err, os.ErrNotExist) || filepath.Dir(dir) == dir:
			return err
		}
		dir = filepath.Dir(dir)
	}
}
