package stubhost

import (
	"math"
	"time"
)

// Wait has the host wait so long for each thing that it waits for of a process that is ending, where Close has time left.
func (h *Host) Wait(d time.Duration) { h.waits = waits{d, d, d} }

// Impossible gives a plug-in a user ID that no process can have.
func (h *Host) Impossible(plugin string) {
	user, _ := h.users.of(h.o.Dir, plugin)
	h.users.first += math.MaxUint32 - user.ID
}
