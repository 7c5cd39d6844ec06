package sandbox

import (
	"runtime"
	"sync"
)

// OnThread runs f on a new thread that ends with it, as [Confine] needs. That is never the process's first thread, which
// cannot end. OnThread returns when f has returned.
func OnThread(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlocks
		if !isFirstThread() {
			f()
			return
		}
		locked := make(chan struct{})
		wg.Go(func() {
			runtime.LockOSThread()
			close(locked)
			f()
		})
		<-locked // keeps the first thread busy until another goroutine has locked another thread
		runtime.UnlockOSThread()
	})
	wg.Wait()
}
