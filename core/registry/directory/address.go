package directory

import (
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Address is what is known of an address.
type Address struct {
	Runtime *Runtime // where it lives
	joined  uint64   // the number of the connection whose entry the address is in
	until   uint32   // Unix seconds; it stays longer while a connection is live
	Source  Source
}

// seconds is t in Unix seconds, as Address keeps it: until the year 2106.
func seconds(t time.Time) uint32 { return uint32(t.Unix()) }

// Source is the origin of the knowledge where an address lives. A greater one counts for more.
type Source uint8

// The sources.
const (
	Announced  Source = iota // the runtime has announced it in its session
	Used                     // the runtime was the first to post from it
	Listed                   // the runtime has listed it on /registry/changes
	Registered               // the Domain Registry has an entry of it; the others are claims
)

// Leads tells whether messages may go to the address where it is known to be, without asking the Domain Registry again.
func (a *Address) Leads() bool { return a.Source != Announced || a.Runtime.Way().Live() }

// Joined tells whether the address is in the entry of the connection whose way w is.
func (a *Address) Joined(w *Way) bool { return a.joined == w.Number }

// Key is the form in which an address is known: what is below a hyperty or data object lives with it. It
// is u.Base().Canonical(), with a short way for what nearly all addresses look like: every message takes it.
func Key(u message.URL) message.URL {
	s := string(u)
	colon := strings.IndexByte(s, ':')
	if colon < 0 || !strings.HasPrefix(s[colon:], "://") || s[0] == 'r' { // no address; or runtime://, another spelling of a runtime's
		return u.Base().Canonical()
	}
	domain := colon + len("://")
	slash := strings.IndexByte(s[domain:], '/')
	if slash < 0 {
		return u
	}
	name := domain + slash + 1
	if end := strings.IndexByte(s[name:], '/'); end > 0 {
		return u[:name+end]
	} else if end == 0 || name == len(s) { // a slash too many
		return u.Base().Canonical()
	}
	return u
}
