package sdk_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
)

// ServeLink ends with its context, whether a host has connected or not, and if its listener fails; then the listener is closed.
func TestServeLink(t *testing.T) {
	for name, fails := range map[string]bool{"ended": false, "failed": true} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if fails {
				err = l.Close()
			} else {
				cancel()
			}
			defer cancel()
			if err != nil {
				t.Fatal(err)
			}
			err = sdk.ServeLink(ctx, l, sdk.Descriptor{Name: "idler", Version: "1", Kind: sdk.KindP2P}, nil, sdk.LinkOptions{Grace: time.Minute})
			if (err != nil) != fails || fails && !strings.HasPrefix(err.Error(), "serve the link: ") {
				t.Errorf("%v", err)
			}
			if c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
				c.Close()
				t.Error("somebody listens still")
			}
		})
	}
}
