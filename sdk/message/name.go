package message

import "fmt"

// MaxName is how many bytes a name may have.
const MaxName = 64

// NameError says why a text is no name.
type NameError struct {
	Name   string // what was given, cut to a printable length
	Reason string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("name %q: %s; a name has 1 to %d of a–z, 0–9, '.', '_' and '-', and begins with a letter or a digit; "+
		"hyperty://example.com/bob has the name bob", e.Name, e.Reason, MaxName)
}

// CheckName tells whether an identifier may be wished for in an address: what people can type and tell apart. Runtimes and Message
// Nodes have the same rule. The error is a *[NameError].
func CheckName(name string) error {
	bad := func(format string, args ...any) error {
		return &NameError{Name: name[:min(len(name), 80)], Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > MaxName:
		return bad("it has %d bytes", len(name))
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		switch {
		case c >= 'A' && c <= 'Z':
			return bad("it has the capital letter %q", c)
		case !alphanumeric && c != '.' && c != '_' && c != '-':
			return bad("it has the character %q", c)
		case !alphanumeric && i == 0:
			return bad("it begins with %q", c)
		}
	}
	return nil
}
