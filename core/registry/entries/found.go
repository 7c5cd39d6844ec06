package entries

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Found is an entry that a search has found: what it says, which its runtime has signed, and what the node says of it.
type Found struct {
	proof.Entry
	Away  bool      // it is disconnected; the node's word
	Since time.Time // when that began, or it was registered; the node's word, zero: it says none
}

// Search reads the value of a search: a map of entries by address (specification, "Domain Registry"). It leaves out those that are
// not to be believed, and those that may refuses, and remembers nothing: whoever enters many entries does not have others forgotten.
// The list is in the order of the addresses.
func (b *Beliefs) Search(now time.Time, value json.RawMessage, may func(name, runtime message.URL) bool) ([]Found, error) {
	var raws map[string]json.RawMessage
	if len(value) == 0 || string(value) == "null" {
		return nil, nil
	}
	if err := json.Unmarshal(value, &raws); err != nil {
		return nil, fmt.Errorf("%w: what was found is no map of entries", message.ErrMalformed)
	}
	list := make([]Found, 0, len(raws))
	for url, raw := range raws {
		if one, ok := b.found(now, message.URL(url), raw); ok && may(one.URL, one.Runtime) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Found) int { return strings.Compare(string(a.URL), string(b.URL)) })
	return list, nil
}

// found reads one entry; false where it is not to be believed.
func (b *Beliefs) found(now time.Time, url message.URL, raw json.RawMessage) (Found, bool) {
	if url.Check() != nil {
		return Found{}, false
	}
	key := url.Canonical()
	e, ok := parseEntry(key, raw)
	if !ok || b.authentic(&e) != nil || b.fresh(now, key, &e) != nil {
		return Found{}, false
	}
	says := e.signed
	if e.proof == nil {
		var err error
		if says, _, err = proof.ParseEntry(raw); err != nil {
			return Found{}, false
		}
	}
	one := Found{Entry: says, Away: e.Status == message.Disconnected.String(), Since: e.Started}
	if one.Away {
		one.Since = e.Modified
	}
	return one, true
}
