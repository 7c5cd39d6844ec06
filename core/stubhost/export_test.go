package stubhost

import (
	"math"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
)

// Wait sets how long the host waits for each step of a process's end, while Close has time left.
func (h *Host) Wait(d time.Duration) { h.launcher.waits = process.Waits{Exit: d, Read: d, Clear: d} }

// Impossible gives a plug-in a user ID that no process can have.
func (h *Host) Impossible(plugin string) {
	h.launcher.users.First += math.MaxUint32 - h.launcher.users.Usual(plugin).Dedicated.User.ID
}
