package stubhost

import "time"

// Wait has the host wait so long for each thing that it waits for of a process that is ending, where Close has time left.
func (h *Host) Wait(d time.Duration) { h.waits = waits{d, d, d} }
