package sandbox

import (
	"runtime"
	"sync"
)

// OnThread runs f on a thread of its own, which ends with it, as [Confine] needs one. It is not the process's first one, which
// cannot end. It returns when f has.
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
		<-locked // this one keeps the first thread until then
		runtime.UnlockOSThread()
	})
	wg.Wait()
}
