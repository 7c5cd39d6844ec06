package refjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Names is a list of strings that is also read from one string and from nested lists.
type Names []string

const (
	// maxNesting is how deep lists may be nested. The reference implementation's tests send two levels.
	maxNesting = 4
	// maxNames is how many strings one list may have, those in nested lists included. What is longer is refused before
	// memory is spent on it.
	maxNames = 8192
	// maxLists is how many lists may be in one, at any depth.
	maxLists = 1024
)

// UnmarshalJSON reads any of these forms. text is JSON, as its caller has found out. The strings are parts of one copy of it,
// so that reading a stranger's long list makes few objects. Code that keeps a string clones it.
func (l *Names) UnmarshalJSON(text []byte) error {
	count, err := countNames(text)
	if err != nil {
		return err
	}
	*l = nil
	if count == 0 {
		return nil
	}
	list, all := make(Names, 0, count), string(text)
	for at := 0; at < len(all); at++ {
		if all[at] != '"' {
			continue
		}
		end, plain := endOfString(text, at)
		if end == at {
			return errors.New("a string without an end")
		}
		one := all[at+1 : end]
		if !plain {
			if one, err = unquoted(text[at : end+1]); err != nil {
				return err
			}
		}
		list = append(list, one)
		at = end
	}
	*l = list
	return nil
}

// unquoted reads a string with escapes.
func unquoted(text []byte) (s string, err error) {
	err = json.Unmarshal(text, &s)
	return s, err
}

// countNames returns how many strings are in text. It refuses other forms, and too many strings.
func countNames(text []byte) (count int, err error) {
	for at, depth, lists := 0, 0, 0; at < len(text); at++ {
		switch text[at] {
		case '[':
			depth++
			if lists++; depth > maxNesting || lists > maxLists {
				return 0, fmt.Errorf("lists in lists: at most %d deep and %d in all", maxNesting, maxLists)
			}
		case ']':
			depth--
		case '"':
			if count++; count > maxNames {
				return 0, fmt.Errorf("a list of more than %d strings", maxNames)
			}
			at, _ = endOfString(text, at)
		case ' ', '\t', '\r', '\n', ',':
		default:
			if !bytes.HasPrefix(text[at:], []byte("null")) {
				return 0, errors.New("want a string or a list of strings")
			}
			at += len("null") - 1
		}
	}
	return count, nil
}

// endOfString returns the index of the closing quote of the string that begins at start, and whether the string has no escapes.
// If the string does not end, it returns the last byte of text.
func endOfString(text []byte, start int) (end int, plain bool) {
	plain = true
	for at := start + 1; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			return at, plain
		case c == '\\':
			plain = false
			at++
		case c >= 0x80: // invalid UTF-8 has to be replaced
			plain = false
		}
	}
	return len(text) - 1, false
}
