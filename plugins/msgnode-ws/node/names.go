package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// names is a list of strings that is also read from one string and from nested lists.
type names []string

const (
	// maxNesting is how deep the lists may lie in each other. The reference implementation's tests send two.
	maxNesting = 4
	// maxNames is how many strings one list may have, those in nested lists included. What is longer is refused before
	// memory is spent on it.
	maxNames = 8192
	// maxLists is how many lists may lie in one, at any depth.
	maxLists = 1024
)

// UnmarshalJSON reads any of these forms.
func (l *names) UnmarshalJSON(text []byte) error {
	*l = nil
	d := json.NewDecoder(bytes.NewReader(text))
	for depth, lists := 0, 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['):
			depth++
			if lists++; depth > maxNesting || lists > maxLists {
				return fmt.Errorf("lists in lists: at most %d deep and %d in all", maxNesting, maxLists)
			}
		case json.Delim(']'):
			depth--
		case nil:
		default:
			one, ok := token.(string)
			if !ok {
				return errors.New("want a string or a list of strings")
			}
			if len(*l) >= maxNames {
				return fmt.Errorf("a list of more than %d strings", maxNames)
			}
			*l = append(*l, one)
		}
		if depth == 0 {
			return nil
		}
	}
}
