package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Writable returns nil if files can be made in dir, or if dir does not exist and can be made. It leaves nothing behind.
func Writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is not a folder", dir)
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
