package safefile

import (
	"fmt"
	"io"
)

// Read reads a file of at most limit bytes. The file must belong to this process's user or to root, or, if this process's
// user is root, to the owner of its folder; and no other user may be able to change it. secret: nor to read it.
// The error says what to do. It wraps [fs.ErrNotExist], [ErrExposed], or [ErrDamaged] where the file is too large.
func Read(path string, limit int64, secret bool) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: the path may lead to another one by now
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
