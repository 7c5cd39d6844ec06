package longtest

import (
	"flag"
	"strconv"
)

// together is how many parallel tests run at once after WaitTogether.
const together = 32

// WaitTogether is for the TestMain of a package whose parallel tests wait most of their time: all of them run at once, not
// only as many as there are cores, so that the package takes as long as the longest. An explicit -parallel is kept.
func WaitTogether() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(together)) // the flag is there, and takes numbers
	}
}
