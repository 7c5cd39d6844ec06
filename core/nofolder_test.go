package core

import (
	"errors"
	"os"
	"testing"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A runtime without a data folder writes nothing to the folder that its process is in: it does not start, and where it is made for a
// test it keeps no data objects, and says so.
func TestWithoutADataFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	empty := func(after string) {
		t.Helper()
		if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
			t.Errorf("after %s there is %v, %v", after, files, err)
		}
	}
	x, _ := newHouses(t)
	var refused *message.ResponseError
	_, err := x.hyperty("alice").Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Keep: true})
	if !errors.As(err, &refused) || refused.Code != message.CodeBadRequest {
		t.Errorf("an object that is to be kept: %v", err)
	}
	empty("an object")
	if rt, err := Start(t.Context(), Config{Domain: "example.com", PluginDir: "."}); err == nil {
		t.Error("it starts without a data folder")
		_ = rt.Close(t.Context())
	}
	empty("a start")
}
