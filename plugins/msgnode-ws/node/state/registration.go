package state

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/shelves"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Registration is an entry of the Domain Registry: a hyperty, a data object or a runtime, and where it is.
type Registration struct {
	URL      message.URL                `json:"url"`
	Owner    message.URL                `json:"owner"` // the runtime that registered it, and alone may change it
	Status   string                     `json:"status"`
	Expires  int                        `json:"expires"` // seconds without a keep-alive until it counts as disconnected
	Started  time.Time                  `json:"started"`
	Modified time.Time                  `json:"modified"`
	Fields   map[string]json.RawMessage `json:"fields"`           // the rest, as it was given
	Source   string                     `json:"source,omitempty"` // the term by which it is counted: see [State.SourceTerm]
	Since    time.Time                  `json:"since,omitzero"`   // when the owner first had it; zero: Started
}

const (
	Live         = "live"
	Disconnected = "disconnected"
)

func (r *Registration) terms() []string {
	terms := []string{"r:" + string(r.Owner), "u:" + string(r.URL.Canonical()), "scheme:" + r.URL.Scheme()}
	if r.Status == Disconnected { // one or the other: a change of the status makes the row no larger
		terms = append(terms, GoneTerm(r.Owner))
	} else {
		terms = append(terms, liveTerm(r.Owner))
	}
	if user := r.Field("user"); user != "" {
		terms = append(terms, "user:"+user)
		if u, err := message.ParseURL(user); err == nil {
			id := strings.TrimPrefix(u.Path(), "/")
			terms = append(terms, "idp:"+id)
			if !strings.Contains(id, "@") {
				terms = append(terms, "idp:"+id+"@"+u.Domain())
			}
		}
	}
	if guid := r.Field("guid"); guid != "" {
		terms = append(terms, "user:"+guid)
	}
	if name := r.Field("name"); name != "" {
		terms = append(terms, "name:"+name)
	}
	return withSource(terms, r.Source)
}

// GoneTerm is by which a runtime's entries are found that are disconnected.
func GoneTerm(runtime message.URL) string { return "gone:" + string(runtime) }

func liveTerm(runtime message.URL) string { return "live:" + string(runtime) }

// LateTime is how long the entry of an address that is nobody's any more is kept: messages that were sent from there may still be
// on their way, and their receivers ask whose the address was. A session gives up what it cannot bring in 30 s.
const LateTime = 5 * time.Minute

// Needed tells whether a disconnected entry is still needed. That of an address which its runtime keeps says that it is away, and that
// is no "not found": it is needed for the retention time. Runtimes of the JSON dialects keep addresses without an allocation.
func (s *State) Needed(r *Registration, now time.Time, retention time.Duration) bool {
	if !s.Keeps(r) {
		retention = min(retention, LateTime)
	}
	return now.Sub(r.Modified) <= retention
}

// Keeps tells whether the address of an entry is still its owner's.
func (s *State) Keeps(r *Registration) bool {
	return r.URL.IsRuntime() || !proof.KeyDerived(r.Owner) || s.Owner(r.URL) == r.Owner
}

// Live is how many entries of a runtime are not disconnected, and so count against its limit.
func (s *State) Live(runtime message.URL) int {
	return s.Registrations.Count(liveTerm(runtime))
}

// LeastNeeded are the keys of a runtime's disconnected entries, at most so many: those of addresses that are nobody's any more come
// first, and of both kinds the oldest.
func (s *State) LeastNeeded(runtime message.URL, limit int) []string {
	type entry struct {
		key   string
		keeps bool
		at    time.Time
	}
	var list []entry
	for key, r := range s.Registrations.Find(GoneTerm(runtime)) {
		list = append(list, entry{key, s.Keeps(r), r.Modified})
	}
	slices.SortFunc(list, func(a, b entry) int {
		if a.keeps != b.keeps {
			if b.keeps {
				return -1
			}
			return 1
		}
		return a.at.Compare(b.at)
	})
	keys := make([]string, 0, min(limit, len(list)))
	for _, e := range list[:min(limit, len(list))] {
		keys = append(keys, e.key)
	}
	return keys
}

