package bus

import (
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// Publication tells whether m is a message to subscribers: nobody has to listen to it.
func Publication(m message.Message) bool {
	switch m.Type {
	case message.Update, message.Delete:
	default:
		return false
	}
	s := string(m.To)
	return strings.HasSuffix(s, "/changes") || strings.HasSuffix(s, "/status") || strings.HasSuffix(s, "/registration")
}
