package identity

import (
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func checkDomain(d string) error {
	if _, err := message.ParseURL("hyperty://" + d + "/x"); err != nil || strings.Contains(d, "/") {
		return fmt.Errorf("%q is no domain", d)
	}
	return nil
}

func checkRuntime(u message.URL) error {
	if p, err := message.ParseURL(string(u)); err != nil || p.Runtime() != p.Canonical() || !proof.KeyDerived(p) {
		return fmt.Errorf("%q is no runtime's address: want hyperty-runtime://<domain>/<32 letters and digits>, as its status shows it", u)
	}
	return nil
}
