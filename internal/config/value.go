package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxMistakes is how many mistakes of a layer are reported; of the others only their number.
const maxMistakes = 100

// checker checks the types of a layer's values.
type checker struct {
	root     *Key
	fail     func(parts []string, why string)
	warn     func(parts []string, why string)
	mistakes int
}

// mistake reports a mistake, up to maxMistakes.
func (c *checker) mistake(parts []string, why func() string) {
	if c.mistakes++; c.mistakes <= maxMistakes {
		c.fail(parts, why())
	}
}

// check checks the value at a path: its keys exist, and their values have the right types. A missing value ("node:" with nothing
// behind it) counts as not set. keep is false for a value that is wrong or not set.
func (c *checker) check(k *Key, parts []string, value any) (keep bool) {
	failed := func(format string, args ...any) bool {
		c.mistake(parts, func() string { return strings.Join(parts, ".") + ": " + fmt.Sprintf(format, args...) })
		return false
	}
	if k.Gone != "" {
		return failed("%s", k.Gone)
	}
	if items, isList := value.([]any); k.Empty != "" && (value == nil || isList && len(items) == 0) {
		return failed("it is empty: %s", k.Empty)
	}
	if value == nil && k.Nothing != "" {
		return failed("it is empty: %s", k.Nothing)
	}
	if value == nil && k.Type != Any {
		return false
	}
	switch k.Type {
	case Group, Map:
		below, ok := value.(map[string]any)
		if !ok {
			return failed("want keys below it, not %s", k.describe(value))
		}
		c.checkBelow(k, parts, below)
		return true
	case Groups:
		items, ok := value.([]any)
		if !ok {
			return failed("want a list of groups of keys, not %s", k.describe(value))
		}
		each := &Key{Keys: k.Keys, Name: k.Name}
		for i, item := range items {
			if item == nil {
				return failed("want a list of groups of keys, not nothing")
			}
			c.check(each, append(parts[:len(parts):len(parts)], strconv.Itoa(i)), item)
		}
		return true
	}
	if _, err := k.normal(value); err != nil {
		return failed("%v", err)
	}
	return true
}

