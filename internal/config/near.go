package config

import (
	"fmt"
	"strings"
)

// unknown returns the error text for an unknown key. It names the most similar known key.
func (k *Key) unknown(parts []string) string {
	key := strings.Join(parts, ".")
	if near := k.near(parts); near != "" {
		return fmt.Sprintf("unknown key %.100q: did you mean %q?", key, near)
	}
	if parent := k.find(parts[:len(parts)-1]); parent != nil && len(parent.Keys) > 0 && len(parts) > 1 {
		return fmt.Sprintf("unknown key %.100q: there are %s", key, strings.Join(parent.leaves(strings.Join(parts[:len(parts)-1], ".")+".", false), ", "))
	}
	return fmt.Sprintf("unknown key %.100q: there are %s", key, strings.Join(k.leaves("", false), ", "))
}

// near returns the known key with a fixed name that is most similar to an unknown one; "" if none is similar.
func (k *Key) near(parts []string) string {
	if parent := k.find(parts[:len(parts)-1]); parent != nil && parent.Type == Group && len(parts) > 1 {
		var beside []string
		for i := range parent.Keys {
			if parent.Keys[i].Gone == "" {
				beside = append(beside, parent.Keys[i].Name)
			}
		}
		if near := nearest(parts[len(parts)-1], parts[len(parts)-1], beside); near != "" {
			return strings.Join(append(parts[:len(parts)-1:len(parts)-1], near), ".")
		}
	}
	return nearest(strings.Join(parts, "."), parts[len(parts)-1], k.leaves("", true))
}

// nearest returns the known key that was probably meant: one that is similar as a whole, or one with the same last part in another
// group.
func nearest(key, last string, known []string) string {
	best, distance := "", len(key)+1
	consider := func(candidate string, d, length int) {
		if d <= max(1, length/3) && d < distance {
			best, distance = candidate, d
		}
	}
	for _, k := range known {
		consider(k, edits(key, k), len(key))
	}
	for _, k := range known {
		consider(k, edits(last, k[strings.LastIndexByte(k, '.')+1:]), len(last))
	}
	return best
}

// edits returns the Damerau–Levenshtein distance of a and b.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}
