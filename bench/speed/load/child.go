package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Ready is a child's first line.
type Ready struct {
	Addr string `json:"addr"` // the address for the other side
	Err  string `json:"err,omitempty"`
}

// Command is a line of a child's input.
type Command struct {
	Do   string        `json:"do"` // stream, trips, paced, usage, or one of the child's own
	Size int           `json:"size,omitempty"`
	Rate int           `json:"rate,omitempty"`
	For  time.Duration `json:"for,omitempty"`
	Text string        `json:"text,omitempty"`
}

// Result is the line of output for a command.
type Result struct {
	Messages uint64  `json:"messages,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	P50      float64 `json:"p50_us,omitempty"` // microseconds
	P99      float64 `json:"p99_us,omitempty"`
	Usage    *Usage  `json:"usage,omitempty"`
	Text     string  `json:"text,omitempty"`
	Err      string  `json:"err,omitempty"`
}

// maxSize is the size of the largest message that any contender carries.
const maxSize = 1 << 20

// Usage says what a child has used since its start.
type Usage struct {
	Mallocs uint64 `json:"mallocs"`
	Bytes   uint64 `json:"bytes"` // allocated
	Heap    uint64 `json:"heap"`  // in use
	PIDs    []int  `json:"pids"`  // processes of its own
}

// Child is a child process's side.
type Child struct {
	Driver *Driver                                                             // nil: it is the receiver
	PIDs   func() []int                                                        // of the processes that it has; nil: none
	Own    func(ctx context.Context, c Command) (r Result, ok bool, err error) // further commands; may be nil
}

// Serve says that the child is ready, and then carries out its parent's commands until in ends.
func (c *Child) Serve(ctx context.Context, addr string, in io.Reader, out io.Writer) error {
	write := json.NewEncoder(out)
	if err := write.Encode(Ready{Addr: addr}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var command Command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return fmt.Errorf("a command: %w", err)
		}
		r, err := c.do(ctx, command)
		if err != nil {
			r.Err = err.Error()
		}
		if err := write.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (c *Child) do(ctx context.Context, o Command) (Result, error) {
	if o.Do == "usage" {
		return Result{Usage: c.usage()}, nil
	}
	if c.Own != nil {
		if r, ok, err := c.Own(ctx, o); ok {
			return r, err
		}
	}
	if c.Driver == nil {
		return Result{}, fmt.Errorf("the receiver cannot %q", o.Do)
	}
	if o.Size < MinSize || o.Size > maxSize || o.For <= 0 || o.Do == "paced" && o.Rate < 1 {
		return Result{}, fmt.Errorf("%s: want a size of %d to %d bytes, a time, and for paced a rate", o.Do, MinSize, maxSize)
	}
	switch o.Do {
	case "stream":
		return c.Driver.Stream(ctx, o.Size, o.For)
	case "trips":
		return c.Driver.Trips(ctx, o.Size, o.For)
	case "paced":
		return c.Driver.Paced(ctx, o.Size, o.Rate, o.For)
	}
	return Result{}, fmt.Errorf("unknown command %q", o.Do)
}

func (c *Child) usage() *Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := &Usage{Mallocs: m.Mallocs, Bytes: m.TotalAlloc, Heap: m.HeapInuse}
	if c.PIDs != nil {
		u.PIDs = c.PIDs()
	}
	return u
}
