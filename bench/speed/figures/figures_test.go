package figures

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJudge(t *testing.T) {
	base := Row{Ours: 50, Baseline: "base", BaselineValue: 100}
	nan := Row{Ours: math.NaN()}
	for _, c := range []struct {
		name   string
		row    Row
		bounds []Bound
		ok     bool
		demand string
	}{
		{"no demand", base, nil, true, ""},
		{"ratio, at its bound", base, []Bound{RatioAtLeast(0.5)}, true, "≥ 0.50×"},
		{"ratio too low", base, []Bound{RatioAtLeast(0.51)}, false, "≥ 0.51×"},
		{"ratio, upper bound", base, []Bound{RatioAtMost(0.5)}, true, "≤ 0.50×"},
		{"ratio too high", base, []Bound{RatioAtMost(0.49)}, false, "≤ 0.49×"},
		{"figure", base, []Bound{AtLeast(50)}, true, "≥ 50"},
		{"figure too low", base, []Bound{AtLeast(51)}, false, "≥ 51"},
		{"figure, upper bound", base, []Bound{AtMost(50)}, true, "≤ 50"},
		{"figure too high", base, []Bound{AtMost(49)}, false, "≤ 49"},
		{"one of two fails", base, []Bound{RatioAtLeast(0.3), AtLeast(1000)}, false, "≥ 0.30×, ≥ 1,000"},
		{"the other fails", base, []Bound{AtLeast(1000), RatioAtLeast(0.3)}, false, "≥ 1,000, ≥ 0.30×"},
		{"a stretch goal is no demand", base, []Bound{RatioAtLeast(0.5).Wish(0.9)}, true, "≥ 0.50× (stretch 0.90×)"},
		{"a ratio to nothing", Row{Ours: 50}, []Bound{RatioAtMost(2)}, false, "≤ 2×"},
		{"no figure, lower bound", nan, []Bound{AtLeast(0)}, false, "≥ 0"},
		{"no figure, upper bound", nan, []Bound{AtMost(1)}, false, "≤ 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.row.Evaluate(c.bounds...); got.OK != c.ok || got.Demand != c.demand {
				t.Errorf("%v, demand %q", got.OK, got.Demand)
			}
		})
	}
	if r := base.Evaluate(); r.Ratio != 0.5 {
		t.Errorf("ratio %v", r.Ratio)
	}
	if r := (Row{Ours: 1, Baseline: "nothing"}).Evaluate(); r.Ratio != 0 {
		t.Errorf("ratio to zero: %v", r.Ratio)
	}
	rows := []Row{base.Evaluate(), base.Evaluate(AtLeast(51))}
	if f := Failed(rows); len(f) != 1 || f[0].Demand != "≥ 51" || len(rows) != 2 || rows[0].Demand != "" {
		t.Errorf("failed: %+v", f)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(c.of); got != c.want {
			t.Errorf("%v: %v", c.of, got)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
	if of := []float64{2, 1}; Median(of) != 1.5 || of[0] != 2 {
		t.Error("the figures were sorted in place")
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.5: "0.50", 0.123: "0.12", 9.876: "9.88", 10: "10", 12.34: "12.3", 100.4: "100", 999.4: "999", 1000: "1,000",
		1234567: "1,234,567", 1000000: "1,000,000", -1234: "-1,234", -0.5: "-0.50",
	} {
		if got := Short(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{math.Inf(1): "+Inf", math.Inf(-1): "-Inf", 1e30: "1e+30"} {
		if got := Short(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if got := Short(math.NaN()); got != "-" {
		t.Errorf("no figure: %q", got)
	}
	for n, want := range map[int]string{0: "", 100: "100 B", 1024: "1 KiB", 1500: "1500 B", 256 << 10: "256 KiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// some are rows of every kind.
func some() []Row {
	return []Row{
		Row{Row: "one-way", Transport: "quic", Size: 100, Metric: "messages/s", Ours: 600_000, Baseline: "quic-go", BaselineValue: 1_500_000}.Evaluate(RatioAtLeast(0.3), AtLeast(500_000).Wish(1_000_000)),
		Row{Row: "CPU", Transport: "quic", Size: 100, Metric: "s a million messages", Ours: 2.5, Baseline: "quic-go", BaselineValue: 1}.Evaluate(),
		Row{Row: "one-way", Transport: "quic", Size: 1024, Metric: "messages/s", Ours: 100_000, Baseline: "quic-go", BaselineValue: 200_000}.Evaluate(RatioAtLeast(0.65)),
		Row{Row: "one-way", Transport: "relay", Size: 1024, Metric: "messages/s", Ours: 100_001, Baseline: `<N> & "A"`, BaselineValue: 200_000}.Evaluate(),
		Row{Row: "idle <peer>", Metric: "KiB", Ours: 120}.Evaluate(AtMost(150)),
		Row{Row: "nothing\x00", Transport: "webrtc", Metric: "µs", Ours: math.NaN(), Baseline: "pion", BaselineValue: math.Inf(1)}.Evaluate(AtMost(5)),
		Row{Row: "empty"},
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := Table(&out, some()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"600,000 messages/s", "1,500,000 quic-go", "0.40", "≥ 0.30×, ≥ 500,000 (stretch 1,000,000)", "NOT MET", "not met: one-way quic 1 KiB; nothing"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := Table(&out, some()[:2]); err != nil || !strings.Contains(out.String(), "every demand is met") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := Table(broken{}, some()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("nowhere to write to: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, nil); err != nil || strings.TrimSpace(out.String()) != "[]" {
		t.Errorf("no rows: %q, %v", out.String(), err)
	}
	out.Reset()
	if err := JSON(&out, some()[:1]); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	for _, key := range []string{"row", "transport", "size", "metric", "ours", "baseline", "baseline_value", "ratio", "demand", "ok"} {
		if _, there := list[0][key]; !there {
			t.Errorf("no %q", key)
		}
		delete(list[0], key)
	}
	if len(list[0]) > 0 {
		t.Errorf("besides: %v", list[0])
	}
	out.Reset()
	if err := JSON(&out, some()); err != nil {
		t.Fatal(err)
	}
	var back []Row
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back) != len(some()) || back[0].Ours != 600_000 || back[0].Ratio != 0.4 || !back[0].OK {
		t.Errorf("%v: %s", err, out.Bytes())
	}
	if none := "\"ours\": null"; strings.Count(out.String(), none) != 1 {
		t.Errorf("the row without a figure:\n%s", out.Bytes())
	}
}

// The plot is XML, shows every row with its figures, draws the demands, and stays within its page.
func TestPlot(t *testing.T) {
	var out bytes.Buffer
	if err := Plot(&out, some()); err != nil {
		t.Fatal(err)
	}
	p := read(t, out.Bytes())
	for _, want := range []string{
		"one-way 100 B", "600,000", "1,500,000 quic-go", "0.40×", "met: ≥ 0.30×, ≥ 500,000 (stretch 1,000,000)", "CPU 100 B", "2.50×",
		"one-way 1 KiB", "NOT MET: ≥ 0.65×", `200,000 <N> & "A"`, "idle <peer>", "120", "met: ≤ 150", "nothing\uFFFD", "NOT MET: ≤ 5", "empty",
		"quic, longer is better", "relay, longer is better", "quic, shorter is better",
	} {
		if !p.texts[want] {
			t.Errorf("no text %q in\n%s", want, out.Bytes())
		}
	}
	// The bars of each row, ours and the baseline's, and the legend's.
	if p.classes["ours"] != len(some())+1 || p.classes["base"] != 5+1 || p.classes["demand"] != 5+1 || p.classes["stretch"] != 1+1 {
		t.Errorf("drawn: %v", p.classes)
	}
	if p.names["script"] > 0 || bytes.Contains(out.Bytes(), []byte("NaN")) || bytes.Contains(out.Bytes(), []byte("Inf\"")) {
		t.Errorf("a script, or a length that is none:\n%s", out.Bytes())
	}
	if err := Plot(broken{}, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("nowhere to write to: %v", err)
	}
}

// The lengths of bars are in proportion to their figures.
func TestPlotScale(t *testing.T) {
	r := some()[0]
	scale := scaleOf(r)
	if scale != 1_500_000 || length(r.Ours, scale) != 0.4*barsLength || length(r.BaselineValue, scale) != barsLength {
		t.Errorf("scale %v, bars of %v and %v", scale, length(r.Ours, scale), length(r.BaselineValue, scale))
	}
	if at := r.bounds[0].at(r.bounds[0].Value, r); at != 450_000 {
		t.Errorf("the ratio's line is at %v", at)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), -1} {
		if n := length(v, 10); n != 0 {
			t.Errorf("%v is %v long", v, n)
		}
	}
}

type drawn struct {
	texts          map[string]bool
	classes, names map[string]int
}

// read reads an image as XML.
func read(t *testing.T, text []byte) drawn {
	t.Helper()
	p := drawn{map[string]bool{}, map[string]int{}, map[string]int{}}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return p
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			p.names[e.Name.Local]++
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					p.classes[a.Value]++
				}
			}
		case xml.CharData:
			p.texts[string(e)] = true
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
