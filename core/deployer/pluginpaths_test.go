package deployer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// filesNamed returns the files that a confined plug-in may read because its configuration names them.
func filesNamed(config json.RawMessage, secret string) []string {
	return named(config, func(path string) bool { return isFileOutside(path, secret) })
}

func TestFilesThatAConfigurationNames(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, key := filepath.Join(dir, "ca.pem"), filepath.Join(data, "key")
	for _, name := range []string{ca, key} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link") // to the key
	if err := os.Symlink(key, link); err != nil {
		t.Skip(err)
	}
	config := message.Encode(map[string]any{"ca": ca, "list": []any{key, link, "/", dir, "ca.pem"}, "n": 1, "below": map[string]any{"key": data}})
	if got := filesNamed(config, data); !slices.Equal(got, []string{ca}) {
		t.Errorf("%q", got)
	}
	if got, want := named(config, isThere), []string{ca, data, dir, key, link}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("all of them: %q, want %q", got, want)
	}
	if got := filesNamed(nil, data); got != nil {
		t.Errorf("%q", got)
	}
}

func FuzzFilesNamed(f *testing.F) {
	f.Add([]byte(`{"ca":"/etc/hosts"}`))
	f.Add([]byte(`[[["/etc/hosts"]]]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, path := range filesNamed(json.RawMessage(text), "/") {
			t.Errorf("%q is in the secret folder", path)
		}
	})
}
