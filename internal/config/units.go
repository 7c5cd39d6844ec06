package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units returns the units of sizes, the largest first.
func units() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// ParseSize reads a size: a whole number of bytes, or of KiB, MiB or GiB, such as 4MiB.
func ParseSize(text string) (int64, error) {
	digits, factor := text, int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, factor = rest, u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor || n < math.MinInt64/factor || strings.HasPrefix(digits, "+") {
		return 0, fmt.Errorf("want a size, such as 65536 (bytes) or 64KiB, not %q", text)
	}
	return n * factor, nil
}

// FormatSize returns a size in its largest unit that gives a whole number.
func FormatSize(n int64) string {
	for _, u := range units() {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// FormatDuration returns a duration without zero parts at its end: 24h, not 24h0m0s.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}
