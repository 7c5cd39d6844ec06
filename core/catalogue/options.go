package catalogue

import (
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk"
)

// Limits of a plug-in's description of its options.
const (
	maxOptions    = 200 // with those of groups
	maxLevels     = 4
	maxOptionName = 64   // bytes
	maxText       = 1000 // bytes
)

// checkOptions checks a plug-in's description of its options.
func checkOptions(options []sdk.Option) error {
	left := maxOptions
	return checkLevel(options, 1, &left)
}

func checkLevel(options []sdk.Option, level int, left *int) error {
	if *left -= len(options); *left < 0 {
		return fmt.Errorf("more than %d options", maxOptions)
	}
	if level > maxLevels {
		return fmt.Errorf("options of more than %d levels", maxLevels)
	}
	seen := map[string]bool{}
	for _, o := range options {
		for i, name := range append([]string{o.Name}, o.Was...) {
			if !isOptionName(name, i > 0) {
				return fmt.Errorf("option %.80q: want a name of lower-case letters, digits and underscores, at most %d", name, maxOptionName)
			}
			if seen[name] {
				return fmt.Errorf("option %s is there twice", name)
			}
			seen[name] = true
		}
		if len(o.About) > maxText || len(o.Unit) > maxText || len(strings.Join(o.Values, "")) > maxText {
			return fmt.Errorf("option %s: a text of more than %d bytes", o.Name, maxText)
		}
		if err := checkLevel(o.Options, level+1, left); err != nil {
			return err
		}
	}
	return nil
}

// isOptionName tells whether name is in snake_case; an old name may have capitals.
func isOptionName(name string, old bool) bool {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && (!old || r < 'A' || r > 'Z')
	}
	return name != "" && len(name) <= maxOptionName && !strings.ContainsFunc(name, bad) && (name[0] >= 'a' || old && name[0] >= 'A')
}
