package identity

import (
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func checkDomain(d string) error {
	if message.URL("hyperty://"+d+"/x").Check() != nil || strings.Contains(d, "/") {
		return fmt.Errorf("%q is no domain in lower case", d)
	}
	return nil
}

func checkRuntime(u message.URL) error {
	if u.Check() != nil || u.Runtime() != u.Canonical() || !proof.KeyDerived(u) {
		return fmt.Errorf("%q is no runtime's address: want hyperty-runtime://<domain>/<32 letters and digits>, as its status shows it", u)
	}
	return nil
}
