package version

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCounter(t *testing.T) {
	c := Counter{Life: "here"}
	before := c.Text()
	if n := c.Next(); n != 1 || c.After(c.Text()) != 1 || c.After(before) != 0 {
		t.Errorf("number %d; %q before, %q after", n, before, c.Text())
	}
	for _, text := range []string{"", "1", "there.1", "here.2", "here.-1", "here.1.1", "here."} {
		if n := c.After(text); n != 0 {
			t.Errorf("%q is %d", text, n)
		}
	}
}
