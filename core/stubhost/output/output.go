// Package output takes what plug-ins write on their standard output and error, and logs it: at a bounded rate, in lines of
// bounded length, with the level and the fields that hclog's JSON lines have.
package output

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// What a plug-in may log.
const (
	MaxLine   = 8 << 10 // bytes of a line; longer ones are cut
	logRate   = 200     // lines a second
	logBurst  = 1000
	byteRate  = 64 << 10 // bytes a second
	byteBurst = 512 << 10
	maxFields = 32 // of one line

	maxWords = 300 // bytes of what it said last
)

// What is read of it, and looked at, whatever is logged. A plug-in that writes more waits, as it would for a terminal: its
// own processor is its own, but reading costs the host's.
const (
	readRate  = 8 << 20 // bytes a second
	readBurst = 8 << 20
	workRate  = 1 << 20 // bytes a second that are parsed
	workBurst = 4 << 20
	workLine  = 256 // bytes that a line counts at least
)

// Output takes what a plug-in writes: JSON lines of hclog, or any text.
type Output struct {
	log   hclog.Logger
	limit *rate.Limiter // of lines
	bytes *rate.Limiter
	pace  *rate.Limiter // of what is read
	work  *rate.Limiter // of what is parsed

	mu      sync.Mutex
	dropped int    // lines since the last that was logged,
	size    int    // and their bytes
	last    string // the last line, or the last that a dying Go program begins its stack with
	fatal   bool
}

// New logs by log.
func New(log hclog.Logger) *Output {
	return &Output{log: log, limit: rate.NewLimiter(logRate, logBurst), bytes: rate.NewLimiter(byteRate, byteBurst),
		pace: rate.NewLimiter(readRate, readBurst), work: rate.NewLimiter(workRate, workBurst)}
}

// Read logs every line of in until it ends. errors says whether in is the standard error.
func (l *Output) Read(in io.Reader, errors bool) {
	b := bufio.NewReaderSize(in, MaxLine)
	for {
		line, err := b.ReadSlice('\n')
		if len(line) > 0 {
			l.wait(len(line))
			l.line(line, errors)
		}
		for err == bufio.ErrBufferFull { // the rest of a long line
			line, err = b.ReadSlice('\n')
			l.wait(len(line))
		}
		if err != nil {
			return
		}
	}
}

// Write logs what a plug-in printed through its own os.Stdout and os.Stderr, which go-plugin carries.
func (l *Output) Write(b []byte) (int, error) {
	l.wait(len(b))
	for line := range bytes.Lines(b) {
		l.line(line[:min(len(line), MaxLine)], false)
	}
	return len(b), nil
}

// wait waits until so much more may be read: not long, for it is told of each piece.
func (l *Output) wait(size int) {
	for size > 0 {
		piece := min(size, readBurst)
		time.Sleep(l.pace.ReserveN(time.Now(), piece).Delay())
		size -= piece
	}
}

func (l *Output) line(line []byte, errors bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	if line[0] == '{' && !l.work.AllowN(time.Now(), max(len(line), workLine)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drop(len(line))
		return
	}
	level, text, fields := parseLine(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors && !l.fatal {
		l.fatal = strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
		if l.fatal || level >= hclog.Warn || level == hclog.NoLevel {
			l.last = text[:min(len(text), maxWords)]
		}
	}
	if level == hclog.NoLevel {
		level = hclog.Debug
		if l.fatal {
			level = hclog.Error
		}
	}
	if level < l.log.GetLevel() {
		return
	}
	if now := time.Now(); !l.limit.AllowN(now, 1) || !l.bytes.AllowN(now, len(line)) {
		l.drop(len(line))
		return
	}
	l.tellDropped()
	l.log.Log(level, text, fields...)
}

// drop counts a line that is not logged. mu is held.
func (l *Output) drop(size int) {
	l.dropped++
	l.size += size
}

// Flush says how much was not logged since the last line that was, if any. It is for the end of the output.
func (l *Output) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellDropped()
}

// tellDropped says how much was not logged, if any. mu is held.
func (l *Output) tellDropped() {
	if l.dropped > 0 {
		l.log.Warn("the plug-in logs too much: lines were dropped", "lines", l.dropped, "bytes", l.size)
		l.dropped, l.size = 0, 0
	}
}

// parseLine reads a line of hclog's JSON; any other text has no level.
func parseLine(line []byte) (level hclog.Level, text string, fields []any) {
	var entry map[string]any
	if line[0] != '{' || json.Unmarshal(line, &entry) != nil {
		return hclog.NoLevel, strings.ToValidUTF8(string(line), "?"), nil
	}
	name, _ := entry["@level"].(string)
	text, isText := entry["@message"].(string)
	if level = hclog.LevelFromString(name); level == hclog.NoLevel || level == hclog.Off || !isText {
		return hclog.NoLevel, string(line), nil
	}
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		if strings.HasPrefix(key, "@") || len(fields) >= 2*maxFields {
			continue
		}
		value := entry[key]
		switch value.(type) {
		case string, bool, float64, nil:
		default:
			value = fmt.Sprint(value)
		}
		fields = append(fields, key, value)
	}
	return level, text, fields
}

// LastWords is what a process that has exited said last, on its standard error, that may explain it.
func (l *Output) LastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
