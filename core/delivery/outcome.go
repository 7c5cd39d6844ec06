package delivery

import (
	"errors"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// refusedWith returns the outcome of a message that is answered with err.
func refusedWith(err error) hyperty.Outcome {
	var known *message.ResponseError
	if errors.As(err, &known) {
		switch known.State {
		case message.StateInDoubt:
			return hyperty.Outcome{State: hyperty.InDoubt, Code: known.Code, Reason: known.Description}
		case message.StateExpired:
			return hyperty.Outcome{State: hyperty.Expired, Code: known.Code, Reason: known.Description}
		}
		return hyperty.Outcome{State: hyperty.Refused, Code: known.Code, Reason: known.Description}
	}
	return hyperty.Outcome{State: hyperty.Refused, Code: message.CodeError, Reason: err.Error()}
}

// outcomeOfCode returns the outcome of a message that is settled with code.
func outcomeOfCode(code int) hyperty.Outcome {
	switch {
	case code < 300:
		return hyperty.Outcome{State: hyperty.Delivered}
	case code == message.CodeNotFound:
		return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "nobody has the address, or not any more"}
	case code == message.CodeForbidden:
		return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "the other runtime does not allow it"}
	case code == message.CodeUnavailable:
		return hyperty.Outcome{State: hyperty.InDoubt, Code: code, Reason: "its receiver has gone, or takes nothing"}
	}
	return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "the other runtime has refused it"}
}

// outcomeOf returns the outcome that a session's event reports of its messages.
func outcomeOf(e *session.Event) hyperty.Outcome {
	switch {
	case e.Kind == session.Settled:
		return outcomeOfCode(e.Code)
	case e.Kind == session.Rejected:
		o := outcomeOfCode(e.Code)
		if e.Why != "" {
			o.Reason = e.Why
		}
		return o
	case e.Kind == session.Expired && e.MayHaveArrived:
		return hyperty.Outcome{State: hyperty.Expired, Reason: e.Why + "; it may have arrived"}
	case e.Kind == session.Expired:
		return hyperty.Outcome{State: hyperty.Expired, Reason: e.Why}
	case e.MayHaveArrived:
		return hyperty.Outcome{State: hyperty.InDoubt, Reason: e.Why}
	}
	return hyperty.Outcome{State: hyperty.Refused, Code: message.CodeUnavailable, Reason: e.Why}
}
