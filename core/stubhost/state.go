package stubhost

import (
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/sdk/message"
)

// State is what a plug-in's process is doing.
type State string

// The states.
const (
	Idle     State = "idle"     // no process, and none is needed
	Starting State = "starting" // being started
	Waiting  State = "waiting"  // it has failed, and is started again after a delay
	Running  State = "running"
)

// PluginState is the state of one plug-in, for the status.
type PluginState struct {
	Name      string        `json:"name"`
	Version   string        `json:"version,omitempty"` // as the running process says
	PID       int           `json:"pid,omitempty"`
	State     State         `json:"state"`
	Restarts  int           `json:"restarts"`
	Since     time.Time     `json:"since,omitzero"` // the running process's start
	LastError string        `json:"lastError,omitempty"`
	Sandbox   string        `json:"sandbox"` // what confines it; "off: …": not confined, and why
	User      string        `json:"user"`    // the user ID it runs under, and what that cannot read; "root: …": why it has no dedicated one
	Instances []message.URL `json:"instances"`
}

// Plugins returns the state of every plug-in that was ever deployed, ordered by name.
func (h *Host) Plugins() []PluginState {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]PluginState, 0, len(h.plugins))
	for _, p := range h.plugins {
		s := p.state()
		for _, i := range h.instances {
			if i.plugin == p {
				s.Instances = append(s.Instances, i.URL)
			}
		}
		slices.Sort(s.Instances)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b PluginState) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (p *plugin) state() PluginState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PluginState{Name: p.name, State: Idle, Restarts: p.crashes, Instances: []message.URL{}, Sandbox: p.launcher.confined}
	if s.Sandbox == "" {
		s.Sandbox = "off: " + p.launcher.unconfined
	}
	if p.proc != nil {
		s.User = p.proc.As().String()
	} else {
		s.User = p.launcher.users.Usual(p.name).String()
	}
	if p.lastErr != nil {
		s.LastError = failure.Text(p.lastErr.Error(), failure.MaxText)
	}
	switch {
	case p.proc != nil && p.proc.Exited():
		s.State, s.Version = Waiting, p.proc.Version() // and what it has left behind is being put away
	case p.proc != nil:
		s.State, s.Version, s.Since = Running, p.proc.Version(), p.proc.Since()
		s.PID = p.proc.PID()
	case p.try != nil && time.Now().Before(p.notBefore):
		s.State = Waiting
	case p.try != nil:
		s.State = Starting
	}
	return s
}
