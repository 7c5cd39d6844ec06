package api

import "github.com/protofly/protofly/sdk/message"

// posted is a message that a hyperty has posted.
type posted struct {
	m      message.Message
	cost   int
	number uint64
	track  bool
	err    error // it was refused already
}

// destination is what is held up together where a receiver is behind.
type destination struct {
	url      message.URL
	response bool
}

func (p *posted) destination() destination { return destination{p.m.To, p.m.Type == message.Response} }
