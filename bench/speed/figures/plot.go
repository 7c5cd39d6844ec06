package figures

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Plot writes the rows as one self-contained SVG image: throughput by transport and size first, then all figures that are better if
// they are lower.
//
// A row is a pair of bars, ours above the baseline, with a scale of its own that begins at zero. The rows differ by factors of
// thousands, so that a common scale would not show how the bars of a pair compare. The
// figures are beside the bars, the ratio is beside the pair, and a line marks the demand.
func Plot(w io.Writer, rows []Row) error {
	var p plot
	for _, s := range sections(rows) {
		p.section(s)
	}
	height := p.y + margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">`+"\n", plotWidth, height+legendHeight)
	out.WriteString("<title>Figures beside their baselines and demands</title>\n" + plotStyle)
	fmt.Fprintf(&out, `<rect class="page" width="%d" height="%d"/>`+"\n", plotWidth, height+legendHeight)
	legend(&out)
	fmt.Fprintf(&out, `<g transform="translate(0 %d)">`+"\n", legendHeight)
	out.Write(p.body.Bytes())
	out.WriteString("</g>\n</svg>\n")
	_, err := w.Write(out.Bytes())
	return err
}

// Where things are, in pixels.
const (
	plotWidth    = 1200
	margin       = 16
	legendHeight = 40
	barsAt       = 290
	barsLength   = 330
	barHeight    = 11
	rowHeight    = 2*barHeight + 13
	ratioAt      = 850 // its end
	demandAt     = 864
	headHeight   = 34
)

