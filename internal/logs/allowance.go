package logs

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// line identifies one kind of lines of a logger: lines with the same level and text.
type line struct {
	level hclog.Level
	text  string
}

// allowance says how many lines of a kind may be logged now, and counts those that were not.
type allowance struct {
	limit *rate.Limiter
	left  uint64 // lines left out since the last report
}

// allowances has the allowances of one program, by the logger's name. At most maxTexts texts of a name have an allowance of their
// own; all others of a level share one. So a stranger who chooses the texts of one logger does not use up another's allowances.
type allowances struct {
	mu sync.Mutex
	by map[string]map[line]*allowance
}

// allow tells whether a line may be logged. If not, it counts the line, and logs the count to l later.
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

// of returns the allowance that a line counts for, and the kind of lines that this allowance is for.
func (a *allowances) of(name string, kind line) (line, *allowance) {
	texts := a.by[name]
	if texts == nil {
		if len(a.by) >= maxNames {
			name = "" // shares the allowances of loggers without a name
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

// tell logs how many lines of a kind were left out since the last report.
func (a *allowances) tell(l hclog.Logger, kind line, one *allowance) {
	a.mu.Lock()
	left := one.left
	one.left = 0
	a.mu.Unlock()
	l.Log(kind.level, "lines were left out", "lines", left, "of", shownText(kind.text), "in", Told)
}
