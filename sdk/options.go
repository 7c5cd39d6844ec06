package sdk

// OptionType is what an option of a plug-in takes.
type OptionType string

// The types of options. One that a runtime does not know is not checked by it.
const (
	OptionText     OptionType = "text"
	OptionPath     OptionType = "path"     // a file or folder; the plug-in gets a whole path
	OptionBool     OptionType = "bool"     //
	OptionInt      OptionType = "int"      // a whole number
	OptionSize     OptionType = "size"     // operators may write 4MiB; the plug-in gets a number of bytes
	OptionDuration OptionType = "duration" // a text such as 10s
	OptionList     OptionType = "list"     // of texts
	OptionGroup    OptionType = "group"    // an object of the members in Options
	OptionGroups   OptionType = "groups"   // a list of such objects
)

// Option is a member of the configuration that operators write under stubs.<plug-in>, and that [Start] has as JSON. A plug-in
// that describes its options ([Descriptor]) has its operators' mistakes found before it starts, and its options in
// "protofly config init" and "protofly config show". It still has to check what it gets: the runtime that starts it
// may not know of its options.
type Option struct {
	Name    string     `json:"name"` // in snake_case: a lower-case letter, then letters, digits and underscores, 64 at most
	Type    OptionType `json:"type"`
	Default any        `json:"default,omitempty"` // as an operator would write it; nil: none
	About   string     `json:"about"`             // what it means, in a sentence or two, at most 1000 bytes
	Unit    string     `json:"unit,omitempty"`    // of a number
	Values  []string   `json:"values,omitempty"`  // the texts that a text or an item of a list may be; nil: any
	Least   int64      `json:"least,omitempty"`   // the least number, bytes of a size, or nanoseconds of a duration
	Most    int64      `json:"most,omitempty"`    // and the largest; 0: no limit
	Secret  bool       `json:"secret,omitempty"`  // never printed
	Was     []string   `json:"was,omitempty"`     // earlier names, which the runtime takes with a warning
	Options []Option   `json:"options,omitempty"` // of a group, or of each item of a list of groups
}
