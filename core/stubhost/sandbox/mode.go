package sandbox

// Mode is whether plug-ins are confined.
type Mode string

// The modes.
const (
	Auto     Mode = "auto"     // where the kernel can; also ""
	Required Mode = "required" // or not started
	Off      Mode = "off"      // never
)

// Modes is every mode there is.
func Modes() []string { return []string{string(Auto), string(Off), string(Required)} }
