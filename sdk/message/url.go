package message

import (
	"fmt"
	"strings"
)

// MaxURL is the longest URL, in bytes, that [ParseURL] accepts.
const MaxURL = 1024

// URL is an address: a name with a private scheme (specification, "Address model"). It is never resolved through
// DNS. Two URLs are the same address when their [URL.Canonical] forms are equal. The zero value is "no address".
type URL string

// Well-known parts of addresses (specification, "Well-known suffixes").
const (
	SchemeRuntime    = "hyperty-runtime"
	SchemeRuntimeAlt = "runtime" // the same scheme, as the reference code writes it
	SchemeHyperty    = "hyperty"
	SchemeDomain     = "domain"
	SchemeGlobal     = "global"
	SchemeConnection = "connection"

	SessionAddress URL = "mn:/session" // only between a session-style stub and its Message Node
)

// URLError says why a text is not an address.
type URLError struct {
	Text   string // what was given, cut to a printable length
	Reason string
}

func (e *URLError) Error() string {
	return fmt.Sprintf("address %q: %s; an address looks like hyperty://example.com/bob", e.Text, e.Reason)
}

// ParseURL checks an address that came from outside, and gives its normal form. It accepts <scheme>://<domain>[/<path>] in printable
// ASCII of at most [MaxURL] bytes, and the one address without "//" that the specification knows, mn:/session. Scheme and domain
// mean the same in small and capital letters (RFC 3986, section 6.2.2.1); the normal form has them small. What is before an "@" in
// the domain, and the path, are left as they are. The error is a *[URLError].
//
// Addresses are normalised where they come in, and nowhere else: by this function. What must be in normal form already, because it is
// signed or the key of a configuration, is looked at by [URL.Check].
func ParseURL(s string) (URL, error) {
	bad := func(reason string) (URL, error) {
		return "", &URLError{Text: s[:min(len(s), 80)], Reason: reason}
	}
	if s == string(SessionAddress) {
		return SessionAddress, nil
	}
	if s == "" {
		return bad("empty")
	}
	if len(s) > MaxURL {
		return bad(fmt.Sprintf("longer than %d bytes", MaxURL))
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return bad(fmt.Sprintf("character %q at position %d", c, i))
		}
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" {
		return bad("no scheme")
	}
	capital := false
	for i := 0; i < len(scheme); i++ {
		if c := scheme[i]; c >= 'A' && c <= 'Z' {
			capital = true
		} else if (c < 'a' || c > 'z') && c != '-' {
			return bad("a scheme has letters and hyphens only")
		}
	}
	domain, path, _ := strings.Cut(rest, "/")
	if domain == "" {
		return bad("no domain")
	}
	if len(domain) > 255 {
		return bad("domain longer than 255 bytes")
	}
	for i := 0; i < len(domain); i++ {
		if !domainChar(domain[i]) {
			return bad(fmt.Sprintf("character %q in the domain", domain[i]))
		}
		capital = capital || domain[i] >= 'A' && domain[i] <= 'Z'
	}
	if capital { // hardly ever
		user := strings.LastIndexByte(domain, '@') + 1
		scheme = strings.ToLower(scheme)
		s = scheme + "://" + domain[:user] + strings.ToLower(domain[user:]) + rest[len(domain):]
	}
	if (scheme == SchemeRuntime || scheme == SchemeRuntimeAlt || scheme == SchemeHyperty) && strings.Trim(path, "/") == "" {
		return bad("no identifier after the domain")
	}
	return URL(s), nil
}

// Check tells whether u is an address in the normal form that [ParseURL] gives. The error is a *[URLError].
func (u URL) Check() error {
	p, err := ParseURL(string(u))
	if err == nil && p != u {
		err = &URLError{Text: string(u[:min(len(u), 80)]), Reason: "scheme and domain are to be in lower case: " + string(p)}
	}
	return err
}

func domainChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-@:%_+~#=[]", c) >= 0
}

// split cuts u into scheme, domain and the rest from the first "/" after the domain.
func (u URL) split() (scheme, domain, rest string) {
	s := string(u)
	scheme, after, ok := strings.Cut(s, "://")
	if !ok {
		scheme, after, _ = strings.Cut(s, ":")
		return scheme, "", after
	}
	if i := strings.IndexByte(after, '/'); i >= 0 {
		return scheme, after[:i], after[i:]
	}
	return scheme, after, ""
}

