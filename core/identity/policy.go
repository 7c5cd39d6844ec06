package identity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Policy decides by a [Trust] which remote runtimes may exchange messages with this one. Its methods may be called from many
// goroutines.
type Policy struct {
	trust   Trust
	file    string
	peers   map[message.URL]bool
	without without

	writing sync.Mutex // held while the file is written

	mu    sync.Mutex
	known map[message.URL]message.URL // by canonical name: the runtime that owns it; those found and the Pins
	found map[message.URL]message.URL // by canonical name: the runtime where it was found first, as in the file; replaced, never changed
}

func newPolicy(t Trust, dir string) *Policy {
	return &Policy{trust: t, file: filepath.Join(dir, KnownFile), peers: map[message.URL]bool{}, known: map[message.URL]message.URL{}, found: map[message.URL]message.URL{}}
}

// Policy makes the policy of t, with the owners that the file in the data folder dir has.
func (t Trust) Policy(dir string) (*Policy, error) {
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	p := newPolicy(t, dir)
	for _, peer := range t.Peers {
		p.peers[peer.Canonical()] = true
	}
	p.without = t.WithoutSessions.lists()
	if t.Mode == Pinned {
		known, err := p.read()
		if err != nil {
			return nil, err
		}
		if known.there {
			if err := safefile.Renew(p.file, knownKind, known.payload, known.sealed); err != nil {
				return nil, fmt.Errorf("known names: %w", err)
			}
		}
		maps.Copy(p.known, p.found)
	}
	for name, runtime := range t.Pins {
		p.known[name.Canonical()] = runtime.Canonical()
	}
	return p, nil
}

// knownText is the content of the file of known names.
type knownText struct {
	there   bool
	payload []byte
	sealed  bool // with a checksum
}

// read reads the file of known names. It fails where the file is not as it was written: if it counted as empty, any runtime could
// take any name. It writes nothing.
func (p *Policy) read() (known knownText, err error) {
	text, err := safefile.Read(p.file, maxKnownFile, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return known, nil
	case errors.Is(err, safefile.ErrDamaged):
		return known, p.damaged(err)
	case err != nil:
		return known, fmt.Errorf("known names: %w", err)
	}
	payload, sealed, err := safefile.Unseal(knownKind, text)
	if err == nil && !sealed {
		payload, err = wholeLines(payload)
	}
	if err != nil {
		return known, p.damaged(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(payload))
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		name, runtime, ok := strings.Cut(lines.Text(), " ")
		if !ok || (Trust{Pins: map[message.URL]message.URL{message.URL(name): message.URL(runtime)}}).Check() != nil {
			return known, fmt.Errorf("known names: %s:%d: want a hyperty's address and a runtime's; correct the line or remove it to forget that name, and remove the first line, which has the checksum", p.file, n)
		}
		if key := message.URL(name).Canonical(); p.found[key] == "" { // the first counts
			p.found[key] = message.URL(runtime).Canonical()
		}
	}
	if err := lines.Err(); err != nil {
		return known, p.damaged(err)
	}
	return knownText{true, payload, sealed}, nil
}

func (p *Policy) damaged(why error) error {
	return fmt.Errorf("known names: %s: %w; restore it from a backup, or remove it to forget where names were found first", p.file, why)
}

// wholeLines returns the whole lines of a file of an earlier version, to which that version appended. A crash may have cut
// off only the last line.
func wholeLines(text []byte) ([]byte, error) {
	whole := bytes.LastIndexByte(text, '\n') + 1
	rest := string(text[whole:])
	const begin = message.SchemeHyperty + "://"
	if whole == 0 || !strings.HasPrefix(rest, begin) && !strings.HasPrefix(begin, rest) {
		return nil, fmt.Errorf("%w: its last line is cut off", safefile.ErrDamaged)
	}
	return text[:whole], nil
}

// Runtime returns nil where there may be a session with the runtime remote. The error wraps [ErrNotListed].
func (p *Policy) Runtime(remote message.URL) error {
	if len(p.peers) == 0 || p.peers[remote.Canonical()] {
		return nil
	}
	return fmt.Errorf("%s is %w: if this runtime shall speak with it, add it to trust.peers", remote, ErrNotListed)
}

