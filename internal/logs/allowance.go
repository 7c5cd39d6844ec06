package logs

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// line is a kind of lines of one logger: what they have in common.
type line struct {
	level hclog.Level
	text  string
}

// allowance is how many lines of a kind may be logged now, and how many were not.
type allowance struct {
	limit *rate.Limiter
	left  uint64 // out, since it was told last
}

// allowances are those of one program, by the logger's name. A name has at most maxTexts texts with an allowance of their
// own, and the others of a level share one: whoever chooses texts for one logger does not use up another's.
type allowances struct {
	mu sync.Mutex
	by map[string]map[line]*allowance
}

// allow tells whether a line may be logged. Where it may not, that is counted, and told to l later.
func (a *allowances) allow(l hclog.Logger, level hclog.Level, text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind, one := a.of(l.Name(), line{level, text})
	if one.limit.Allow() {
		return true
	}
	if one.left++; one.left == 1 {
		time.AfterFunc(Told, func() { a.tell(l, kind, one) })
	}
	return false
}

// of is the allowance that a line counts for, and the kind that this is the allowance of.
func (a *allowances) of(name string, kind line) (line, *allowance) {
	texts := a.by[name]
	if texts == nil {
		if len(a.by) >= maxNames {
			name = "" // that of loggers without a name
			texts = a.by[name]
		}
		if texts == nil {
			texts = map[line]*allowance{}
			a.by[name] = texts
		}
	}
	one := texts[kind]
	if one == nil && len(texts) >= maxTexts {
		kind.text = "various"
		one = texts[kind]
	}
	if one == nil {
		one = &allowance{limit: limits(kind.level)}
		texts[kind] = one
	}
	return kind, one
}

// tell logs how many lines of a kind were left out.
func (a *allowances) tell(l hclog.Logger, kind line, one *allowance) {
	a.mu.Lock()
	left := one.left
	one.left = 0
	a.mu.Unlock()
	l.Log(kind.level, "lines were left out", "lines", left, "of", shownText(kind.text), "in", Told)
}
