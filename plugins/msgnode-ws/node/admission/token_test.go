package admission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

func TestAdmissionKeys(t *testing.T) {
	file := func(text string, mode os.FileMode) string {
		name := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	made := KeyFile{filepath.Join(t.TempDir(), "new", "key.pem"), true}
	first, err := made.Private()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := made.Private(); err != nil || !again.Equal(first) {
		t.Error("the key is not kept", err)
	}
	text, err := os.ReadFile(made.Name)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		file(string(text), 0o644):              "may be read by others",
		file("nonsense", 0o600):                "PEM",
		file(strings.Repeat("x", 5000), 0o600): "no key",
		"/nowhere/key.pem":                     "no such file",
		"":                                     "admit.key",
	} {
		if _, err := (KeyFile{Name: name}).Private(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func FuzzToken(f *testing.F) {
	const domain = "example.com"
	file := KeyFile{Name: filepath.Join(f.TempDir(), "key.pem"), Make: true}
	key, err := file.Public()
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, t := range []Token{{}, {Uses: 5, ID: "x"}, {Runtime: "hyperty-runtime://example.com/x", Expires: time.Now().Add(time.Hour)}} {
		text, _, err := Invite(domain, file, t)
		if err != nil {
			f.Fatal(err)
		}
		good[text] = true
		f.Add(text)
	}
	f.Add("..")
	f.Add(strings.Repeat(".", 5000))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parseToken(text, domain, key, time.Now())
		if (err == nil) != good[text] {
			t.Errorf("%q: %+v %v", text, token, err)
		}
		_, _ = wire.TokenDomain(text)
	})
}
