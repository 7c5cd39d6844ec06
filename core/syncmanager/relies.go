package syncmanager

import "github.com/protofly/protofly/sdk/message"

// Relies tells whether a remote runtime observes something here, or something of it is observed from here: then it has to be known
// whether it has gone, or has started again.
func (m *Manager) Relies(remote message.URL) bool {
	l := m.lock()
	defer l.unlock()
	remote = remote.Canonical()
	for _, r := range l.reported {
		if r.ObservedFrom(remote) {
			return true
		}
	}
	for _, o := range l.observed {
		if o.Metadata().Runtime.Runtime() == remote {
			return true
		}
	}
	return false
}
