package transport

import (
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/pion/logging"
)

// logFactory makes loggers for the library that write to this project's logger. They log errors of the library as debug, since
// these concern one peer; errors that matter are returned by the library's functions.
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
