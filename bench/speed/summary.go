package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/load"
)

// The summary after the table says where CPU time and memory go while messages stream over a direct connection, process by
// process. Other profiles than the default are made on request, such as -only profile/webrtc/100.

const (
	profiledPlugin = "quic" // and webrtc
	profiledSize   = 1 << 10
	profileRow     = "profile"
	profileTop     = 10 // functions of each list
)

// profiles makes the summary; "" if -only excludes it.
func (b *bench) profiles(ctx context.Context) (summary string, err error) {
	for _, plugin := range []string{profiledPlugin, "webrtc"} {
		for _, size := range contest.Sizes() {
			usual := plugin == profiledPlugin && size == profiledSize
			if b.JSON || b.Only == "" && !usual || !b.Wants(profileRow, plugin, size) {
				continue
			}
			text, err := b.profile(ctx, plugin, size)
			if err != nil {
				return "", err
			}
			summary += text
		}
	}
	return summary, nil
}

// profile is the summary for messages of one size over a plug-in.
func (b *bench) profile(ctx context.Context, plugin string, size int) (summary string, err error) {
	length := 4 * time.Second
	if b.Quick {
		length = time.Second
	}
	p, err := b.protofly(false, plugin).Begin(ctx)
	if err != nil {
		return "", err
	}
	defer p.Stop()
	if _, err := p.Sender.Do(ctx, load.Command{Do: "stream", Size: size, For: length / 4}); err != nil { // to warm up
		return "", err
	}
	for _, c := range p.Cores() {
		if _, err := c.Do(ctx, load.Command{Do: "profile", Text: "," + plugin, For: length}); err != nil {
			return "", err
		}
	}
	r, err := p.Sender.Do(ctx, load.Command{Do: "stream", Size: size, For: length})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nwhere the time and the memory go: messages of %d bytes over %s, %.0f a second\n", size, plugin, float64(r.Messages)/r.Seconds)
	for i, c := range p.Cores() {
		if err := b.profilesOf(ctx, &text, c, []string{"sending", "receiving"}[i]); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

// profilesOf writes the profiles of a runtime and its plug-in.
func (b *bench) profilesOf(ctx context.Context, to io.Writer, c *load.Process, side string) error {
	r, err := c.Do(ctx, load.Command{Do: "profiles"})
	if err != nil {
		return err
	}
	var found []profileOf
	if err := json.Unmarshal([]byte(r.Text), &found); err != nil {
		return err
	}
	for _, f := range found {
		name := "runtime"
		if f.Process != "" {
			name = "plug-in " + f.Process
		}
		if f.Err != "" {
			return fmt.Errorf("profile of the %s %s: %s", side, name, f.Err)
		}
		for _, list := range []struct{ kind, data, index string }{{"CPU", f.CPU, "cpu"}, {"allocations since the start", f.Allocs, "alloc_space"}} {
			if b.Quick && list.index != "cpu" {
				continue // each profile takes time to analyse
			}
			text, err := b.top(ctx, list.data, list.index)
			if err != nil {
				return err
			}
			fmt.Fprintf(to, "\n%s %s, %s:\n%s\n", side, name, list.kind, text)
		}
	}
	return nil
}

// top returns the first functions of a profile, each with its own and its cumulative cost.
func (b *bench) top(ctx context.Context, data, index string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.dir, "profile")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", fmt.Sprintf("-nodecount=%d", profileTop), "-sample_index="+index, file).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go tool pprof: %w: %s", err, exit.Stderr)
	} else if err != nil {
		return "", err
	}
	_, list, _ := strings.Cut(string(out), "Showing nodes")
	return "  " + strings.ReplaceAll(strings.TrimSpace("nodes"+list), "\n", "\n  "), nil
}
