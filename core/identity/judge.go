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

// Judge decides by a [Trust] who is spoken with. It is safe for any number of goroutines.
type Judge struct {
	trust   Trust
	file    string
	peers   map[message.URL]bool
	without without

	writing sync.Mutex // who has it writes the file

	mu    sync.Mutex
	known map[message.URL]message.URL // canonical: names and the runtimes that they belong to: found, and Pins
	found map[message.URL]message.URL // … that they were found at first: what is in the file; replaced, never changed
}

func newJudge(t Trust, dir string) *Judge {
	return &Judge{trust: t, file: filepath.Join(dir, KnownFile), peers: map[message.URL]bool{}, known: map[message.URL]message.URL{}, found: map[message.URL]message.URL{}}
}

// Judge reads what is known from the data folder dir.
func (t Trust) Judge(dir string) (*Judge, error) {
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	j := newJudge(t, dir)
	for _, p := range t.Peers {
		j.peers[p.Canonical()] = true
	}
	j.without = t.WithoutSessions.lists()
	if t.Mode == Pinned {
		known, err := j.read()
		if err != nil {
			return nil, err
		}
		if known.there {
			if err := safefile.Renew(j.file, knownKind, known.payload, known.sealed); err != nil {
				return nil, fmt.Errorf("known names: %w", err)
			}
		}
		maps.Copy(j.known, j.found)
	}
	for name, runtime := range t.Pins {
		j.known[name.Canonical()] = runtime.Canonical()
	}
	return j, nil
}

// knownText is what is in the file of known names.
type knownText struct {
	there   bool
	payload []byte
	sealed  bool // with a checksum
}

// read reads what was found first. A file that is not as it was written is an error: an empty one would let everybody
// take every name anew. It writes nothing.
func (j *Judge) read() (known knownText, err error) {
	text, err := safefile.Read(j.file, maxKnownFile, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return known, nil
	case errors.Is(err, safefile.ErrDamaged):
		return known, j.damaged(err)
	case err != nil:
		return known, fmt.Errorf("known names: %w", err)
	}
	payload, sealed, err := safefile.Unseal(knownKind, text)
	if err == nil && !sealed {
		payload, err = wholeLines(payload)
	}
	if err != nil {
		return known, j.damaged(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(payload))
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		name, runtime, ok := strings.Cut(lines.Text(), " ")
		if !ok || (Trust{Pins: map[message.URL]message.URL{message.URL(name): message.URL(runtime)}}).Check() != nil {
			return known, fmt.Errorf("known names: %s:%d: want a hyperty's address and a runtime's; correct the line or remove it to forget that name, and remove the first line, which has the checksum", j.file, n)
		}
		if key := message.URL(name).Canonical(); j.found[key] == "" { // the first counts
			j.found[key] = message.URL(runtime).Canonical()
		}
	}
	if err := lines.Err(); err != nil {
		return known, j.damaged(err)
	}
	return knownText{true, payload, sealed}, nil
}

func (j *Judge) damaged(why error) error {
	return fmt.Errorf("known names: %s: %w; restore it from a backup, or remove it to forget where names were found first", j.file, why)
}

// wholeLines is what an earlier version, which added line after line, has written whole. A crash may have cut the last
// line off, and nothing else.
func wholeLines(text []byte) ([]byte, error) {
	whole := bytes.LastIndexByte(text, '\n') + 1
	rest := string(text[whole:])
	const begin = message.SchemeHyperty + "://"
	if whole == 0 || !strings.HasPrefix(rest, begin) && !strings.HasPrefix(begin, rest) {
		return nil, fmt.Errorf("%w: its last line is cut off", safefile.ErrDamaged)
	}
	return text[:whole], nil
}

// Runtime says whether there may be a session with that runtime. The error wraps [ErrNotListed].
func (j *Judge) Runtime(remote message.URL) error {
	if len(j.peers) == 0 || j.peers[remote.Canonical()] {
		return nil
	}
	return fmt.Errorf("%s is %w: if this runtime shall speak with it, add it to trust.peers", remote, ErrNotListed)
}

