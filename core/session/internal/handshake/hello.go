package handshake

// The steps of the handshake, the first byte of a hello's body.
const (
	StepAsk        = iota // the responder asks the initiator to begin
	StepFirst             // → e, incarnation
	StepSecond            // ← e, ee, s, es, incarnation, certificate
	StepThird             // → s, se, certificate
	StepCookie            // a side under load: say that again, with this cookie
	StepWithCookie        // the cookie, and the step 0 or 1 that is said again
)

const (
	CookieSize = 16
	// MaxHello is the largest body of a hello: a later version may add to the payloads.
	MaxHello = 1 << 10
)

// Uncover reads the body of a hello: its step, what follows, and the cookie that it is said with, nil: none.
func Uncover(body []byte) (step byte, m, cookie []byte, ok bool) {
	if len(body) == 0 || len(body) > MaxHello {
		return 0, nil, nil, false
	}
	if body[0] != StepWithCookie {
		return body[0], body[1:], nil, true
	}
	if len(body) < 1+CookieSize+1 {
		return 0, nil, nil, false
	}
	inner := body[1+CookieSize:]
	return inner[0], inner[1:], body[1:][:CookieSize], inner[0] == StepAsk || inner[0] == StepFirst
}

// Cover is the body of a hello with a cookie.
func Cover(cookie []byte, step byte, m []byte) []byte {
	b := append(make([]byte, 0, 1+len(cookie)+1+len(m)), StepWithCookie)
	return append(append(append(b, cookie...), step), m...)
}
