package session

// Again has the sessions on path send again what is not acknowledged, and ask for what they are missing, although path
// stays the same: what carries it was replaced, and frames that were under way may be lost.
func (s *Sessions) Again(path Path) {
	for _, one := range s.existing() {
		l := one.lock()
		if one.paths.Uses(path) && !path.IsZero() && !one.gone {
			one.send.Rewind()
			if one.pair.Peer() != 0 {
				one.recv.Resume()
			}
			l.restartProbe(s.now())
			l.poke()
		}
		l.unlock()
	}
}
