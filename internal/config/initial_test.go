package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var atDefault = regexp.MustCompile(`^( *)#([a-z_-]+:)( |$)`)

// The file of init is a configuration of defaults. If the "#" of a key is removed, the key has its default, or an example that
// the key takes.
func TestInitIsAConfigurationOfDefaults(t *testing.T) {
	text, err := example().Init(map[string]string{"open": "true"})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := load(t, Sources{File: file(t, "name: somebody\nopen: true\n")})
	if got, _ := load(t, Sources{File: file(t, text)}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v\n%s", got, want, text)
	}
	lines, keys := strings.Split(text, "\n"), 0
	for i, line := range lines {
		if len(line) > width {
			t.Errorf("a line of %d: %s", len(line), line)
		}
		if !atDefault.MatchString(line) {
			continue
		}
		keys++
		changed := append([]string{}, lines...)
		changed[i] = atDefault.ReplaceAllString(line, "$1$2$3")
		got, _ := load(t, Sources{File: file(t, strings.Join(changed, "\n"))})
		if strings.Contains(line, "max_speed") {
			got.Parts = want.Parts
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is not the default: %+v", line, got)
		}
	}
	if want := len(example().Leaves()) - 3; keys != want { // name and open are set, and parts is those below it
		t.Errorf("%d keys, want %d:\n%s", keys, want, text)
	}
	if _, err := example().Init(map[string]string{"level": "loud"}); err == nil || !strings.Contains(err.Error(), "level: want info, warn") {
		t.Error(err)
	}
}
