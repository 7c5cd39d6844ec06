package backbone

import (
	"errors"
	"testing"
)

// Errors of the NATS client about its URLs are printed without users, passwords and tokens, in whatever form.
func TestErrorsOfNATSHideUsers(t *testing.T) {
	const urls = "nats://me:hunter2%2F@one.example,nats://token-hunter3@two.example,nats://three.example"
	for said, want := range map[string]string{
		"dial me:hunter2%2F@one.example": "dial …hidden…@one.example", "bad password hunter2/": "bad password …hidden…",
		"no such host token-hunter3@two.example": "no such host …hidden…@two.example", "no such host three.example": "no such host three.example",
	} {
		if got := hideUserinfo(errors.New(said), urls); got.Error() != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
	if err := errors.New("no server"); hideUserinfo(err, urls) != err || hideUserinfo(nil, urls) != nil {
		t.Error("an error without a secret is another one")
	}
}