// Name returns nil where the hyperty name may be at the runtime. certain: the Domain Registry has an entry that says so, which the
// runtime has signed. In the mode [Pinned] the first such runtime is remembered as the owner, and a name without a known owner is
// refused where certain is false. The error wraps [ErrOtherOwner].
func (p *Policy) Name(name, runtime message.URL, certain bool) error {
	if name.Scheme() != message.SchemeHyperty {
		return nil
	}
	name, runtime = name.Base().Canonical(), runtime.Canonical()
	p.mu.Lock()
	owner, known := p.known[name]
	p.mu.Unlock()
	switch {
	case known && owner == runtime, !known && p.trust.Mode != Pinned:
		return nil
	case known:
		return p.changed(name, owner, runtime)
	case p.WithoutSession(runtime) == nil: // allowed by its name; there is no key that could be remembered
		return nil
	case !proof.KeyDerived(runtime):
		return fmt.Errorf("%w: %s is at %s, which cannot prove its address; with trust.mode pinned only runtimes that can are believed, and those of trust.without_sessions", ErrOtherOwner, name, runtime)
	case !certain:
		return fmt.Errorf("%w: %s is not known yet, and only the Domain Registry can introduce it", ErrOtherOwner, name)
	}
	return p.remember(name, runtime)
}

// MayFind tells whether this runtime may speak with a hyperty at a runtime, as far as it is known now. It remembers nothing: to be found makes
// nobody the owner of a name.
func (p *Policy) MayFind(name, runtime message.URL) bool {
	if p.Runtime(runtime) != nil || !proof.KeyDerived(runtime) && p.WithoutSession(runtime) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	owner, known := p.known[name.Base().Canonical()]
	return !known || owner == runtime.Canonical()
}

func (p *Policy) changed(name, owner, runtime message.URL) error {
	fix := fmt.Sprintf("remove its line and the first line, which has the checksum, from %s and start this runtime again", p.file)
	if _, configured := p.trust.Pins[name]; configured {
		fix = "change it in trust.pins and start this runtime again"
	}
	return fmt.Errorf("%w: %s belongs to %s, and is said to be at %s now: somebody may pretend to be it. If its owner says that it has moved, %s", ErrOtherOwner, name, owner, runtime, fix)
}

// remember adds the owner of a name to the file. An owner that could not be written is not believed. It waits for the disk;
// questions about known names do not wait for it.
func (p *Policy) remember(name, runtime message.URL) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	owner, known := p.known[name]
	all := maps.Clone(p.found)
	p.mu.Unlock()
	switch {
	case known && owner == runtime: // another goroutine has just remembered it
		return nil
	case known:
		return p.changed(name, owner, runtime)
	case len(all) >= maxKnown:
		return fmt.Errorf("%d names are known, no more are remembered: remove some and the first line, which has the checksum, from %s, or list those that matter in trust.pins with trust.mode any", maxKnown, p.file)
	}
	all[name] = runtime
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text = fmt.Appendf(text, "%s %s\n", name, all[name])
	}
	if err := safefile.Write(p.file, safefile.Seal(knownKind, text)); err != nil {
		return fmt.Errorf("known names: %w", err)
	}
	p.mu.Lock()
	p.known[name], p.found = runtime, all
	p.mu.Unlock()
	return nil
}

// WithoutSession returns nil where messages may be exchanged with the runtime remote without a session. The error wraps
// [ErrNoSession].
func (p *Policy) WithoutSession(remote message.URL) error {
	remote = remote.Runtime()
	switch {
	case remote == "":
		return fmt.Errorf("%w: no runtime is named", ErrNoSession)
	case proof.KeyDerived(remote):
		return fmt.Errorf("%s is %w: its address is derived from a key, so that it has to prove it", remote, ErrNoSession)
	case p.without.domains[remote.Domain()] || p.without.peers[string(remote)]:
		return nil
	}
	return fmt.Errorf("%s cannot prove its address and is %w: if this runtime shall speak with it all the same, add it to trust.without_sessions.peers, or its domain to trust.without_sessions.domains",
		remote, ErrNoSession)
}

// HomeWithoutSessions tells whether messages may be exchanged with any runtime of the domain without a session. Where it is false no
// address of the domain need be looked up for that.
func (p *Policy) HomeWithoutSessions(domain string) bool { return p.without.homes[domain] }
