package gcpace

import (
	"runtime"
	"testing"
)

func TestLive(t *testing.T) {
	runtime.GC()
	before := Live()
	kept := make([]byte, 32<<20)
	runtime.GC()
	if grown := int64(Live() - before); grown < 31<<20 || grown > 40<<20 {
		t.Errorf("32 MiB more are in use, and %d more are reported", grown)
	}
	runtime.KeepAlive(kept)
}
