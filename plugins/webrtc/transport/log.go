package transport

import (
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/pion/logging"
)

// logFactory gives the library loggers that write into ours. What the library calls an error is one peer's trouble: it
// is logged as debug, and what matters comes back as an error.
type logFactory struct{ log hclog.Logger }

func (f logFactory) NewLogger(scope string) logging.LeveledLogger {
	return logger{f.log.Named(scope)}
}

type logger struct{ log hclog.Logger }

func (l logger) write(format string, args ...any) {
	if l.log.IsDebug() {
		l.log.Debug("pion", "says", fmt.Sprintf(format, args...))
	}
}

func (l logger) trace(format string, args ...any) {
	if l.log.IsTrace() {
		l.log.Trace("pion", "says", fmt.Sprintf(format, args...))
	}
}

func (l logger) Trace(msg string)                  { l.trace("%s", msg) }
func (l logger) Tracef(format string, args ...any) { l.trace(format, args...) }
func (l logger) Debug(msg string)                  { l.trace("%s", msg) }
func (l logger) Debugf(format string, args ...any) { l.trace(format, args...) }
func (l logger) Info(msg string)                   { l.trace("%s", msg) }
func (l logger) Infof(format string, args ...any)  { l.trace(format, args...) }
func (l logger) Warn(msg string)                   { l.write("%s", msg) }
func (l logger) Warnf(format string, args ...any)  { l.write(format, args...) }
func (l logger) Error(msg string)                  { l.write("%s", msg) }
func (l logger) Errorf(format string, args ...any) { l.write(format, args...) }
