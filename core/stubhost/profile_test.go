//go:build unix

package stubhost_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk"
)

func deployed(t *testing.T, name string) *stubhost.Host {
	c := newCore(t, func(o *stubhost.Options) { o.StartTimeout = time.Minute })
	err := c.host.Deploy(t.Context(), installed(name), stubhost.Instance{URL: stubURL(name), Runtime: runtimeURL, Role: sdk.RoleNode})
	if err != nil {
		t.Fatal(err)
	}
	return c.host
}

func TestProfile(t *testing.T) {
	t.Parallel()
	h := deployed(t, "echo")
	for _, kind := range []profile.Kind{profile.Heap, profile.CPU} {
		data, err := h.Profile(t.Context(), "echo", kind, 1)
		if err != nil || !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			t.Errorf("%s: %d bytes, %v", kind, len(data), err)
		}
	}
	// A profile that no caller waits for any more makes room for the next one.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Profile(ctx, "echo", profile.CPU, profile.MaxSeconds); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	var err error
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); {
		if _, err = h.Profile(t.Context(), "echo", profile.CPU, 1); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("the next one: %v", err)
	}
	if _, err := h.Profile(t.Context(), "other", profile.Heap, 0); !errors.Is(err, stubhost.ErrNoProcess) {
		t.Errorf("of a plug-in that does not run: %v", err)
	}
}

// A plug-in that has no profiles says so, and one that sends without end is cut off; both go on.
func TestProfileOfAStranger(t *testing.T) {
	for name, want := range map[string]error{"foreign": link.ErrNoProfiles, "flood": profile.ErrTooLarge} {
		t.Run(name, func(t *testing.T) {
			h := deployed(t, name)
			for range 2 {
				if data, err := h.Profile(t.Context(), name, profile.Heap, 0); !errors.Is(err, want) || data != nil {
					t.Errorf("%d bytes, %v, want %v", len(data), err, want)
				}
			}
			if err := h.Undeploy(t.Context(), stubURL(name)); err != nil {
				t.Error(err)
			}
		})
	}
}
