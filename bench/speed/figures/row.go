package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Row is a figure. All numbers are medians over the rounds of one run.
type Row struct {
	Row           string  `json:"row"`       // what was done, such as one-way
	Transport     string  `json:"transport"` // quic, webrtc, relay, …
	Size          int     `json:"size"`      // bytes of a message; 0: the figure does not depend on it
	Metric        string  `json:"metric"`    // with its unit, such as "messages/s"
	Ours          float64 `json:"ours"`
	Baseline      string  `json:"baseline"`       // the name of the baseline; "": there is none
	BaselineValue float64 `json:"baseline_value"` // in the same run
	Ratio         float64 `json:"ratio"`          // ours / baseline; 0: no baseline
	Demand        string  `json:"demand"`         // the demand as text; "": there is none
	OK            bool    `json:"ok"`             // the demand is met

	bounds []Bound // the demand, to be drawn
}

// Bound is a demand: on the ratio or on the figure itself.
type Bound struct {
	Ratio   bool
	Least   bool // else at most
	Value   float64
	Stretch float64 // a stretch goal, which is only shown; 0: none
}

// AtLeast and AtMost are bounds on the figure itself.
func AtLeast(v float64) Bound { return Bound{Least: true, Value: v} }
func AtMost(v float64) Bound  { return Bound{Value: v} }

// RatioAtLeast and RatioAtMost are bounds on the ratio to the baseline's figure.
func RatioAtLeast(v float64) Bound { return Bound{Ratio: true, Least: true, Value: v} }
func RatioAtMost(v float64) Bound  { return Bound{Ratio: true, Value: v} }

// Wish returns b with a stretch goal.
func (b Bound) Wish(v float64) Bound { b.Stretch = v; return b }

func (b Bound) String() string {
	sign, unit := "≤", ""
	if b.Least {
		sign = "≥"
	}
	if b.Ratio {
		unit = "×"
	}
	text := sign + " " + Short(b.Value) + unit
	if b.Stretch != 0 {
		text += " (stretch " + Short(b.Stretch) + unit + ")"
	}
	return text
}

func (b Bound) holds(r *Row) bool {
	v := r.Ours
	if b.Ratio {
		v = r.Ratio
	}
	if math.IsNaN(v) || b.Ratio && r.Baseline == "" {
		return false
	}
	if b.Least {
		return v >= b.Value
	}
	return v <= b.Value
}

// Evaluate completes r: its ratio, its demand, and whether all bounds are met.
func (r Row) Evaluate(bounds ...Bound) Row {
	if r.Baseline != "" && r.BaselineValue != 0 {
		r.Ratio = r.Ours / r.BaselineValue
	}
	r.OK, r.bounds = true, bounds
	for i, b := range bounds {
		if i > 0 {
			r.Demand += ", "
		}
		r.Demand += b.String()
		r.OK = r.OK && b.holds(&r)
	}
	return r
}

// Median returns the median of the figures: the mean of the two middle ones if their number is even. Without figures it is NaN.
func Median(of []float64) float64 {
	if len(of) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(of))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Failed returns the rows whose demand is not met.
func Failed(rows []Row) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.OK })
}

// JSON writes the rows as a list.
func JSON(w io.Writer, rows []Row) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if rows == nil {
		rows = []Row{}
	}
	return e.Encode(rows)
}

// MarshalJSON writes null for figures that are not finite, since JSON has no such numbers.
func (r Row) MarshalJSON() ([]byte, error) {
	number := func(v float64) *float64 {
		if !finite(v) {
			return nil
		}
		return &v
	}
	type row Row
	return json.Marshal(struct {
		row
		Ours          *float64 `json:"ours"`
		BaselineValue *float64 `json:"baseline_value"`
		Ratio         *float64 `json:"ratio"`
	}{row(r), number(r.Ours), number(r.BaselineValue), number(r.Ratio)})
}

// Short formats v with about three significant digits, and with thousands in groups.
func Short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= math.MaxInt64:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a >= 1000:
		return grouped(int64(math.Round(v)))
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func grouped(n int64) string {
	if n < 0 {
		return "-" + grouped(-n)
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// Size formats a message's size.
func Size(n int) string {
	switch {
	case n == 0:
		return ""
	case n%1024 == 0:
		return strconv.Itoa(n/1024) + " KiB"
	default:
		return strconv.Itoa(n) + " B"
	}
}
