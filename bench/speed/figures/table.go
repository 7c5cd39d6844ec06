package figures

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the rows for people.
func Table(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\ttransport\tsize\tours\tbaseline\tratio\tdemand\t")
	for _, r := range rows {
		base, ratio, mark := "", "", ""
		if r.Baseline != "" {
			base = fmt.Sprintf("%s %s", Short(r.BaselineValue), r.Baseline)
			ratio = Short(r.Ratio)
		}
		if r.Demand != "" {
			mark = "ok"
			if !r.OK {
				mark = "NOT MET"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s %s\t%s\t%s\t%s\t%s\n", r.Row, r.Transport, Size(r.Size), Short(r.Ours), r.Metric, base, ratio, r.Demand, mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if failed := Failed(rows); len(failed) > 0 {
		var names []string
		for _, r := range failed {
			names = append(names, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Row, r.Transport, Size(r.Size))))
		}
		_, err := fmt.Fprintf(w, "\nnot met: %s\n", strings.Join(names, "; "))
		return err
	}
	_, err := fmt.Fprintln(w, "\nevery demand is met")
	return err
}
