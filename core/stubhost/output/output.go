// Package output reads what plug-ins write to their standard output and standard error, and logs it: at a limited rate, in lines
// of limited length, with the level and the fields that hclog's JSON lines have.
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

// The limits of what is logged of a plug-in's output. What is beyond is dropped and counted.
const (
	MaxLine   = 8 << 10 // bytes of a line; longer ones are cut
	logRate   = 200     // lines a second
	logBurst  = 1000
	byteRate  = 64 << 10 // bytes a second
	byteBurst = 512 << 10
	maxFields = 32 // of one line

	maxLast = 300 // bytes of LastLine
)

// The limits of what is read and parsed, since that costs the host's processor time even if it is not logged. A plug-in that
// writes more blocks.
const (
	readRate   = 8 << 20 // bytes a second
	readBurst  = 8 << 20
	parseRate  = 1 << 20 // bytes a second
	parseBurst = 4 << 20
	leastLine  = 256 // the least that a line counts, in bytes
)

// Output logs what a plug-in writes: JSON lines of hclog, or any text.
type Output struct {
	log     hclog.Logger
	limit   *rate.Limiter // of lines
	bytes   *rate.Limiter
	reading *rate.Limiter // bytes that are read
	parsing *rate.Limiter // bytes that are parsed

	mu      sync.Mutex
	dropped int    // lines that were dropped since the last one that was logged
	size    int    // bytes of the dropped lines
	last    string // the last line, or the line before the stack of a Go program that crashes
	fatal   bool
}

// New makes an Output that logs to log.
func New(log hclog.Logger) *Output {
	return &Output{log: log, limit: rate.NewLimiter(logRate, logBurst), bytes: rate.NewLimiter(byteRate, byteBurst),
		reading: rate.NewLimiter(readRate, readBurst), parsing: rate.NewLimiter(parseRate, parseBurst)}
}

// Read logs the lines of in until it ends. errors says whether in is the standard error.
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

// Write logs what a plug-in printed to os.Stdout and os.Stderr inside its process, which go-plugin carries over gRPC.
func (l *Output) Write(b []byte) (int, error) {
	l.wait(len(b))
	for line := range bytes.Lines(b) {
		l.line(line[:min(len(line), MaxLine)], false)
	}
	return len(b), nil
}

// wait waits until size more bytes may be read.
func (l *Output) wait(size int) {
	for size > 0 {
		piece := min(size, readBurst)
		time.Sleep(l.reading.ReserveN(time.Now(), piece).Delay())
		size -= piece
	}
}

func (l *Output) line(line []byte, errors bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	if line[0] == '{' && !l.parsing.AllowN(time.Now(), max(len(line), leastLine)) {
		own := l.lock()
		defer own.unlock()
		own.drop(len(line))
		return
	}
	level, text, fields := parseLine(line)
	own := l.lock()
	defer own.unlock()
	if errors && !l.fatal {
		l.fatal = strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
		if l.fatal || level >= hclog.Warn || level == hclog.NoLevel {
			l.last = text[:min(len(text), maxLast)]
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
		own.drop(len(line))
		return
	}
	own.tellDropped()
	l.log.Log(level, text, fields...)
}

// locked is an Output with its lock taken, from lock to unlock. Methods that need the lock are methods of locked.
type locked struct{ *Output }

// lock locks mu.
func (l *Output) lock() locked {
	l.mu.Lock()
	return locked{l}
}

// unlock unlocks mu.
func (l locked) unlock() { l.mu.Unlock() }

// drop counts a line that is not logged.
func (l locked) drop(size int) {
	l.dropped++
	l.size += size
}

// Flush logs how much was dropped since the last line that was logged, if any. It is called at the end of the output.
func (l *Output) Flush() {
	own := l.lock()
	defer own.unlock()
	own.tellDropped()
}

// tellDropped logs how much was dropped, if any.
func (l locked) tellDropped() {
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

// LastLine returns the last line on the standard error of a process that has exited, which may explain why.
func (l *Output) LastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