// place is where the entry stands among those that are found by the same: by the address that it came from, or, where that
// stands for many, its own runtime.
func (r *Registration) place() shelves.Place {
	p := shelves.Place{Terms: r.terms(), Address: r.Source, Runtime: string(r.Owner), Since: r.HadSince(), Size: r.size()}
	p.Site, _, _ = strings.Cut(r.Source, sitesAddress) // see [State.SourceTerm]
	p.Address, p.Site = cmp.Or(p.Address, p.Runtime), cmp.Or(p.Site, p.Runtime)
	return p
}

// registrationTable is the table of the Domain Registry. The shelved terms are those that entries of strangers may share.
func registrationTable(name string) table.Options[Registration] {
	return table.Options[Registration]{Name: name, Terms: (*Registration).terms,
		Shelves: shelves.New((*Registration).place, "scheme", "user", "idp", "name")}
}

// HadSince is when the owner first had the entry, whatever it has changed in it since then.
func (r *Registration) HadSince() int64 {
	if r.Since.IsZero() {
		return r.Started.UnixNano()
	}
	return r.Since.UnixNano()
}

// LongTerm returns a field that is too long for a term by which the entry can be found, and its size in bytes; "" if none is
// too long.
func (r *Registration) LongTerm() (name string, size int) {
	for _, name := range []string{"user", "guid", "name"} {
		if text := r.Field(name); len(text) > message.MaxURL {
			return name, len(text)
		}
	}
	return "", 0
}

// Field is a text field, "" where it is absent or no text.
func (r *Registration) Field(name string) string {
	var s string
	_ = json.Unmarshal(r.Fields[name], &s)
	return s
}

// size is how many bytes the entry has in an answer, or a few more, with all escapes of JSON.
func (r *Registration) size() int {
	size := 2*escaped(string(r.URL)) + 200
	for name, value := range r.Fields {
		size += escaped(name) + len(value) + 4
	}
	return size
}

// escaped is an upper bound for the length of a text in JSON.
func escaped(text string) int {
	size := len(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			size += 5
		}
	}
	return size
}

// List is a field that is a list of texts.
func (r *Registration) List(name string) refjson.Names {
	var l refjson.Names
	_ = json.Unmarshal(r.Fields[name], &l)
	return l
}

// StatusAt is the status at now: an entry that was not kept alive is disconnected, also before the sweep writes that.
func (r *Registration) StatusAt(now time.Time) string {
	if r.Status == Live && now.Sub(r.Modified) > time.Duration(r.Expires)*time.Second {
		return Disconnected
	}
	return r.Status
}

// Entry is the form in which the specification's registry returns an entry: hypertyID and userID for url and user.
func (r *Registration) Entry(now time.Time) map[string]any {
	e := make(map[string]any, len(r.Fields)+6)
	for name, value := range r.Fields {
		e[name] = value
	}
	if user, ok := r.Fields["user"]; ok {
		delete(e, "user")
		e["userID"] = user
	}
	if r.URL.Scheme() == message.SchemeHyperty {
		e["hypertyID"] = r.URL
	} else {
		e["url"] = r.URL
	}
	const iso = "2006-01-02T15:04:05.000Z"
	e["status"], e["expires"] = r.StatusAt(now), r.Expires
	e["startingTime"], e["lastModified"] = r.Started.UTC().Format(iso), r.Modified.UTC().Format(iso)
	return e
}

// RegistrationKey is the key of an entry's row.
func RegistrationKey(u message.URL) string { return backbone.Hash(string(u.Canonical())) }

// Varies is the length of the entry's status and times.
func (r *Registration) Varies() int {
	size := len(r.Status) + len(strconv.Itoa(r.Expires)) + len(r.Started.Format(time.RFC3339Nano)) + len(r.Modified.Format(time.RFC3339Nano))
	if !r.Since.IsZero() {
		size += len(`,"since":""`) + len(r.Since.Format(time.RFC3339Nano))
	}
	return size
}
