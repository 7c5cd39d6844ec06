package node

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// bobsFields are the ways to look for bob, each as the fields of an entry and the body of a read.
var bobsFields = map[string][2]string{
	"user":     {`"user":"user://example.com/bob"`, `{"resource":"user://example.com/bob"}`},
	"guid":     {`"guid":"user-guid://bob"`, `{"resource":"user-guid://bob"}`},
	"idp":      {`"user":"user://example.com/bob"`, `{"resource":"/hyperty/idp-identifier/bob@example.com"}`},
	"name":     {`"name":"room"`, `{"resource":"room"}`},
	"criteria": {`"user":"user://example.com/bob"`, `{"resource":"user://example.com/bob","criteria":{"resources":["chat"]}}`},
	"scheme":   {`"user":"user://example.com/bob"`, `{"criteria":{"scheme":"hyperty"}}`},
}

func (c *client) enter(u message.URL, fields string) {
	c.t.Helper()
	c.must(message.Create, lookups, fmt.Sprintf(`{"value":{"url":%q,"descriptor":"d","expires":3600,"status":"live","resources":["chat"],"dataSchemes":[],"runtime":%q,%s}}`,
		u, c.runtime, fields))
}

// A stranger's entries for somebody else's user, GUID or name do not keep the owner from being found by it: not with many
// entries, nor with many keys, nor with large entries, whether they come first or not.
func TestStrangersHideNobody(t *testing.T) {
	for name, fields := range bobsFields {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Exempt: everyAddress, Legacy: true, Limits: Limits{Results: 10}})
			bob, reader := n.joinAt(t, "127.0.0.2", 1), n.joinAt(t, "127.0.0.3", 2)
			padding := fmt.Sprintf(`,"more":%q`, strings.Repeat("x", 60<<10))
			for i := range 3 {
				mallory := n.join(t, 10+i)
				for j, u := range mallory.allocate(`{"value":{"number":12}}`) {
					mallory.enter(u, fields[0]+padding[:len(padding)*(j%2)])
				}
			}
			mine := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
			bob.enter(mine, fields[0])
			code, text := reader.ask(message.Read, lookups, fields[1])
			var found map[message.URL]struct{ Runtime message.URL }
			if code != 200 || json.Unmarshal([]byte(text), &found) != nil {
				t.Fatalf("%d %.200s", code, text)
			}
			if found[mine].Runtime != bob.runtime || len(found) > 10 {
				t.Errorf("bob is not among the %d that were found", len(found))
			}
			j := n.plain(t, "runtime://example.com/r-carol")
			var same map[message.URL]json.RawMessage
			m := j.ask(200, fmt.Sprintf(`{"id":5,"type":"read","from":"runtime://example.com/r-carol/registry","to":"domain://registry.example.com","body":%s}`, fields[1]))
			if json.Unmarshal(m.Body.Value, &same) != nil || same[mine] == nil {
				t.Errorf("in JSON: %.200s", m.Body.Value)
			}
		})
	}
}

// An entry that is registered anew keeps the place that it had and counts for no more than before.
func TestPlaceIsKept(t *testing.T) {
	n := start(t, Options{})
	bob := n.join(t, 1)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	var since, weight int64
	for i := range 3 {
		bob.enter(u, `"user":"user://example.com/bob"`)
		r := n.state.Registrations.Get(state.RegistrationKey(u))
		if i > 0 && (r.HadSince() != since || r.Started.UnixNano() == since || n.state.Weighs("r:"+string(bob.runtime)) != weight) {
			t.Errorf("since %d, then %d; %d bytes, then %d", since, r.HadSince(), weight, n.state.Weighs("r:"+string(bob.runtime)))
		}
		since, weight = r.HadSince(), n.state.Weighs("r:"+string(bob.runtime))
	}
}
