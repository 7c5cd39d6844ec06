package sender

import (
	"encoding/json"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// letter is message number n, with a body of about size bytes.
func letter(n uint64, size int) message.Message {
	body, _ := json.Marshal(map[string]string{"text": fmt.Sprintf("%0*d", max(1, size-11), n)})
	return message.Message{ID: message.NumberID(n), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: body}
}
