package core

import "github.com/protofly/protofly/sdk/message"

// FromStub has a stub post what its node may have made up.
func FromStub(rt *Runtime, stub message.URL, m message.Message) { rt.fromStub(rt.ctx, stub, m) }
