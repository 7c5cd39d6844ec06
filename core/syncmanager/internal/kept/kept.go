// Package kept keeps data objects in a folder, so that they outlive their runtime.
//
// There is one file an object, written as package safefile does: whole or not at all, with a checksum, and nobody else may write it.
// When [Folder.Write] returns nil the object outlives a crash of the machine; else the file of before is there still. Their number and
// size are bounded: what would be too much is an error, as is a disk that is full, and changes nothing.
package kept

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Limits of a folder.
const (
	MaxObjects = 1024
	MaxBytes   = 64 << 20 // of all files
	maxFile    = 4 << 20  // an object's data and its observers
)

const (
	kind   = "object"
	suffix = ".object"
	broken = ".damaged"
)

// Record is what is kept of an object.
type Record struct {
	Object    object.Metadata      `json:"object"` // with its data
	Private   bool                 `json:"private,omitempty"`
	Observers []reporting.Observer `json:"observers,omitempty"` // whom the reporter has allowed
}

// ErrFull says that more objects, or more bytes, would be kept than are allowed.
var ErrFull = errors.New("no more data objects are kept")

// Folder is where objects are kept. It is made by [Open]. Any goroutine uses it; of one object one at a time.
type Folder struct {
	dir string

	mu    sync.Mutex
	sizes map[string]int // by file
	bytes int
}

// Open makes the folder where there is none, and reads the objects in it. A file that is damaged is set aside, under another name, and
// is among what is wrong; the others are read all the same. The error says that the folder cannot be used.
func Open(dir string) (f *Folder, records []Record, wrong []error, err error) {
	if err := safefile.MakeFolder(dir); err != nil {
		return nil, nil, nil, fmt.Errorf("folder of data objects: %w", err)
	}
	if _, err := safefile.CheckFolder(dir); err != nil {
		return nil, nil, nil, fmt.Errorf("folder of data objects: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("folder of data objects: %w", err)
	}
	f = &Folder{dir: dir, sizes: make(map[string]int)}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		switch {
		case strings.HasPrefix(file.Name(), "."): // left by a process that was killed while it wrote
			_ = os.Remove(path)
		case strings.HasSuffix(file.Name(), suffix):
			record, size, err := read(path)
			if err == nil && file.Name() != name(record.Object.URL) {
				err = fmt.Errorf("%w: it holds %s, which is kept elsewhere", safefile.ErrDamaged, record.Object.URL)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("the data object in %s is not there: %w", path, err))
				if errors.Is(err, safefile.ErrDamaged) {
					_ = os.Rename(path, path+broken)
				}
				continue
			}
			f.sizes[file.Name()] = size
			f.bytes += size
			records = append(records, record)
		}
	}
	return f, records, wrong, nil
}

func read(path string) (Record, int, error) {
	text, err := safefile.Read(path, maxFile, false)
	if err != nil {
		return Record{}, 0, err
	}
	payload, sealed, err := safefile.Unseal(kind, text)
	if err == nil && !sealed {
		err = fmt.Errorf("%w: its first line is missing", safefile.ErrDamaged)
	}
	if err != nil {
		return Record{}, 0, err
	}
	var r Record
	if err := json.Unmarshal(payload, &r); err != nil {
		return Record{}, 0, fmt.Errorf("%w: %w", safefile.ErrDamaged, err)
	}
	if err := r.Object.Check(); err != nil {
		return Record{}, 0, fmt.Errorf("%w: %w", safefile.ErrDamaged, err)
	}
	return r, len(text), nil
}

func name(url message.URL) string {
	sum := sha256.Sum256([]byte(url.Canonical()))
	return hex.EncodeToString(sum[:16]) + suffix
}

// Write keeps an object as it is now. The error wraps [ErrFull], or is the disk's.
func (f *Folder) Write(r Record) error {
	text := safefile.Seal(kind, message.Encode(r))
	if len(text) > maxFile {
		return fmt.Errorf("keep %s: %w: it has %d bytes with its observers, at most %d are allowed", r.Object.URL, ErrFull, len(text), maxFile)
	}
	file := name(r.Object.URL)
	old, err := f.reserve(file, len(text))
	if err != nil {
		return fmt.Errorf("keep %s: %w", r.Object.URL, err)
	}
	if err := safefile.Write(filepath.Join(f.dir, file), text); err != nil {
		f.size(file, old)
		return fmt.Errorf("keep %s: %w", r.Object.URL, err)
	}
	return nil
}

// Remove keeps an object no more. One that is not there is no error.
func (f *Folder) Remove(url message.URL) error {
	file := name(url)
	err := os.Remove(filepath.Join(f.dir, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget %s: %w", url, err)
	}
	f.size(file, 0)
	if err == nil {
		err = safefile.SyncFolder(f.dir)
	} else {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("forget %s: %w", url, err)
	}
	return nil
}

// reserve counts a file that is to be written, and returns what it has counted before.
func (f *Folder) reserve(file string, size int) (old int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, known := f.sizes[file]
	switch {
	case !known && len(f.sizes) >= MaxObjects:
		return 0, fmt.Errorf("%w: there are %d, the most that are allowed", ErrFull, len(f.sizes))
	case f.bytes-old+size > MaxBytes:
		return 0, fmt.Errorf("%w: all together would have more than %d bytes", ErrFull, MaxBytes)
	}
	f.sizes[file] = size
	f.bytes += size - old
	return old, nil
}

// size says what a file counts; 0: it is not there.
func (f *Folder) size(file string, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes += size - f.sizes[file]
	if f.sizes[file] = size; size == 0 {
		delete(f.sizes, file)
	}
}
