package logs

import (
	"io"
	"log"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// The limits of lines with the same text.
const (
	Burst = 100 // lines at once
	Rate  = 10  // lines a second after that

	// The levels debug and trace are for finding a fault, and have more lines.
	DebugBurst = 1000
	DebugRate  = 100

	// Told is how long after the first line was left out the number of such lines is logged.
	Told = 10 * time.Second

	maxTexts = 256 // texts of a logger that have an allowance of their own
	maxNames = 1024
)

// Options are a logger's settings. The zero value logs text at the level info to hclog's default output, standard error.
type Options struct {
	Name   string
	Output io.Writer
	Level  hclog.Level
	JSON   bool
}

// New makes a logger that limits its lines and makes them printable. It and loggers that are derived from it (Named, With)
// share the allowances. It starts no goroutine. A timer runs while there are lines that were left out and not reported yet.
func New(o Options) hclog.Logger {
	return Limit(hclog.New(&hclog.LoggerOptions{Name: o.Name, Output: o.Output, Level: o.Level, JSONFormat: o.JSON}))
}

// Limit returns a logger that limits lines, makes them printable, and passes them to l. If l is such a logger already, it returns
// l.
func Limit(l hclog.Logger) hclog.Logger {
	if done, ok := l.(*logger); ok {
		return done
	}
	return &logger{Logger: l, allowances: &allowances{by: map[string]map[line]*allowance{}}}
}

// logger is a logger with limits.
type logger struct {
	hclog.Logger
	*allowances
}

func (l *logger) Log(level hclog.Level, text string, args ...any) {
	if level < l.GetLevel() {
		return
	}
	if !l.allow(l.Logger, level, text) {
		return
	}
	l.Logger.Log(level, shownText(text), shownArgs(args)...)
}

func (l *logger) Trace(text string, args ...any) { l.Log(hclog.Trace, text, args...) }
func (l *logger) Debug(text string, args ...any) { l.Log(hclog.Debug, text, args...) }
func (l *logger) Info(text string, args ...any)  { l.Log(hclog.Info, text, args...) }
func (l *logger) Warn(text string, args ...any)  { l.Log(hclog.Warn, text, args...) }
func (l *logger) Error(text string, args ...any) { l.Log(hclog.Error, text, args...) }

func (l *logger) With(args ...any) hclog.Logger {
	return &logger{l.Logger.With(shownArgs(args)...), l.allowances}
}

func (l *logger) Named(name string) hclog.Logger {
	return &logger{l.Logger.Named(shownKey(name)), l.allowances}
}

func (l *logger) ResetNamed(name string) hclog.Logger {
	return &logger{l.Logger.ResetNamed(shownKey(name)), l.allowances}
}

// StandardLogger is for libraries that log with package log. Their texts are not constant. So all lines of one such logger
// share an allowance, and their text is logged as a value.
func (l *logger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

func (l *logger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	level := hclog.Info
	if o != nil && o.ForceLevel != hclog.NoLevel {
		level = o.ForceLevel
	}
	return standard{l, level}
}

type standard struct {
	l     *logger
	level hclog.Level
}

func (s standard) Write(b []byte) (int, error) {
	if s.level >= s.l.GetLevel() {
		s.l.Log(s.level, "library", "says", string(b[:min(len(b), 2*maxValue)]))
	}
	return len(b), nil
}

func limits(level hclog.Level) *rate.Limiter {
	if level >= hclog.Info || level == hclog.NoLevel {
		return rate.NewLimiter(Rate, Burst)
	}
	return rate.NewLimiter(DebugRate, DebugBurst)
}
