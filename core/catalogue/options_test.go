package catalogue

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk"
)

func TestOptionsAreChecked(t *testing.T) {
	base := sdk.Descriptor{Name: "tin-can", Version: "1", Kind: sdk.KindP2P}
	nested := sdk.Option{Name: "a", Type: sdk.OptionGroup}
	for range maxLevels {
		nested = sdk.Option{Name: "a", Type: sdk.OptionGroup, Options: []sdk.Option{nested}}
	}
	for want, options := range map[string][]sdk.Option{
		"want a name":           {{Name: "Capital"}},
		`option "a b"`:          {{Name: "a b"}},
		`option "a\nb"`:         {{Name: "a\nb"}},
		`option ""`:             {{Name: ""}},
		`option "_a"`:           {{Name: "_a"}},
		"a is there twice":      {{Name: "a"}, {Name: "a"}},
		"b is there twice":      {{Name: "a"}, {Name: "b", Was: []string{"c"}}, {Name: "d", Was: []string{"b"}}},
		"a text of more than":   {{Name: "a", About: strings.Repeat("x", 2000)}},
		"more than 4 levels":    {nested},
		"more than 200 options": make([]sdk.Option, 201),
		`option "old-name"`:     {{Name: "a", Was: []string{"old-name"}}},
	} {
		d := base
		d.Options = options
		if err := checkDescription(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	base.Options = []sdk.Option{{Name: "a_1", Type: "new", Was: []string{"oldName"}}, {Name: "b", Type: sdk.OptionGroup, Options: []sdk.Option{{Name: "a_1"}}}}
	if err := checkDescription(base); err != nil {
		t.Error(err)
	}
}
