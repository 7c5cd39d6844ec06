package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The generated files are those of the present keys.
func TestGeneratedIsFresh(t *testing.T) {
	root := filepath.Join("..", "..", "plugins")
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".go" {
			_, err = os.Stat(name) // so that the result counts until a plug-in changes
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(t.Context(), filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != want {
			t.Errorf("%s is stale (%v): renew it with\n\tgo generate ./cmd/configdoc", name, err)
		}
	}
}
