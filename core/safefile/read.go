package safefile

import (
	"fmt"
	"io"
)

// Read is the whole of a file of at most limit bytes, which must belong to this process's user (or to root, or to the
// owner of its folder where root is this process's user), and which nobody else may change. secret: nobody else may
// read it either. The error says what to do; it wraps [fs.ErrNotExist] where there is no such file, and [ErrExposed].
func Read(path string, limit int64, secret bool) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is read, whatever stands at the path by now
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	if err := checkFile(path, info, secret); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes: %w", path, limit, ErrDamaged)
	}
	return text, err
}