// The colours follow the viewer's colour scheme, and the image has a background of its own.
const plotStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.page { fill: #ffffff }
.head { font-size: 15px; font-weight: 600 }
.ratio { font-weight: 600; text-anchor: end }
.small { font-size: 11px; fill: #57606a }
.bad { fill: #b3261e }
.ours { fill: #0b6bcb }
.base { fill: #9aa4ae }
.demand { stroke: #b35900; stroke-width: 2 }
.stretch { stroke: #b35900; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.small { fill: #9aa4ae }
.bad { fill: #ff8a80 }
.ours { fill: #4ea1f3 }
.base { fill: #6b7580 }
.demand, .stretch { stroke: #f0a04b }
}
</style>
`

func legend(out *bytes.Buffer) {
	const y = 16
	box := func(class string, x int, text string) {
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="22" height="%d"/><text x="%d" y="%d">%s</text>`+"\n", class, x, y, barHeight, x+30, y+10, text)
	}
	line := func(class string, x int, text string) {
		fmt.Fprintf(out, `<line class="%s" x1="%d" x2="%[2]d" y1="%d" y2="%d"/><text x="%d" y="%d">%s</text>`+"\n", class, x, y-2, y+barHeight+2, x+10, y+10, text)
	}
	box("ours", margin, "ours")
	box("base", 110, "what it is compared with, in the same run")
	line("demand", 420, "demanded")
	line("stretch", 530, "stretch goal")
}

// section is a group of rows with one heading.
type section struct {
	title string
	rows  []Row
}

// sections sorts the rows: throughput first, by transport, in the order in which they come.
func sections(rows []Row) (list []section) {
	for _, more := range []bool{true, false} {
		for _, r := range rows {
			if moreIsBetter(r) != more {
				continue
			}
			title := r.Transport + ", shorter is better"
			if more {
				title = r.Transport + ", longer is better"
			}
			title = strings.TrimPrefix(title, ", ")
			i := slices.IndexFunc(list, func(s section) bool { return s.title == title })
			if i < 0 {
				i = len(list)
				list = append(list, section{title: title})
			}
			list[i].rows = append(list[i].rows, r)
		}
	}
	// The rows come in the order of measuring, by size; a reader wants all sizes of one row together.
	first := func(r Row) int { return slices.IndexFunc(rows, func(o Row) bool { return o.Row == r.Row }) }
	for _, s := range list {
		slices.SortStableFunc(s.rows, func(a, b Row) int { return first(a) - first(b) })
	}
	return list
}

// moreIsBetter tells whether a higher figure is better: rates are, times, costs and memory are not.
func moreIsBetter(r Row) bool { return strings.HasSuffix(r.Metric, "/s") }

// plot is the image in the making.
type plot struct {
	body bytes.Buffer
	y    int
}

func (p *plot) section(s section) {
	p.y += headHeight
	p.text("head", margin, p.y-8, s.title)
	for _, r := range s.rows {
		p.row(r)
	}
}

func (p *plot) text(class string, x, y int, text string) {
	fmt.Fprintf(&p.body, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, escaped(text))
}

func (p *plot) row(r Row) {
	scale := scaleOf(r)
	p.body.WriteString("<g><title>" + escaped(sentence(r)) + "</title>\n")
	p.text("", margin, p.y+barHeight, strings.TrimSpace(r.Row+" "+Size(r.Size)))
	p.text("small", margin, p.y+2*barHeight+2, r.Metric)
	p.bar("ours", p.y+1, r.Ours, scale, "")
	if r.Baseline != "" {
		p.bar("base", p.y+2+barHeight, r.BaselineValue, scale, " "+r.Baseline)
		p.text("ratio", ratioAt, p.y+barHeight+6, Short(r.Ratio)+"×")
	}
	for _, b := range r.bounds {
		p.bound(b.Value, "demand", r, b, scale)
		if b.Stretch != 0 {
			p.bound(b.Stretch, "stretch", r, b, scale)
		}
	}
	if r.Demand != "" {
		if r.OK {
			p.text("small", demandAt, p.y+barHeight+6, "met: "+r.Demand)
		} else {
			p.text("small bad", demandAt, p.y+barHeight+6, "NOT MET: "+r.Demand)
		}
	}
	p.body.WriteString("</g>\n")
	p.y += rowHeight
}

func (p *plot) bar(class string, y int, value, scale float64, name string) {
	n := length(value, scale)
	fmt.Fprintf(&p.body, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", class, barsAt, y, n, barHeight)
	p.text("small", barsAt+int(n)+6, y+barHeight-1, Short(value)+name)
}

// bound draws a line at the demand or the stretch goal.
func (p *plot) bound(value float64, class string, r Row, b Bound, scale float64) {
	x := barsAt + length(b.at(value, r), scale)
	fmt.Fprintf(&p.body, `<line class="%s" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", class, x, x, p.y-1, p.y+2*barHeight+4)
}

// at returns the demand on the scale of our figure.
func (b Bound) at(value float64, r Row) float64 {
	if b.Ratio {
		return value * r.BaselineValue
	}
	return value
}

// scaleOf returns the largest value in a row.
func scaleOf(r Row) float64 {
	all := []float64{r.Ours, r.BaselineValue}
	for _, b := range r.bounds {
		all = append(all, b.at(b.Value, r), b.at(b.Stretch, r))
	}
	scale := 0.0
	for _, v := range all {
		if finite(v) {
			scale = max(scale, v)
		}
	}
	return scale
}

func length(value, scale float64) float64 {
	if !finite(value) || value <= 0 || scale <= 0 {
		return 0
	}
	return min(1, value/scale) * barsLength
}

// sentence describes a row as text, for tool tips and screen readers.
func sentence(r Row) string {
	s := strings.Join(slices.DeleteFunc([]string{r.Row, r.Transport, Size(r.Size)}, func(s string) bool { return s == "" }), " ")
	s += fmt.Sprintf(": %s %s", Short(r.Ours), r.Metric)
	if r.Baseline != "" {
		s += fmt.Sprintf(", %s %s, ratio %s", r.Baseline, Short(r.BaselineValue), Short(r.Ratio))
	}
	if r.Demand != "" {
		s += ", demanded " + r.Demand
	}
	return s
}

// escaped returns text escaped for XML. Characters that XML cannot represent become U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
