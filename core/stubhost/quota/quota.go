// Package quota limits what a plug-in's process keeps in its folder: bytes, files, and the depth of folders.
package quota

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Default is how many bytes a plug-in's process may keep in its folder.
const Default = 64 << 20

const (
	every     = time.Second
	maxFiles  = 4096 // in a process's folder
	maxNested = 32   // depth of folders in folders
	fileCost  = 4096 // what a file or folder counts beside its bytes
)

// usage adds up what is in a folder. It stops when that is more than limit, or more files than maxFiles.
type usage struct {
	limit int64
	bytes int64
	files int
}

func (u *usage) over() bool { return u.bytes > u.limit || u.files > maxFiles }

// add counts what is in dir.
func (u *usage) add(dir string, depth int) {
	d, err := os.Open(dir)
	if err != nil {
		return // it was removed in the meantime
	}
	defer d.Close()
	if depth > maxNested {
		u.files = maxFiles + 1
	}
	for !u.over() {
		entries, err := d.ReadDir(64)
		for _, e := range entries {
			u.files++
			u.bytes += fileCost
			if e.IsDir() {
				u.add(filepath.Join(dir, e.Name()), depth+1)
			} else if info, err := e.Info(); err == nil {
				u.bytes += info.Size()
			}
		}
		if err != nil || err == io.EOF || len(entries) == 0 {
			return
		}
	}
}

// full says which limit a process's folder exceeds, "" if none.
func full(dir string, quota int64) string {
	u := usage{limit: quota}
	u.add(dir, 0)
	if !u.over() {
		return ""
	}
	return fmt.Sprintf("it keeps more in its folder than it may: %d bytes and %d files, or folders %d deep", quota, maxFiles, maxNested)
}

// Watch checks a folder at intervals until ctx ends. When it exceeds a limit, Watch calls exceeded once with which limit, and
// returns.
func Watch(ctx context.Context, dir string, quota int64, exceeded func(detail string)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if detail := full(dir, quota); detail != "" {
			exceeded(detail)
			return
		}
	}
}
