package longtest

import (
	"flag"
	"strconv"
)

// Parallel sets how many tests of a package run in parallel, unless the command line does. It is for packages whose tests mostly
// wait for processes and time-outs. TestMain calls it before it runs the tests.
func Parallel(n int) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(n)) // fails only outside of a test
	}
}
