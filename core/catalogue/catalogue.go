package catalogue

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/sdk"
)

const (
	maxDescriptor = 64 << 10 // bytes
	maxName       = 64
)

// Descriptor is an installed plug-in.
type Descriptor struct {
	sdk.Descriptor
	Executable string `json:"executable"` // its file name in the catalogue's directory
	SHA256     string `json:"sha256"`     // of the executable, in hexadecimal
	Path       string `json:"-"`          // of the executable
}

// NotFoundError says that no plug-in of a name is installed.
type NotFoundError struct {
	Name, Dir string
	Nearest   []string // installed names, the most alike first
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("no plug-in %q is installed in %s", e.Name, e.Dir)
	if len(e.Nearest) == 0 {
		return s + "; install one with: protofly plugins install FILE"
	}
	return s + "; did you mean " + strings.Join(e.Nearest, " or ") + "?"
}

// Catalogue is a directory of installed plug-ins. It is read again for each question, so plug-ins that are installed later count.
type Catalogue struct{ dir string }

// Open opens the catalogue in dir. A directory that does not exist is an empty catalogue. It fails where others may write in the
// directory; the error says what to do.
func Open(dir string) (*Catalogue, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("catalogue: %s is not a directory", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("catalogue: %w", err)
	} else if err == nil {
		if err := checkFolder(dir); err != nil {
			return nil, fmt.Errorf("catalogue: %w", err)
		}
	}
	return &Catalogue{dir: dir}, nil
}

// checkFolder refuses a directory in which others may write: they would decide which programs the runtime runs.
func checkFolder(dir string) error {
	_, err := safefile.CheckFolder(dir)
	return err
}

// List returns all installed plug-ins, by name. The error is about the first descriptor that cannot be read; the others are
// listed all the same.
func (c *Catalogue) List() ([]Descriptor, error) {
	names, first := c.names()
	var all []Descriptor
	for _, name := range names {
		d, err := c.read(name)
		if err != nil {
			first = errors.Join(first, err)
			continue
		}
		all = append(all, d)
	}
	return all, first
}

func (c *Catalogue) names() ([]string, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && checkName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// Find returns the plug-in with the name. The error is a [*NotFoundError], or says what is wrong with its descriptor.
func (c *Catalogue) Find(name string) (Descriptor, error) {
	if checkName(name) == nil {
		d, err := c.read(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return d, err
		}
	}
	names, _ := c.names()
	return Descriptor{}, &NotFoundError{Name: name, Dir: c.dir, Nearest: nearest(name, names)}
}

func (c *Catalogue) read(name string) (Descriptor, error) {
	path := filepath.Join(c.dir, name+".json")
	f, err := os.Open(path)
	if err != nil {
		return Descriptor{}, fmt.Errorf("catalogue: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDescriptor+1))
	if err != nil {
		return Descriptor{}, fmt.Errorf("catalogue: %w", err)
	}
	d, err := parse(text)
	if err == nil && d.Name != name {
		err = fmt.Errorf("it is the descriptor of %q", d.Name)
	}
	if err != nil {
		return Descriptor{}, fmt.Errorf("catalogue: %s: %w; install the plug-in again", path, err)
	}
	d.Path = filepath.Join(c.dir, d.Executable)
	return d, nil
}

// parse reads an installed plug-in's descriptor.
func parse(text []byte) (Descriptor, error) {
	var d Descriptor
	if len(text) > maxDescriptor {
		return d, fmt.Errorf("larger than %d bytes", maxDescriptor)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return Descriptor{}, err
	}
	if err := checkDescription(d.Descriptor); err != nil {
		return Descriptor{}, err
	}
	if d.Executable == "" || d.Executable != filepath.Base(d.Executable) || d.Executable == ".." || d.Executable == "." {
		return Descriptor{}, fmt.Errorf("executable %q is not a file name", d.Executable)
	}
	if sum, err := hex.DecodeString(d.SHA256); err != nil || len(sum) != 32 {
		return Descriptor{}, errors.New("sha256 is not a SHA-256 checksum in hexadecimal")
	}
	return d, nil
}

// checkDescription checks a plug-in's description of itself.
func checkDescription(d sdk.Descriptor) error {
	if err := checkName(d.Name); err != nil {
		return err
	}
	if d.Kind != sdk.KindNode && d.Kind != sdk.KindP2P {
		return fmt.Errorf("kind %.40q: want %q or %q", d.Kind, sdk.KindNode, sdk.KindP2P)
	}
	if d.Version == "" || len(d.Version) > 100 || len(d.About) > 1000 {
		return errors.New("no version, or a version or about text that is too long")
	}
	return checkOptions(d.Options)
}

func checkName(name string) error {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, bad) || name[0] == '-' {
		return fmt.Errorf("plug-in name %.80q: want lower-case letters, digits and hyphens, at most %d", name, maxName)
	}
	return nil
}

// nearest returns the names that are most like name, at most three.
func nearest(name string, names []string) []string {
	var out []string
	far := func(n string) int { return distance(name[:min(len(name), maxName)], n) }
	for _, n := range names {
		if far(n) <= max(2, len(n)/3) || strings.HasPrefix(n, name) && name != "" || strings.HasPrefix(name, n) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return far(a) - far(b) })
	return out[:min(len(out), 3)]
}

// distance returns how many letters must change to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, cost)
		}
	}
	return row[len(b)]
}
