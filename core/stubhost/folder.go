package stubhost

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// DefaultQuota is how many bytes a plug-in's process may keep in its folder.
const DefaultQuota = 64 << 20

const (
	quotaEvery = time.Second
	maxFiles   = 4096 // in a process's folder
	maxNested  = 32   // folders in folders
	fileCost   = 4096 // what a file takes beside its bytes
	openFiles  = 32 << 10
)

// usage adds up what is in a folder. It stops where that is more than limit, or more files than maxFiles.
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
		return // it is gone meanwhile
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

// full says what is wrong with a process's folder, "" if nothing is.
func full(dir string, quota int64) string {
	u := usage{limit: quota}
	u.add(dir, 0)
	if !u.over() {
		return ""
	}
	return fmt.Sprintf("it keeps more in its folder than it may: %d bytes and %d files, or folders %d deep", quota, maxFiles, maxNested)
}

// watchFolder looks at what the process keeps, and kills one that keeps too much.
func (pr *process) watchFolder() {
	ticker := time.NewTicker(quotaEvery)
	defer ticker.Stop()
	for {
		select {
		case <-pr.ctx.Done():
			return
		case <-ticker.C:
		}
		if detail := full(pr.run.dir, pr.plugin.host.o.Quota); detail != "" {
			pr.condemn(detail)
			return
		}
	}
}

// condemn kills the process for what it has done, and notes that as the reason of its end.
func (pr *process) condemn(detail string) {
	pr.mu.Lock()
	if pr.guilt == "" {
		pr.guilt = detail
	}
	pr.mu.Unlock()
	pr.run.kill()
}
