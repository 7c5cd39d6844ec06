package object

import (
	"fmt"
	"math"
	"time"
)

// Forever is a grace time that does not end.
const Forever time.Duration = math.MaxInt64

const forever = "forever"

// FormatGrace is a grace time as metadata writes it: "1m0s", "0s", "forever".
func FormatGrace(d time.Duration) string {
	if d == Forever {
		return forever
	}
	return max(d, 0).String()
}

// ParseGrace reads a grace time. known is false where the text is "": a runtime of a version that has none.
func ParseGrace(text string) (grace time.Duration, known bool, err error) {
	switch text {
	case "":
		return 0, false, nil
	case forever:
		return Forever, true, nil
	}
	grace, err = time.ParseDuration(text)
	if err != nil || grace < 0 {
		return 0, false, fmt.Errorf("%w: a grace time %.40q: want a duration such as 60s, or forever", ErrMetadata, text)
	}
	return grace, true, nil
}

// Time is a moment as metadata writes it; "" for the zero time.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeForm)
}

// ParseTime reads such a moment. What is no moment is the zero time.
func ParseTime(text string) time.Time {
	t, err := time.Parse(timeForm, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

const timeForm = "2006-01-02T15:04:05.000Z"
