package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// allocation is what one request was given: a block of addresses, or one wished address.
type allocation struct {
	Runtime   message.URL   `json:"runtime"`
	Addresses []message.URL `json:"addresses"`
	Key       string        `json:"key,omitempty"`    // the allocation key
	Wished    bool          `json:"wished,omitempty"` // kept for as long as the runtime does not free it
	Seen      time.Time     `json:"seen"`             // when the runtime was last known to be there, to the day
	Source    string        `json:"source,omitempty"` // whom it is counted by: see sourceTerm
}

func (a *allocation) terms() []string {
	terms := []string{"r:" + string(a.Runtime)}
	for _, u := range a.Addresses {
		terms = append(terms, "a:"+string(u.Canonical()))
	}
	return withSource(terms, a.Source)
}

// owner is the runtime that u, or the address that u is a part of, is allocated to; or "".
func (n *Node) owner(u message.URL) message.URL {
	for _, a := range n.allocations.find("a:" + string(u.Base().Canonical())) {
		return a.Runtime
	}
	return ""
}

// addressAllocation is the node's function domain://msg-node.<domain>/address-allocation.
func (n *Node) addressAllocation(c *conn, m message.Message) (message.Message, *refusal) {
	switch m.Type {
	case message.Create:
		return n.allocate(c, m)
	case message.Delete:
		return n.deallocate(c, m)
	}
	return message.Message{}, refuse(message.CodeBadRequest, "address allocation: %s is not one of create, delete", m.Type)
}

func (n *Node) allocate(c *conn, m message.Message) (message.Message, *refusal) {
	var body struct {
		Scheme string `json:"scheme"`
		Value  struct {
			Number        *int   `json:"number"`
			AllocationKey string `json:"allocationKey"`
			Identifier    string `json:"identifier"`
		} `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refuse(message.CodeBadRequest, "address allocation: %v", err)
	}
	scheme, number := body.Scheme, 1
	if scheme == "" {
		scheme = message.SchemeHyperty
	}
	if body.Value.Number != nil {
		number = *body.Value.Number
	}
	if r := n.checkAllocation(c, scheme, number, body.Value.AllocationKey, body.Value.Identifier); r != nil {
		return message.Message{}, r
	}
	a := &allocation{Runtime: c.runtime, Key: body.Value.AllocationKey, Seen: time.Now().UTC().Truncate(24 * time.Hour), Source: n.sourceTerm(c.from)}
	key := newSecret()
	if id := body.Value.Identifier; id != "" {
		a.Addresses, a.Wished = []message.URL{message.URL(scheme + "://" + n.opts.Domain + "/" + id)}, true
		key = "wished." + hash(string(a.Addresses[0]))
	}
	for len(a.Addresses) < number {
		a.Addresses = append(a.Addresses, message.URL(scheme+"://"+n.opts.Domain+"/"+newGUID()))
	}
	if r := n.store(c, key, a); r != nil {
		return message.Message{}, r
	}
	for _, u := range a.Addresses {
		if err := n.want(c, u, allocated); err != nil {
			return message.Message{}, refuse(message.CodeUnavailable, "allocated, but not routed yet: %v; connect again", err)
		}
	}
	return m.Respond(message.CodeOK, map[string]any{"allocated": a.Addresses}), nil
}

// store writes an allocation. A wished address that the runtime has already is no error.
func (n *Node) store(c *conn, key string, a *allocation) *refusal {
	if old := n.allocations.get(key); old != nil && old.Runtime == a.Runtime {
		return nil
	}
	if r := n.writable(c.runtime, 1); r != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	err := n.allocations.change(ctx, key, func(old *allocation) (*allocation, error) {
		if old == nil {
			return a, nil
		}
		if old.Runtime != a.Runtime {
			return nil, errConflict
		}
		return old, nil
	})
	if errors.Is(err, errConflict) {
		return refuse(message.CodeConflict, "%s belongs to another runtime; wish for another identifier", a.Addresses[0])
	}
	return n.stateRefusal(err)
}

var errConflict = errors.New("belongs to another runtime")

// stateRefusal is the response to an error of a table, nil for nil.
func (n *Node) stateRefusal(err error) *refusal {
	if err == nil {
		return nil
	}
	if r := asNoRoom(err); r != nil {
		return r
	}
	n.log.Error("state", "error", err)
	code := message.CodeError
	if s := (*stateError)(nil); errors.As(err, &s) {
		code = s.Code()
	}
	if why := n.backbone.fault(); why != "" {
		return refuse(message.CodeError, "the node's state cannot be written: %s", why)
	}
	return refuse(code, "%v", err)
}

func (n *Node) checkAllocation(c *conn, scheme string, number int, key, identifier string) *refusal {
	l := n.opts.Limits
	switch scheme {
	case message.SchemeRuntime, message.SchemeRuntimeAlt, message.SchemeDomain, message.SchemeGlobal, "domain-idp", "domain-csp",
		"domain-broker", "mn", "user", "user-guid", "acct", "hyperty-catalogue":
		return refuse(message.CodeBadRequest, "address allocation: addresses with the scheme %s are not given out", scheme)
	}
	if _, err := message.ParseURL(scheme + "://x/x"); err != nil || len(scheme) > 32 {
		return refuse(message.CodeBadRequest, "address allocation: scheme %.40q: want up to 32 lower-case letters and hyphens", scheme)
	}
	if number < 1 {
		return refuse(message.CodeBadRequest, "address allocation: number %d: want 1 or more", number)
	}
	if number > l.Block {
		return refuse(message.CodeTooLarge, "address allocation: number %d: at most %d at once", number, l.Block)
	}
	if len(key) > 256 {
		return refuse(message.CodeTooLarge, "address allocation: an allocation key of %d bytes, at most 256", len(key))
	}
	if identifier != "" {
		if number != 1 {
			return refuse(message.CodeBadRequest, "address allocation: an identifier is one address, number is %d", number)
		}
		if !goodIdentifier(identifier) {
			return refuse(message.CodeBadRequest, "address allocation: identifier %.80q: want up to 64 of a–z, 0–9, '.', '_', '-', starting with a letter or digit", identifier)
		}
		if n.owner(message.URL(scheme+"://"+n.opts.Domain+"/"+identifier)) == c.runtime {
			return nil // it has it already, that counts once
		}
	}
	have := 0
	for _, a := range n.allocations.find("r:" + string(c.runtime)) {
		have += len(a.Addresses)
	}
	if have+number > l.Addresses {
		return refuse(message.CodeTooMany, "address allocation: the runtime has %d addresses, at most %d are given out; free some", have, l.Addresses)
	}
	return nil
}

// goodIdentifier: what people can type and tell apart.
func goodIdentifier(s string) bool {
	if len(s) == 0 || len(s) > 64 || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return true
}

// deallocate frees addresses, or blocks by their key. Both fields may have addresses and keys, one or a list of
// them, nested or not; what the node does not know is ignored.
func (n *Node) deallocate(c *conn, m message.Message) (message.Message, *refusal) {
	var body struct {
		Resource          names `json:"resource"`
		ChildrenResources names `json:"childrenResources"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refuse(message.CodeBadRequest, "address allocation: %v", err)
	}
	which := append(body.Resource, body.ChildrenResources...)
	if len(which) == 0 {
		return message.Message{}, refuse(message.CodeBadRequest, "address allocation: delete needs resource (an allocation key) or childrenResources (addresses)")
	}
	gone := map[string]bool{}
	for _, name := range which {
		if u, err := message.ParseURL(name); err == nil {
			if owner := n.owner(u); owner != "" && owner != c.runtime {
				return message.Message{}, refuse(message.CodeForbidden, "%s belongs to another runtime; nothing was freed", u)
			}
			gone[string(u.Canonical())] = true
			continue
		}
		gone["key:"+name] = true
	}
	for key, a := range n.allocations.find("r:" + string(c.runtime)) {
		if r := n.free(c, key, a, gone); r != nil {
			return message.Message{}, r
		}
	}
	return m.Respond(message.CodeOK, nil), nil
}

