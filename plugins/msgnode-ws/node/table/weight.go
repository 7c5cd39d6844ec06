package table

import "strings"

// The prefixes of the terms for a runtime and for a network address, by which the state is bounded.
const (
	ofRuntime = "r:"
	ofSource  = "s:"
)

// weights are how much a table has: in all; for each runtime ("r:") and network address ("s:"), by which it is bounded;
// and, for the terms by which entries are looked up, the bytes of the entries' JSON alone. The table's lock guards them.
type weights struct {
	rows  int
	bytes int64
	of    map[string]int64
}

// rowOverhead and termOverhead are about what a row, and each term that it is found by, take in memory and on the disk
// besides their text.
const (
	rowOverhead  = 256
	termOverhead = 128
)

// weight is what a row with these terms counts as, in bytes.
func weight(terms []string, size int) int64 {
	return int64(size + rowOverhead + termOverhead*len(terms))
}

// add counts a row (by is 1) or takes one away (by is -1, and so is the sign of size).
func (w *weights) add(terms []string, size, by int, shelved func(term string) bool) {
	bytes := int64(by) * weight(terms, by*size)
	w.rows += by
	w.bytes += bytes
	for _, term := range terms {
		counts := int64(size)
		switch {
		case strings.HasPrefix(term, ofRuntime), strings.HasPrefix(term, ofSource):
			counts = bytes
		case !shelved(term):
			continue
		}
		if w.of == nil {
			w.of = map[string]int64{}
		}
		if w.of[term] += counts; w.of[term] <= 0 {
			delete(w.of, term)
		}
	}
}

// Growth is what a write would add to the state.
type Growth struct {
	Rows            int
	Bytes           int64
	Runtime, Source string // terms; Source is "" if no network address is counted
}

// varying is a row whose length changes by a few bytes each time that it is kept alive.
type varying interface{ Varies() int }

// sizeOf is what a row with so many bytes of JSON counts as: keeping it alive makes it no larger.
func sizeOf(value any, bytes int) int {
	if v, ok := value.(varying); ok {
		return bytes - v.Varies()
	}
	return bytes
}

// note is a row that the node writes by itself about something that it has accepted before: the row counts, and is never
// refused.
type note interface{ Note() bool }