// checkBelow checks the members of a group or map.
func (c *checker) checkBelow(k *Key, parts []string, below map[string]any) {
	at := func(name string) []string { return append(parts[:len(parts):len(parts)], name) }
	for i := range k.Keys {
		for _, old := range k.Keys[i].Was {
			value, there := below[old]
			if !there {
				continue
			}
			delete(below, old)
			was, is := strings.Join(at(old), "."), strings.Join(at(k.Keys[i].Name), ".")
			if _, both := below[k.Keys[i].Name]; both {
				c.mistake(at(old), func() string {
					return fmt.Sprintf("%s is the old name of %s, which is there too: keep %s", was, is, is)
				})
				continue
			}
			c.warn(at(old), fmt.Sprintf("%s is called %s now; the next version does not take the old name", was, is))
			below[k.Keys[i].Name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		child := k.child(name)
		if child == nil {
			c.mistake(at(name), func() string { return c.root.unknown(at(name)) })
			delete(below, name)
		} else if !c.check(child, at(name), below[name]) {
			delete(below, name)
		}
	}
}

// normal returns a value in the form that programs use. The error says what the key takes.
func (k *Key) normal(value any) (any, error) {
	number, isNumber := whole(value)
	text, isText := value.(string)
	switch k.Type {
	case Text, Path:
		if isText {
			return text, printable(text)
		}
		return nil, fmt.Errorf("want a text, not %s", k.describe(value))
	case Scalar:
		if isText || isNumber {
			return fmt.Sprint(value), printable(fmt.Sprint(value))
		}
		return nil, fmt.Errorf("want a text or a whole number, not %s", k.describe(value))
	case Bool:
		if b, ok := value.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("want true or false, not %s", k.describe(value))
	case Int:
		if isNumber {
			return number, nil
		}
		return nil, fmt.Errorf("want a whole number, not %s", k.describe(value))
	case Size:
		if isNumber {
			return number, nil
		}
		if n, err := ParseSize(text); isText && err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("want a size, such as 65536 (bytes) or 64KiB, not %s", k.describe(value))
	case Duration:
		if isNumber && number == 0 {
			return time.Duration(0), nil
		}
		if d, err := time.ParseDuration(text); isText && err == nil {
			return d, nil
		}
		return nil, fmt.Errorf("want a duration such as 30s, not %s", k.describe(value))
	case List:
		return k.normalList(value)
	}
	return value, nil
}

func (k *Key) normalList(value any) (any, error) {
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("want a list of texts, not %s", k.describe(value))
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("want a list of texts, not %s", k.describe(item))
		}
		if err := printable(text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

// whole returns a value that is a whole number.
func whole(value any) (int64, bool) {
	switch v := value.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// printable refuses texts that are not UTF-8 or have control characters.
func printable(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("the text is not UTF-8")
	}
	for _, r := range text {
		if r < ' ' && r != '\t' && r != '\n' || r == 0x7f {
			return fmt.Errorf("the text has a control character in it (%U)", r)
		}
	}
	return nil
}

// meaning checks a value of the right type: its range, its words, and the key's own check.
func (k *Key) meaning(value any) error {
	v, err := k.normal(value)
	if err != nil {
		return err
	}
	switch n := v.(type) {
	case int64:
		if err := k.inRange(n); err != nil {
			return fmt.Errorf("want %w, not %s", err, k.describe(value))
		}
	case time.Duration:
		if err := k.inRange(int64(n)); err != nil {
			return fmt.Errorf("want a duration %w, not %s", err, FormatDuration(n))
		}
	case string:
		if len(k.Words) > 0 && !slices.Contains(k.Words, n) {
			return fmt.Errorf("want %s, not %.60q", strings.Join(k.Words, ", "), n)
		}
	case []string:
		for _, item := range n {
			if len(k.Words) > 0 && !slices.Contains(k.Words, item) {
				return fmt.Errorf("want %s, not %.60q", strings.Join(k.Words, ", "), item)
			}
		}
	}
	if k.Check != nil {
		return k.Check(v)
	}
	return nil
}

// Takes tells whether the key takes the value, in the form of a file.
func (k *Key) Takes(value any) bool {
	ok := true
	c := &checker{root: k, fail: func([]string, string) { ok = false }, warn: func([]string, string) {}}
	return c.check(k, []string{k.Name}, value) && ok && (k.Type == Any || k.Type == Groups || k.meaning(value) == nil)
}

// inRange returns nil if n is in the key's range, else an error that says what the range is.
func (k *Key) inRange(n int64) error {
	if n >= k.Least && (k.Most == 0 || n <= k.Most) || n == 0 && k.Zero != "" {
		return nil
	}
	zero := ""
	if k.Zero != "" {
		zero = ", or " + k.number(0) + ": " + k.Zero
	}
	if k.Most == 0 {
		return fmt.Errorf("of at least %s%s", k.number(k.Least), zero)
	}
	return fmt.Errorf("from %s to %s%s", k.number(k.Least), k.number(k.Most), zero)
}

// number returns n in the way that the key's values are written.
func (k *Key) number(n int64) string {
	switch k.Type {
	case Duration:
		return time.Duration(n).String()
	case Size:
		return FormatSize(n)
	}
	return strconv.FormatInt(n, 10)
}

// describe describes a value for an error, without secrets.
func (k *Key) describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if k.hides() {
			return "a text"
		}
		return fmt.Sprintf("the text %.60q", v)
	case bool:
		return fmt.Sprintf("the truth value %v", v)
	case int, int64, uint64, float64:
		if k.hides() {
			return "a number"
		}
		if strings.HasPrefix(fmt.Sprint(v), "-") {
			return fmt.Sprintf("the negative number %v", v)
		}
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "keys below it"
	case map[any]any:
		return "keys that are no texts"
	}
	if k.hides() {
		return "something else"
	}
	return fmt.Sprintf("%.60v", v)
}

// hides tells whether the key's values are secret.
func (k *Key) hides() bool { return k.Secret || k.Hide != nil }

// parse converts a text to a value. The error does not name the key.
func (k *Key) parse(value string) (any, error) {
	quoted := fmt.Sprintf("%.60q", value)
	if k.hides() {
		quoted = "what is there"
	}
	switch k.Type {
	case Group, Map:
		return nil, errors.New("it takes keys below it, not a value")
	case Path:
		if value != "" {
			return absolute(value, "."), nil
		}
	case Bool:
		if value != "true" && value != "false" {
			return nil, fmt.Errorf("want true or false, not %s", quoted)
		}
		return value == "true", nil
	case Int:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("want a whole number, not %s", quoted)
		}
		return n, nil
	case List:
		return k.parseList(value)
	case Any, Groups:
		var v any
		if err := yaml.Unmarshal([]byte(value), &v); err != nil {
			return nil, fmt.Errorf("want YAML, as [a, b] or {key: value}: %s", notYAML(err))
		}
		return v, nil
	case Size, Duration:
		value = strings.TrimSpace(value)
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n, nil
		}
	}
	return value, nil
}

// parseList reads items that are separated by commas, or [] for none. A list of nothing but commas is an error: it comes from a
// template whose values were empty.
func (k *Key) parseList(value string) (any, error) {
	items := []any{}
	if flow := strings.TrimSpace(value); strings.HasPrefix(flow, "[") && strings.HasSuffix(flow, "]") {
		if err := yaml.Unmarshal([]byte(flow), &items); err != nil {
			return nil, fmt.Errorf("want items separated by commas, or YAML, as [a, b]: %s", notYAML(err))
		}
		return items, nil
	}
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		want := k.Empty
		if want == "" {
			want = "leave the variable out, or write [] for an empty list"
		}
		return nil, fmt.Errorf("it is empty: %s", want)
	}
	return items, nil
}

// notYAML returns the YAML library's error about a text, without the parts of the text that it quotes: the text may be a password.
func notYAML(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if before, _, found := strings.Cut(text, "unknown anchor '"); found {
		return before + "unknown anchor: a text that begins with * needs quotes"
	}
	return text
}
