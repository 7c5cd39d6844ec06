package strangers

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/sdk/message"
)

// cookieTime is how long one secret is used; its cookies count as long again.
const cookieTime = 2 * time.Minute

// cookies are what a runtime under load answers strangers with. Nothing is kept of a cookie: who says it back gets what is
// sent to that remote runtime by that path. The zero value works.
type cookies struct {
	secret, before [sha256.Size]byte
	made           time.Duration // 0: no secret yet
}

// of is the cookie of a remote runtime by a path.
func (c *cookies) of(remote message.URL, path paths.Path, now time.Duration) []byte {
	c.renew(now)
	return cookie(&c.secret, remote, path)
}

// good tells whether it is one.
func (c *cookies) good(what []byte, remote message.URL, path paths.Path, now time.Duration) bool {
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
		c.before = handshake.NewSecret()
	}
	c.secret, c.made = handshake.NewSecret(), now
}

func cookie(secret *[sha256.Size]byte, remote message.URL, path paths.Path) []byte {
	mac := hmac.New(sha256.New, secret[:])
	for _, part := range []message.URL{remote, path.Stub, path.Door} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return mac.Sum(nil)[:handshake.CookieSize]
}
