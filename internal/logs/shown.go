package logs

import (
	"fmt"
	"reflect"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/printable"
)

// The limits of one line.
const (
	maxText  = 1 << 10 // bytes of the message
	maxKey   = 64
	maxValue = 2 << 10 // bytes of a value
	maxArgs  = 2 * 40  // keys and values
)

func shownText(s string) string { return printable.Cut(s, maxText) }
func shownKey(s string) string  { return printable.Cut(s, maxKey) }

// shownArgs returns keys and values in printable form. It does not change the caller's list.
func shownArgs(args []any) []any {
	if len(args) == 0 {
		return nil
	}
	shown := make([]any, 0, min(len(args), maxArgs))
	for i, arg := range args[:min(len(args), maxArgs)] {
		if i%2 == 0 && i+1 < len(args) {
			key, ok := arg.(string)
			if !ok {
				key = fmt.Sprint(arg)
			}
			shown = append(shown, shownKey(key))
			continue
		}
		shown = append(shown, shownValue(arg))
	}
	return shown
}

// shownValue returns a value in printable form, if it is text or has a text that a stranger may have written.
func shownValue(v any) any {
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, uint32, int32, uint16, float64, time.Duration, time.Time, hclog.Hex, hclog.Octal, hclog.Binary, hclog.CapturedStacktrace:
		return v
	case string:
		return printable.Cut(v, maxValue)
	case []byte:
		return printable.Cut(string(v[:min(len(v), maxValue+1)]), maxValue)
	case hclog.Format:
		if len(v) > 0 {
			if format, ok := v[0].(string); ok {
				return printable.Cut(fmt.Sprintf(format, v[1:]...), maxValue)
			}
		}
	case error, fmt.Stringer:
	default:
		if text := reflect.ValueOf(v); text.Kind() == reflect.String {
			return printable.Cut(text.String(), maxValue)
		}
	}
	return printable.Cut(fmt.Sprint(v), maxValue)
}
