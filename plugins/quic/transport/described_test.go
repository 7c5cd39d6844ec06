package transport

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The options that are described to operators are those of the plug-in; setting the described defaults changes nothing.
func TestDescribed(t *testing.T) {
	var names []string
	told := map[string]any{}
	for _, o := range Described() {
		names = append(names, o.Name)
		if o.Default != nil {
			told[o.Name] = o.Default
		}
	}
	if there := members(reflect.TypeFor[Options]()); !slices.Equal(names, there) {
		t.Errorf("described are %q; there are %q", names, there)
	}
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseOptions(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.listen.String() == want.listen.String() {
		got.listen = want.listen // for printing
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the defaults make\n%+v\nnone given\n%+v", got, want)
	}
}

// members is the names of a struct's members in JSON, in order.
func members(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
