package longtest

import (
	"flag"
	"strconv"
)

// Parallel has n tests of a package run side by side, where the command line does not say how many: tests that wait for
// processes and times need no processor each. TestMain calls it before it runs the tests.
func Parallel(n int) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(n)) // fails only outside of a test
	}
}
