package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// result is the result of one trial.
type result struct {
	Case       string `json:"case"`
	Transport  string `json:"transport"`
	Rounds     int    `json:"rounds"` // that were completed
	Sent       uint64 `json:"sent"`
	Delivered  uint64 `json:"delivered"`
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	OutOfOrder uint64 `json:"out_of_order"`
	Corrupt    uint64 `json:"corrupt"`
	InDoubt    uint64 `json:"in_doubt"`
	Refused    uint64 `json:"refused,omitempty"` // not delivered, and the sender was told so
	Pause      spread `json:"pause_ms"`
	Recovered  spread `json:"recovered_ms"`
	Claimed    uint64 `json:"claimed,omitempty"` // reported as delivered, of the tracked messages
	OK         bool   `json:"ok"`
	Why        string `json:"why"` // why OK is false

	Cheats  map[string]uint64  `json:"cheats,omitempty"`  // how often each was tried
	Figures map[string]float64 `json:"figures,omitempty"` // what else was measured

	pauses, recoveries []time.Duration // one for each round
	wrong              []string
	skipped            bool
	slow               []string // bounds of time or memory that were not met
}

// spread has quantiles of a time over all rounds, in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
	P99 float64 `json:"p99,omitempty"` // only if it has a bound
}

func newResult(t trial) *result { return &result{Case: t.name, Transport: t.transport} }

// maxWrong is how many reasons are kept.
const maxWrong = 8

// fail notes why the case does not hold.
func (r *result) fail(format string, args ...any) {
	if len(r.wrong) < maxWrong {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

// late notes that a bound of time or memory was not met, which may be caused by the machine.
func (r *result) late(format string, args ...any) {
	r.slow = append(r.slow, fmt.Sprintf(format, args...))
}

// figure notes a further measurement.
func (r *result) figure(name string, value float64) {
	if r.Figures == nil {
		r.Figures = map[string]float64{}
	}
	r.Figures[name] = math.Round(value*1000) / 1000
}

// pauseP99 checks the 99th percentile of the pauses, and adds it to the report.
func (r *result) pauseP99(bound time.Duration) {
	r.Pause.P99 = milliseconds(quantile(r.pauses, 0.99))
	r.atMost("pause p99", r.pauses, 0.99, bound)
}

// atMost checks that a quantile of times is within its bound.
func (r *result) atMost(what string, times []time.Duration, q float64, bound time.Duration) {
	if got := quantile(times, q); got > bound {
		r.late("%s is %.0f ms, at most %d ms is promised", what, milliseconds(got), bound.Milliseconds())
	}
}

// round notes the times of a round.
func (r *result) round(pause, recovered time.Duration) {
	r.Rounds++
	r.pauses = append(r.pauses, pause)
	r.recoveries = append(r.recoveries, recovered)
}

// close evaluates all rounds. In no case a message may be lost, duplicated, out of order or corrupt.
func (r *result) close(wanted int) {
	p99 := r.Pause.P99
	r.Pause, r.Recovered = spreadOf(r.pauses), spreadOf(r.recoveries)
	r.Pause.P99 = p99
	if r.Lost+r.Duplicated+r.OutOfOrder+r.Corrupt > 0 {
		r.fail("%d lost, %d duplicated, %d out of order, %d corrupt", r.Lost, r.Duplicated, r.OutOfOrder, r.Corrupt)
	}
	if r.Rounds < wanted {
		r.fail("%d of %d rounds were completed", r.Rounds, wanted)
	}
	if r.Delivered == 0 {
		r.fail("nothing was delivered")
	}
	why := append(r.wrong[:len(r.wrong):len(r.wrong)], r.slow...)
	r.OK = len(why) == 0
	r.Why = strings.Join(why, "; ")
}

func (r *result) verdict() string {
	if r.OK {
		return "holds"
	}
	return "DOES NOT HOLD: " + r.Why
}

func spreadOf(times []time.Duration) spread {
	return spread{P50: milliseconds(quantile(times, 0.5)), P95: milliseconds(quantile(times, 0.95)), Max: milliseconds(quantile(times, 1))}
}

// quantile returns the smallest of times that at least the fraction q of them does not exceed; 0 if there are none.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	n := int(float64(len(sorted))*q + 0.999999)
	return sorted[min(max(n, 1), len(sorted))-1]
}

// table prints the results as a table.
func table(out io.Writer, results []*result) {
	fmt.Fprintf(out, "\n%-18s %-9s %6s %9s %9s %5s %5s %5s %7s %8s %7s  %-22s %-24s\n", "case", "over", "rounds", "sent", "delivered",
		"lost", "twice", "order", "corrupt", "in doubt", "refused", "pause ms p50/p95/max", "recovered ms p50/p95/max")
	three := func(s spread) string { return fmt.Sprintf("%.0f / %.0f / %.0f", s.P50, s.P95, s.Max) }
	for _, r := range results {
		fmt.Fprintf(out, "%-18s %-9s %6d %9d %9d %5d %5d %5d %7d %8d %7d  %-22s %-24s\n", r.Case, r.Transport, r.Rounds, r.Sent, r.Delivered,
			r.Lost, r.Duplicated, r.OutOfOrder, r.Corrupt, r.InDoubt, r.Refused, three(r.Pause), three(r.Recovered))
	}
	for _, r := range results {
		if len(r.Cheats)+len(r.Figures) > 0 {
			fmt.Fprintf(out, "%s over %s: %s\n", r.Case, r.Transport, strings.Join(append(counted(r.Cheats), counted(r.Figures)...), ", "))
		}
		if !r.OK {
			fmt.Fprintf(out, "NOT OK: %s over %s: %s\n", r.Case, r.Transport, r.Why)
		}
	}
}

// counted formats a map, in the order of its names.
func counted[N uint64 | float64](m map[string]N) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %v", strings.ReplaceAll(name, "_", " "), m[name]))
	}
	return list
}
