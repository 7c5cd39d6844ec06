package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/internal/link"
)

// Watch waits for the end of the link and puts everything away. It calls ended when the process is gone and [Process.Err]
// says why, just before [Process.Done] is closed; unasked says that nobody has called [Process.End]. Whoever has started a
// process calls it, once.
func (pr *Process) Watch(ended func(unasked bool)) {
	pr.awaitEnd()
	pr.mu.Lock()
	stopping := pr.stopping
	pr.mu.Unlock()
	if stopping {
		pr.client.Kill() // asks it to exit, and kills it where it does not
	} else {
		select {
		case <-pr.run.exited:
		case <-time.After(pr.o.Waits.Exit):
		case <-pr.o.Late.Done():
		}
	}
	killed := pr.run.kill()
	pr.cleanUp()
	pr.err = &failure.ExitError{Plugin: pr.o.Name, Detail: failure.Text(pr.why(killed), failure.MaxText)}
	ended(!stopping)
	close(pr.done)
}

// why says how the process has ended; killed, that it had to be killed when its link had ended.
func (pr *Process) why(killed bool) string {
	if broken := new(link.ProtocolError); errors.As(pr.conn.Err(), &broken) {
		return broken.Error()
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch {
	case pr.guilt != "":
		return pr.guilt
	case pr.frozen:
		return fmt.Sprintf("it did not answer for %s and was killed", misses*pr.o.Health)
	case killed:
		return "its link ended and it did not exit: " + pr.run.describeExit()
	}
	return pr.run.describeExit()
}

// awaitEnd returns when the link has ended. That of a process which has exited is ended where it does not by itself: then
// somebody else holds its other end, a process that the plug-in has left behind.
func (pr *Process) awaitEnd() {
	select {
	case <-pr.conn.Done():
		return
	case <-pr.run.exited:
	}
	late := time.NewTimer(pr.o.Waits.Exit) // what it has sent before is read
	defer late.Stop()
	select {
	case <-pr.conn.Done():
	case <-late.C:
		pr.conn.End()
	case <-pr.o.Late.Done():
		pr.conn.End()
	}
}

// cleanUp waits for everything that belongs to a process that has exited.
func (pr *Process) cleanUp() {
	defer context.AfterFunc(pr.o.Late, pr.run.readNoMore)()
	pr.cancel()
	pr.client.Kill()
	if pr.run.pipes != nil {
		_ = pr.run.pipes.Close()
	}
	if pr.conn != nil {
		pr.conn.Wait()
	}
	pr.wg.Wait()
	pr.run.wait()
	if !pr.o.Family.Clear(pr.o.Late, pr.o.Waits.Clear) {
		pr.run.log.Error("the plug-in has left processes behind that do not end")
	}
	_ = os.RemoveAll(pr.run.dir)
}

// End asks the process to end, and kills it after the grace or when ctx ends. It returns when it is gone.
func (pr *Process) End(ctx context.Context) {
	pr.mu.Lock()
	pr.stopping = true
	pr.mu.Unlock()
	pr.run.askToEnd()
	select {
	case <-pr.done:
	case <-ctx.Done():
	case <-time.After(pr.o.StopGrace):
	}
	pr.run.kill()
	<-pr.done
}
