package reference

import (
	"encoding/json"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

// ServePlain is the reader of a plain stub's connection (specification, "Plain WebSocket stub").
func (s *Server) ServePlain(c *routing.Client, runtime message.URL) {
	c.SetRuntime(runtime)
	if err := s.o.Router.Attach(c); err != nil {
		c.Conn.Refuse(websocket.StatusTryAgainLater, "the node cannot route to you now")
		return
	}
	s.o.Log.Info("connected", "runtime", runtime, "dialect", "plain")
	s.readJSON(c, func(text []byte) {
		var command struct {
			Cmd  string `json:"cmd"`
			Body struct {
				RuntimeURL message.URL `json:"runtimeURL"`
			} `json:"body"`
		}
		if json.Unmarshal(text, &command) == nil && command.Cmd == "disconnect" {
			s.leave(c)
			return
		}
		s.handleJSON(c, text, message.CodeBadRequest)
	})
}