// Name says whether a hyperty may be at that runtime. With certain the Domain Registry says so, in an entry
// that the runtime has signed: in the mode Pinned the first such runtime is remembered; else a name of which nothing is
// known yet is no one's in that mode. The error wraps [ErrOtherOwner].
func (j *Judge) Name(name, runtime message.URL, certain bool) error {
	if name.Scheme() != message.SchemeHyperty {
		return nil
	}
	name, runtime = name.Base().Canonical(), runtime.Canonical()
	j.mu.Lock()
	owner, known := j.known[name]
	j.mu.Unlock()
	switch {
	case known && owner == runtime, !known && j.trust.Mode != Pinned:
		return nil
	case known:
		return j.changed(name, owner, runtime)
	case j.WithoutSession(runtime) == nil: // allowed by name; there is nothing that could be remembered of it
		return nil
	case !proof.KeyDerived(runtime):
		return fmt.Errorf("%w: %s is at %s, which cannot prove its address; with trust.mode pinned only runtimes that can are believed, and those of trust.without_sessions", ErrOtherOwner, name, runtime)
	case !certain:
		return fmt.Errorf("%w: %s is not known yet, and only the Domain Registry can introduce it", ErrOtherOwner, name)
	}
	return j.remember(name, runtime)
}

func (j *Judge) changed(name, owner, runtime message.URL) error {
	fix := fmt.Sprintf("remove its line and the first line, which has the checksum, from %s and start this runtime again", j.file)
	if _, configured := j.trust.Pins[name]; configured {
		fix = "change it in trust.pins and start this runtime again"
	}
	return fmt.Errorf("%w: %s belongs to %s, and is said to be at %s now: somebody may pretend to be it. If its owner says that it has moved, %s", ErrOtherOwner, name, owner, runtime, fix)
}

// remember writes what was found, with one name more; what is not written is not believed. It waits for the disk, and
// whoever asks about names that are known does not.
func (j *Judge) remember(name, runtime message.URL) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	owner, known := j.known[name]
	all := maps.Clone(j.found)
	j.mu.Unlock()
	switch {
	case known && owner == runtime: // just now
		return nil
	case known:
		return j.changed(name, owner, runtime)
	case len(all) >= maxKnown:
		return fmt.Errorf("%d names are known, no more are remembered: remove some and the first line, which has the checksum, from %s, or list those that matter in trust.pins with trust.mode any", maxKnown, j.file)
	}
	all[name] = runtime
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text = fmt.Appendf(text, "%s %s\n", name, all[name])
	}
	if err := safefile.Write(j.file, safefile.Seal(knownKind, text)); err != nil {
		return fmt.Errorf("known names: %w", err)
	}
	j.mu.Lock()
	j.known[name], j.found = runtime, all
	j.mu.Unlock()
	return nil
}

// WithoutSession says whether that runtime may be spoken with without a session. The error wraps [ErrNoSession].
func (j *Judge) WithoutSession(remote message.URL) error {
	remote = remote.Runtime()
	switch {
	case remote == "":
		return fmt.Errorf("%w: no runtime is named", ErrNoSession)
	case proof.KeyDerived(remote):
		return fmt.Errorf("%s is %w: its address is derived from a key, so that it has to prove it", remote, ErrNoSession)
	case j.without.domains[remote.Domain()] || j.without.peers[string(remote)]:
		return nil
	}
	return fmt.Errorf("%s cannot prove its address and is %w: if this runtime shall speak with it all the same, add it to trust.without_sessions.peers, or its domain to trust.without_sessions.domains",
		remote, ErrNoSession)
}

// HomeWithoutSessions tells whether any runtime of that domain may be spoken with without a session: elsewhere nobody
// need be looked up.
func (j *Judge) HomeWithoutSessions(domain string) bool { return j.without.homes[domain] }
