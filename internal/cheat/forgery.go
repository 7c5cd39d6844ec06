package cheat

import (
	"encoding/json"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// Mark is in every message that a cheat invents: a test that finds it in a delivered message knows that the message was forged.
const Mark = "forged by a cheat"

// Forgery makes a message from one of the names to another, which nobody has sent.
func (c *Cheat) Forgery() message.Message {
	from, to := message.URL("hyperty://example.com/nobody"), message.URL("hyperty://example.com/anybody")
	if n := len(c.o.Names); n > 0 {
		i := c.IntN(n)
		from, to = message.URL(c.o.Names[i]), message.URL(c.o.Names[(i+1+c.IntN(max(1, n-1)))%n])
	}
	body, _ := json.Marshal(map[string]string{"sender": string(from), "padding": fmt.Sprintf("%s %d", Mark, c.IntN(1<<30))})
	return message.Message{ID: message.NumberID(uint64(1 + c.IntN(1<<30))), Type: message.Update, From: from, To: to, Body: body}
}
