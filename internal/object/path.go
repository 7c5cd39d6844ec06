package object

import (
	"strconv"
	"strings"
)

func index(element string) (int, bool) {
	if len(element) == 0 || len(element) > 7 || (element[0] == '0' && len(element) > 1) || element[0] == '+' || element[0] == '-' {
		return 0, false
	}
	i, err := strconv.Atoi(element)
	return i, err == nil
}

// cutKey cuts the first element off path, for the object at; more tells whether something follows.
func cutKey(at map[string]any, path string) (key, rest string, more bool) {
	if !startsWithAddress(path) {
		return strings.Cut(path, ".")
	}
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if _, ok := at[path[:end]]; ok {
			if end == len(path) {
				return path, "", false
			}
			return path[:end], path[end+1:], true
		}
	}
	return path, "", false
}

func startsWithAddress(path string) bool {
	i := 0
	for i < len(path) && (path[i] >= 'a' && path[i] <= 'z' || path[i] == '-') {
		i++
	}
	return i > 0 && strings.HasPrefix(path[i:], "://")
}
