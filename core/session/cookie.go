package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	cookieSize = 16
	cookieTime = 2 * time.Minute // that one secret is used; its cookies count as long again
)

// cookies are what a runtime under load answers strangers with. Nothing is kept of a cookie: who says it back gets what is
// sent to that remote runtime by that path. The zero value works; Sessions.strangersMu guards it.
type cookies struct {
	secret, before [sha256.Size]byte
	made           time.Duration // 0: no secret yet
}

// of is the cookie of a remote runtime by a path.
func (c *cookies) of(remote message.URL, path Path, now time.Duration) []byte {
	c.renew(now)
	return cookie(&c.secret, remote, path)
}

// good tells whether it is one.
func (c *cookies) good(what []byte, remote message.URL, path Path, now time.Duration) bool {
	c.renew(now)
	return hmac.Equal(what, cookie(&c.secret, remote, path)) || hmac.Equal(what, cookie(&c.before, remote, path))
}

// renew replaces a secret whose time is over.
func (c *cookies) renew(now time.Duration) {
	if c.made != 0 && now < c.made+cookieTime {
		return
	}
	c.before = c.secret
	if c.made == 0 || now >= c.made+2*cookieTime {
		c.before = newSecret()
	}
	c.secret, c.made = newSecret(), now
}

func cookie(secret *[sha256.Size]byte, remote message.URL, path Path) []byte {
	mac := hmac.New(sha256.New, secret[:])
	for _, part := range []message.URL{remote, path.Stub, path.Door} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return mac.Sum(nil)[:cookieSize]
}

// uncover reads the body of a hello: its step, what follows, and the cookie that it is said with, nil: none.
func uncover(body []byte) (step byte, m, cookie []byte, ok bool) {
	if len(body) == 0 || len(body) > maxHello {
		return 0, nil, nil, false
	}
	if body[0] != stepWithCookie {
		return body[0], body[1:], nil, true
	}
	if len(body) < 1+cookieSize+1 {
		return 0, nil, nil, false
	}
	inner := body[1+cookieSize:]
	return inner[0], inner[1:], body[1:][:cookieSize], inner[0] == stepAsk || inner[0] == stepFirst
}

// cover is the body of a hello with a cookie.
func cover(cookie []byte, step byte, m []byte) []byte {
	b := append(make([]byte, 0, 1+len(cookie)+1+len(m)), stepWithCookie)
	return append(append(append(b, cookie...), step), m...)
}
