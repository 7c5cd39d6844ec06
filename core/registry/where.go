package registry

import (
	"context"

	"github.com/protofly/protofly/sdk/message"
)

// Where is the runtime that an address belongs to, as far as the Registry knows or the address's Domain Registry says.
// It starts no set-up. The error is a *message.ResponseError, or ctx's.
func (r *Registry) Where(ctx context.Context, u message.URL) (message.URL, error) {
	switch {
	case r.isLocal(u):
		return r.opts.Runtime, nil
	case u.IsRuntime():
		return u.Runtime(), nil
	case u.IsBackEnd() || u.NodeDomain() == "":
		return "", r.refuse(message.CodeNotFound, "%s is at no runtime", u)
	}
	rem, err := r.find(ctx, u, theirs)
	if err != nil {
		return "", err
	}
	return rem.url, nil
}

// Remote is the remote runtime that an address is known to belong to, as far as the Registry knows; "": to none. It asks
// nobody.
func (r *Registry) Remote(u message.URL) message.URL {
	if u.IsRuntime() {
		return u.Runtime()
	}
	if a, ok := r.addresses.get(addressKey(u)); ok {
		return a.remote.url
	}
	return ""
}
