package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

func open(t *testing.T, dir string) (*Folder, []Record) {
	t.Helper()
	f, records, wrong, err := Open(dir)
	if err != nil || len(wrong) > 0 {
		t.Fatal(err, wrong)
	}
	return f, records
}

func record(n int, data string) Record {
	return Record{
		Object:    object.Metadata{URL: message.URL(fmt.Sprint("comm://a.example/o", n)), Data: json.RawMessage(data)},
		Observers: []reporting.Observer{{URL: "hyperty://b.example/bob", Runtime: "hyperty-runtime://b.example/r"}},
	}
}

func TestObjectsAreThereAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	f, records := open(t, dir)
	if len(records) != 0 {
		t.Fatalf("%d objects in a new folder", len(records))
	}
	for n := range 3 {
		if err := errors.Join(f.Write(record(n, `{"n":1}`)), f.Write(record(n, fmt.Sprintf(`{"n":%d}`, n)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Remove("comm://a.example/o1"), f.Remove("comm://a.example/o1")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".x-temporary"), []byte("half"), 0o600); err != nil { // a process was killed
		t.Fatal(err)
	}
	again, records := open(t, dir)
	if len(records) != 2 || again.bytes != f.bytes || len(again.sizes) != 2 {
		t.Fatalf("%d objects, %d bytes, want 2 of %d", len(records), again.bytes, f.bytes)
	}
	for _, r := range records {
		n := strings.TrimPrefix(r.Object.URL.Path(), "/o")
		if string(r.Object.Data) != `{"n":`+n+`}` || len(r.Observers) != 1 || r.Observers[0].Runtime != "hyperty-runtime://b.example/r" {
			t.Errorf("object %s: %+v", n, r)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
}

// Whatever has become of a file, it is the object as it was written, or it is not there.
func TestDamagedFiles(t *testing.T) {
	for what, damage := range map[string]func(text []byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"cut off":   func(text []byte) []byte { return text[:len(text)/2] },
		"a bit":     func(text []byte) []byte { text[len(text)-3] ^= 1; return text },
		"no seal":   func(text []byte) []byte { return text[strings.IndexByte(string(text), '\n')+1:] },
		"another's": func([]byte) []byte { return safefile.Seal(kind, message.Encode(record(8, `{}`))) },
		"no JSON":   func([]byte) []byte { return safefile.Seal(kind, []byte("{")) },
	} {
		dir := t.TempDir()
		f, _ := open(t, dir)
		if err := errors.Join(f.Write(record(1, `{"n":1}`)), f.Write(record(2, `{"n":2}`))); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name("comm://a.example/o1"))
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, damage(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		f, records, wrong, err := Open(dir)
		if err != nil || len(records) != 1 || records[0].Object.URL != "comm://a.example/o2" || len(wrong) != 1 || !errors.Is(wrong[0], safefile.ErrDamaged) {
			t.Errorf("%s: %d objects, wrong %v, %v", what, len(records), wrong, err)
			continue
		}
		if _, err := os.Stat(path + broken); err != nil {
			t.Errorf("%s: not set aside: %v", what, err)
		}
		if err := f.Write(record(1, `{"n":3}`)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	f, _ := open(t, dir)
	if err := f.Write(record(1, `{}`)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name("comm://a.example/o1"))
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, records, wrong, err := Open(dir); err != nil || len(records) != 0 || len(wrong) != 1 || !errors.Is(wrong[0], safefile.ErrExposed) {
		t.Errorf("a file that everybody may write: %d objects, %v, %v", len(records), wrong, err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(dir); !errors.Is(err, safefile.ErrExposed) {
		t.Errorf("a folder that everybody may write: %v", err)
	}
}

func TestNumberAndSizeAreBounded(t *testing.T) {
	f, _ := open(t, t.TempDir())
	for n := range MaxObjects {
		f.sizes[fmt.Sprint(n)] = 1
	}
	f.bytes = MaxObjects
	if err := f.Write(record(1, `{}`)); !errors.Is(err, ErrFull) {
		t.Errorf("one more object: %v", err)
	}
	clear(f.sizes)
	f.bytes = 0
	if err := f.Write(record(1, `{}`)); err != nil {
		t.Fatal(err)
	}
	own := f.bytes
	f.bytes = MaxBytes
	if err := f.Write(record(2, `{}`)); !errors.Is(err, ErrFull) || f.bytes != MaxBytes || len(f.sizes) != 1 {
		t.Errorf("too many bytes: %v; %d bytes of %d files", err, f.bytes, len(f.sizes))
	}
	if err := f.Write(record(1, `{}`)); err != nil {
		t.Errorf("one that is as large as before: %v", err)
	}
	f.bytes = own
	large := record(3, `"`+strings.Repeat("x", maxFile)+`"`)
	if err := f.Write(large); !errors.Is(err, ErrFull) || f.bytes != own {
		t.Errorf("a file that is too large: %v; %d bytes", err, f.bytes)
	}
	// A disk that takes nothing: the file of before is there, and counts.
	f.dir = filepath.Join(f.dir, "nowhere")
	if err := f.Write(record(1, `{"longer":true}`)); err == nil || f.bytes != own {
		t.Errorf("a folder that is not there: %v; %d bytes, want %d", err, f.bytes, own)
	}
}
