package descendants

import "testing"

func FuzzStat(f *testing.F) {
	f.Add("12 (a name) S 34 1 1 0")
	f.Add("12 (a) Z 1) R 5 )")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseStat(12, text); ok && s.pid != 12 {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

func TestStatOfAnyName(t *testing.T) {
	s, ok := parseStat(12, "12 (a) S 99 (b)) Z 34 1 1 0")
	if !ok || s.parent != 34 || !s.ended {
		t.Errorf("%+v", s)
	}
}