// free takes what is gone out of one allocation.
func (n *Node) free(c *conn, key string, a *allocation, gone map[string]bool) *refusal {
	all := a.Key != "" && gone["key:"+a.Key]
	freed := func(u message.URL) bool { return all || gone[string(u.Canonical())] }
	if !slices.ContainsFunc(a.Addresses, freed) {
		return nil
	}
	if r := n.writable(c.runtime, 1); r != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	err := n.allocations.change(ctx, key, func(old *allocation) (*allocation, error) {
		if old == nil {
			return nil, nil
		}
		left := *old
		if left.Addresses = slices.DeleteFunc(slices.Clone(old.Addresses), freed); len(left.Addresses) == 0 {
			return nil, nil
		}
		return &left, nil
	})
	if r := n.stateRefusal(err); r != nil {
		return r
	}
	for _, u := range a.Addresses {
		if freed(u) {
			n.unwant(c, u, allocated)
		}
	}
	return nil
}

// names is a list of strings that is also read from one string and from nested lists.
type names []string

// maxNesting is how deep the lists may lie in each other. The reference implementation's tests send two.
const maxNesting = 4

// UnmarshalJSON reads any of these forms.
func (l *names) UnmarshalJSON(text []byte) error {
	*l = names{}
	return l.read(text, maxNesting)
}

func (l *names) read(text []byte, depth int) error {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) > 0 && text[0] == '"':
		var one string
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		*l = append(*l, one)
		return nil
	case len(text) > 0 && text[0] == '[' && depth > 0:
		var many []json.RawMessage
		if err := json.Unmarshal(text, &many); err != nil {
			return err
		}
		for _, raw := range many {
			if err := l.read(raw, depth-1); err != nil {
				return err
			}
		}
		return nil
	case string(text) == "null":
		return nil
	}
	return errors.New("want a string or a list of strings")
}

// newSecret is 16 random bytes in hex.
func newSecret() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// newGUID is a random identifier in the specification's form.
func newGUID() string {
	h := newSecret()
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
