package sandbox

// Mode is whether plug-ins are confined.
type Mode string

// The modes.
const (
	Auto     Mode = "auto"     // confined where the kernel can; also ""
	Required Mode = "required" // confined, or not started
	Off      Mode = "off"      // not confined
)

// Modes lists the modes.
func Modes() []string { return []string{string(Auto), string(Off), string(Required)} }
