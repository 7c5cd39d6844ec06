package stubhost

import (
	"math"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
)

// Wait has the host wait so long for each thing that it waits for of a process that is ending, where Close has time left.
func (h *Host) Wait(d time.Duration) { h.launcher.waits = process.Waits{Exit: d, Read: d, Clear: d} }

// Impossible gives a plug-in a user ID that no process can have.
func (h *Host) Impossible(plugin string) {
	h.launcher.users.First += math.MaxUint32 - h.launcher.users.Usual(plugin).Dedicated.User.ID
}
