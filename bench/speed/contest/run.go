package contest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/speed/figures"
)

// Options are the options of the command line.
type Options struct {
	Quick bool   // fewer and shorter rounds
	Only  string // a regular expression of the rows' names; "": all
	JSON  bool   // print nothing but a list
	SVG   string // the file for a plot; "": none
}

// Flags adds the options to a command line.
func (o *Options) Flags(f *flag.FlagSet) {
	f.BoolVar(&o.Quick, "quick", false, "fewer and shorter rounds")
	f.StringVar(&o.Only, "only", "", "measure only rows whose row/transport/size matches this regular expression, such as one-way/quic")
	f.BoolVar(&o.JSON, "json", false, "print a JSON list and nothing else")
	f.StringVar(&o.SVG, "svg", "", "write a plot to this file")
}

// Run is one run.
type Run struct {
	Options
	Out    io.Writer
	filter *regexp.Regexp
	count  int           // rounds
	length time.Duration // of a round
}

const (
	quickRounds, rounds = 2, 7
	quickLength, length = 100 * time.Millisecond, time.Second
)

// New prepares a run. The error is about the options.
func New(o Options, out io.Writer) (r *Run, err error) {
	r = &Run{Options: o, Out: out, count: rounds, length: length}
	if o.Quick {
		r.count, r.length = quickRounds, quickLength
	}
	if o.Only != "" {
		if r.filter, err = regexp.Compile(o.Only); err != nil {
			return nil, fmt.Errorf("-only: %w", err)
		}
	}
	return r, nil
}

// Say prints progress for people.
func (r *Run) Say(format string, args ...any) {
	if !r.JSON {
		fmt.Fprintf(r.Out, format+"\n", args...)
	}
}

// Progress prints a row before the others are measured.
func (r *Run) Progress(f figures.Row) {
	text := fmt.Sprintf("%s %s", figures.Short(f.Ours), f.Metric)
	if f.Baseline != "" {
		text += fmt.Sprintf(", %s %s, %s×", f.Baseline, figures.Short(f.BaselineValue), figures.Short(f.Ratio))
	}
	r.Say("  %s: %s", strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Row, f.Transport, figures.Size(f.Size))), text)
}

// Wants tells whether a row is to be measured.
func (r *Run) Wants(row, transport string, size int) bool {
	return r.filter == nil || r.filter.MatchString(Name(row, transport, size))
}

// Report prints the rows and, if the options ask for one, writes the plot. ok says that every demand is met.
func (r *Run) Report(rows []figures.Row) (ok bool, err error) {
	if len(rows) == 0 {
		return false, fmt.Errorf("-only %s: there is no such row", r.Only)
	}
	ok = len(figures.Failed(rows)) == 0
	if r.SVG != "" {
		var plot bytes.Buffer
		if err := figures.Plot(&plot, rows); err != nil {
			return false, err
		}
		if err := os.WriteFile(r.SVG, plot.Bytes(), 0o644); err != nil {
			return false, err
		}
	}
	if r.JSON {
		return ok, figures.JSON(r.Out, rows)
	}
	r.Say("")
	return ok, figures.Table(r.Out, rows)
}
