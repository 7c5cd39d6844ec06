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

// Wait waits for the end of the link, and cleans up. It calls ended when the process is gone and [Process.Err]
// is set, just before [Process.Done] is closed; unexpected says that [Process.End] was not called. The caller of [Start] calls
// Wait once.
func (pr *Process) Wait(ended func(unexpected bool)) {
	pr.awaitEnd()
	pr.mu.Lock()
	stopping := pr.stopping
	pr.mu.Unlock()
	if stopping {
		pr.client.Kill() // asks it to exit, and kills it if it does not
	} else {
		select {
		case <-pr.run.exited:
		case <-time.After(pr.o.Waits.Exit):
		case <-pr.o.CloseDeadline.Done():
		}
	}
	killed := pr.run.kill()
	pr.cleanUp()
	pr.err = &failure.ExitError{Plugin: pr.o.Name, Detail: failure.Text(pr.why(killed), failure.MaxText)}
	ended(!stopping)
	close(pr.done)
}

// why says how the process has ended. killed says that it did not exit after its link had ended, and was killed.
func (pr *Process) why(killed bool) string {
	if broken := new(link.ProtocolError); errors.As(pr.conn.Err(), &broken) {
		return broken.Error()
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch {
	case pr.killedFor != "":
		return pr.killedFor
	case pr.frozen:
		return fmt.Sprintf("it did not answer for %s and was killed", maxUnanswered*pr.o.Health)
	case killed:
		return "its link ended and it did not exit: " + pr.run.describeExit()
	}
	return pr.run.describeExit()
}

// awaitEnd returns when the link has ended. Where the process has exited and its link has not ended, an orphan of the plug-in
// holds the link's other end; awaitEnd then ends the link.
func (pr *Process) awaitEnd() {
	select {
	case <-pr.conn.Done():
		return
	case <-pr.run.exited:
	}
	late := time.NewTimer(pr.o.Waits.Exit) // time to read what the process has sent
	defer late.Stop()
	select {
	case <-pr.conn.Done():
	case <-late.C:
		pr.conn.End()
	case <-pr.o.CloseDeadline.Done():
		pr.conn.End()
	}
}

// cleanUp removes what belongs to a process that has exited, and waits for its goroutines.
func (pr *Process) cleanUp() {
	defer context.AfterFunc(pr.o.CloseDeadline, pr.run.readNoMore)()
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
	if !pr.o.Descendants.Clear(pr.o.CloseDeadline, pr.o.Waits.Clear) {
		pr.run.log.Error("processes that the plug-in has started do not end", "TMPDIR_in_their_environment", pr.run.dir)
	}
	_ = os.RemoveAll(pr.run.dir)
}

// End asks the process to end, and kills it after Options.StopGrace or when ctx ends. It returns when the process is gone.
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