// Scheme is the part before "://".
func (u URL) Scheme() string { s, _, _ := u.split(); return s }

// Domain is the part between "://" and the next "/".
func (u URL) Domain() string { _, d, _ := u.split(); return d }

// Path is what follows the domain, from its "/" on; "" where nothing does.
func (u URL) Path() string { _, _, p := u.split(); return p }

// Base is scheme, domain and first path segment: the address of a hyperty, data object or runtime that u is a part of.
func (u URL) Base() URL {
	i := strings.Index(string(u), "://")
	if i < 0 {
		return u
	}
	i += 3
	slashes := 0
	for ; i < len(u); i++ {
		if u[i] == '/' {
			if slashes++; slashes == 2 {
				return u[:i]
			}
		}
	}
	return u
}

// LifeKey is what the allocation key begins with of the addresses that a Message Node gives to one life of a runtime's process. The
// node frees them when a later life has long asked for its own, and they are not in use.
const LifeKey = "life-"

// Canonical writes the runtime scheme as hyperty-runtime and drops trailing slashes, so that equal addresses compare
// equal. Messages are never rewritten with it; it is for look-ups.
func (u URL) Canonical() URL {
	if strings.HasPrefix(string(u), SchemeRuntimeAlt+"://") {
		u = "hyperty-" + u
	}
	for len(u) > 0 && u[len(u)-1] == '/' && !strings.HasSuffix(string(u), "://") {
		u = u[:len(u)-1]
	}
	return u
}

// IsRuntime tells whether u belongs to a runtime: it, or one of its components.
func (u URL) IsRuntime() bool {
	return strings.HasPrefix(string(u), SchemeRuntime+"://") || strings.HasPrefix(string(u), SchemeRuntimeAlt+"://")
}

// Runtime is the canonical URL of the runtime that u is a component of, or "" where u has another scheme.
func (u URL) Runtime() URL {
	if !u.IsRuntime() {
		return ""
	}
	return u.Base().Canonical()
}

// Within tells whether u is owner itself or an address below it.
func (u URL) Within(owner URL) bool {
	a, b := u.Canonical(), owner.Canonical()
	return b != "" && strings.HasPrefix(string(a), string(b)) && (len(a) == len(b) || a[len(b)] == '/')
}

// ForSubscribers tells whether u is an address at which any number listens, none included: of changes, statuses or
// registrations.
func (u URL) ForSubscribers() bool {
	if n := len(u); n == 0 || u[n-1] != 's' && u[n-1] != 'n' { // nearly every address
		return false
	}
	for _, end := range [...]string{"/changes", "/status", "/registration"} {
		if at, ok := strings.CutSuffix(string(u), end); ok && !strings.HasSuffix(at, ":/") { // else it is the domain
			return true
		}
	}
	return false
}

// Join appends path segments: u.Join("registry", "changes") is <u>/registry/changes.
func (u URL) Join(segments ...string) URL {
	return URL(strings.TrimSuffix(string(u), "/") + "/" + strings.Join(segments, "/"))
}

// IsBackEnd tells whether u is a provider's back-end function, which only a Message Node can reach (specification,
// "Resolve": schemes domain and global; the reference adds domain-idp).
func (u URL) IsBackEnd() bool {
	switch u.Scheme() {
	case SchemeDomain, SchemeGlobal, "domain-idp", "domain-csp", "domain-broker":
		return true
	}
	return false
}

// NodeDomain is the domain whose Message Node serves u: the domain of u without a leading "msg-node." or
// "registry." label. For the scheme global it is "": the own domain.
func (u URL) NodeDomain() string {
	scheme, d, _ := u.split()
	if scheme == SchemeGlobal {
		return ""
	}
	for _, label := range []string{"msg-node.", "registry.", "catalogue."} {
		if rest, ok := strings.CutPrefix(d, label); ok {
			return rest
		}
	}
	return d
}

// The back-end functions of a domain.

// AllocationAddress is the address allocation of domain's Message Node.
func AllocationAddress(domain string) URL {
	return URL("domain://msg-node." + domain + "/address-allocation")
}

// SubscriptionAddress is the subscription manager of domain's Message Node.
func SubscriptionAddress(domain string) URL { return URL("domain://msg-node." + domain + "/sm") }

// DomainRegistryAddress is the Domain Registry of domain.
func DomainRegistryAddress(domain string) URL { return URL("domain://registry." + domain) }
