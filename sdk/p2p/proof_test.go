package p2p

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// notLive waits until both sides have given up, and fails where one was live. The one that was deceived must say why.
func (b *bed) notLive(deceived message.URL, why string) {
	b.t.Helper()
	time.Sleep(setupTime + time.Second)
	synctest.Wait()
	for _, stub := range []message.URL{aliceRequester, bobHandler} {
		if got := b.statusesOf(stub); strings.Contains(got, "live") {
			b.t.Errorf("%s: %s", stub, got)
		}
	}
	if got := b.statusesOf(deceived); !strings.Contains(got, "failed: ") || !strings.Contains(got, why) {
		b.t.Errorf("%s: want failed with %q, got %s", deceived, why, got)
	}
	b.wantObjects(0)
}

// members are an object's data, as a node that cheats changes them.
type members map[string]json.RawMessage

// altering returns a function that makes change of the data that observers of reporter's objects get.
func altering(reporter message.URL, change func(members)) func(message.URL, []byte) []byte {
	return func(of message.URL, data []byte) []byte {
		if of != reporter {
			return data
		}
		var m members
		_ = json.Unmarshal(data, &m)
		change(m)
		return message.Encode(m)
	}
}

// forge signs a description anew with another runtime's key, as well as it can be done.
func forge(m members, name string, text []byte) {
	key := keyOf(name)
	var p connectionProof
	_ = json.Unmarshal(m[attributeProof], &p)
	p.Key, p.Signature = key.Public().(ed25519.PublicKey), ed25519.Sign(key, text)
	m[attributeProof] = message.Encode(p)
}

// TestForgedObject: a node that changes what the two sides tell each other gets no connection.
func TestForgedObject(t *testing.T) {
	replace := func(attribute string, change func([]byte) []byte) func(members) {
		return func(m members) { m[attribute] = change(m[attribute]) }
	}
	flip := func(member string) func(members) {
		return replace(attributeProof, func(text []byte) []byte {
			var p map[string][]byte
			_ = json.Unmarshal(text, &p)
			p[member][3] ^= 1
			return message.Encode(p)
		})
	}
	for name, c := range map[string]struct {
		change func(members)
		why    string
	}{
		"another certificate": {replace(attributeDescription, func(text []byte) []byte {
			return bytes.Replace(text, []byte("good"), []byte("evil"), 1)
		}), "wrong signature: it is not"},
		"one more member": {replace(attributeDescription, func(text []byte) []byte {
			return bytes.Replace(text, []byte("{"), []byte(`{"Certificate":"evil",`), 1)
		}), "wrong signature: it is not"},
		"no proof":          {func(m members) { delete(m, attributeProof) }, "it is not signed"},
		"an empty proof":    {replace(attributeProof, func([]byte) []byte { return []byte("{}") }), "nonce of 0 bytes"},
		"another nonce":     {flip("nonce"), "wrong signature: it is not"},
		"another key":       {flip("key"), "wrong signature: its key"},
		"another signature": {flip("signature"), "wrong signature: it is not"},
		"signed by another": {func(m members) { forge(m, "mallory", nil) }, "wrong signature: its key"},
		"a huge proof": {replace(attributeProof, func([]byte) []byte {
			return message.Encode(map[string]string{"key": strings.Repeat("x", maxProofText)})
		}), "a proof of"},
		"a proof that is none": {replace(attributeProof, func([]byte) []byte { return []byte(`"x"`) }), "its proof: "},
	} {
		for reporter, deceived := range map[message.URL]message.URL{aliceRequester: bobHandler, bobHandler: aliceRequester} {
			t.Run(name+" of "+reporter.Path()[1:2], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, nil)
					b.alter = altering(reporter, c.change)
					b.request()
					b.notLive(deceived, "is not proven to be of "+string(reporter.Runtime())+": ")
					b.notLive(deceived, c.why)
					for _, s := range append(b.ta.got, b.tb.got...) {
						if strings.Contains(string(s.Value), "evil") {
							t.Errorf("the transport was given %s", s.Value)
						}
					}
					b.alter = nil
					b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
					synctest.Wait()
					if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, ", live") {
						t.Errorf("without the cheat: %s", got)
					}
					b.stopAll()
				})
			})
		}
	}
}

// TestReplayedObject: an offer or answer of an earlier set-up, with its proof. The node even gives the same addresses
// again, so that nothing but the nonces differs.
func TestReplayedObject(t *testing.T) {
	for reporter := range map[message.URL]bool{aliceRequester: true, bobHandler: true} {
		for _, sameAddress := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, nil)
				var old members
				b.alter = altering(reporter, func(m members) { old = m })
				b.connectAll()
				b.command(aliceRequester, message.Execute, execute("disconnect", bob))
				synctest.Wait()
				b.mu.Lock()
				clear(b.statuses)
				if sameAddress {
					b.made = 0
				}
				b.alter = altering(reporter, func(m members) {
					m[attributeDescription], m[attributeProof] = old[attributeDescription], old[attributeProof]
				})
				b.mu.Unlock()
				b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
				switch {
				case reporter == bobHandler:
					b.notLive(aliceRequester, "the answer is not proven")
				case sameAddress: // the offer is accepted, but the answer to it is not
					b.notLive(aliceRequester, "the answer is not proven")
				default:
					b.notLive(bobHandler, "the offer is not proven")
				}
				b.stopAll()
			})
		}
	}
}

// TestSwappedAnswers: two set-ups between the same runtimes, at the same time, get each other's answer.
func TestSwappedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		second := bob + "/p2phandler/second"
		h2 := b.start(Stub(b.tb.new), sdk.Start{URL: second, Runtime: bob, Role: sdk.RoleHandler})
		synctest.Wait()
		var held []message.Message
		b.mu.Lock()
		b.hold = func(m message.Message) bool {
			if m.Type != message.Create || !strings.Contains(string(m.To), "/p2prequester/") || len(held) == 2 {
				return false
			}
			held = append(held, m)
			return true
		}
		b.mu.Unlock()
		b.request()
		start := requesterStart(alice + "/p2prequester/q2")
		start.Handler = second
		q2 := b.start(Stub(b.ta.new), start)
		synctest.Wait()
		if len(held) != 2 {
			t.Fatalf("%d answers came", len(held))
		}
		data := map[message.URL]members{}
		b.mu.Lock()
		for _, o := range b.objects {
			var m members
			_ = json.Unmarshal(o.doc.JSON(), &m)
			data[o.reporter] = m
		}
		b.alter = func(of message.URL, text []byte) []byte {
			other := map[message.URL]message.URL{bobHandler: second, second: bobHandler}[of]
			return altering(of, func(m members) {
				if other != "" {
					m[attributeDescription], m[attributeProof] = data[other][attributeDescription], data[other][attributeProof]
				}
			})(of, text)
		}
		b.mu.Unlock()
		for _, m := range held {
			_ = b.route(t.Context(), m)
		}
		b.notLive(aliceRequester, "the answer is not proven")
		if got := b.statusesOf(q2.url); strings.Contains(got, "live") || !strings.Contains(got, "the answer is not proven") {
			t.Errorf("the second: %s", got)
		}
		q2.stop()
		h2.stop()
		b.stopAll()
	})
}

// TestNotSigned: a core that does not sign.
func TestNotSigned(t *testing.T) {
	for part, stub := range map[proof.Part]message.URL{proof.Offer: aliceRequester, proof.Answer: bobHandler, proof.Channel: aliceRequester} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, nil)
			b.signs = func(m message.Message) bool { return m.From != stub || !strings.Contains(string(m.Body), string(part)) }
			b.request()
			time.Sleep(setupTime + time.Second)
			synctest.Wait()
			if got := b.statusesOf(stub); strings.Contains(got, "live") || !strings.Contains(got, "this runtime has not signed the "+string(part)) {
				t.Errorf("%s", got)
			}
			b.stopAll()
		})
	}
}

// TestNothingToProve: a runtime whose address is derived from no key can prove nothing, and is refused.
func TestNothingToProve(t *testing.T) {
	const reference, other message.URL = "hyperty-runtime://example.com/r-1234", "hyperty-runtime://example.org/r-5678"
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.keys[reference], w.keys[other] = keyOf("x"), keyOf("y")
		ether := new(memory)
		q, h := reference.Join("p2prequester", "q"), other.Join("p2phandler", "mem")
		handler := w.start(Stub((&memTransport{ether: ether}).new), sdk.Start{URL: h, Runtime: other, Role: sdk.RoleHandler})
		synctest.Wait()
		requester := w.start(Stub((&memTransport{ether: ether}).new),
			sdk.Start{URL: q, Runtime: reference, Role: sdk.RoleRequester, Remote: other, Handler: h})
		synctest.Wait()
		if got := w.statusesOf(q); strings.Contains(got, "live") {
			t.Errorf("%s", got)
		}
		if got := w.statusesOf(h); !strings.Contains(got, "the offer is not proven") {
			t.Errorf("%s", got)
		}
		requester.stop()
		handler.stop()
	})
}

// TestAnswerBeforeTheOfferIsRead: a transport may describe itself at once; its answer is to this offer all the same.
func TestAnswerBeforeTheOfferIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.tb.eager = true })
		b.request()
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		b.wantStatuses(bobHandler, "created, in-progress, live")
		b.stopAll()
	})
}

// TestDescriptionsForm: a transport is given what was signed, in its one form, however the other side wrote it.
func TestDescriptionsForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) {
			b.ta.describe = json.RawMessage(" {\"z\": \"<&\u2028>\",\n\"name\":\"offer-1\", \"a\":1.50, \"name\":\"offer-1\" }")
		})
		b.request()
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		want, _ := canonical(b.ta.describe)
		if got := b.tb.got[0].Value; string(got) != string(want) || !strings.HasPrefix(string(got), `{"a":1.50,"name":"offer-1","z":"<&`) {
			t.Errorf("the transport was given %s", got)
		}
		b.stopAll()
	})
}

// TestDescriptionChangesLater: only the first one counts.
func TestDescriptionChangesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.candidates, b.ta.every, b.tb.expects = 3, time.Second, 3 })
		b.request()
		b.mu.Lock()
		b.hold = func(m message.Message) bool {
			if m.Type == message.Update && m.To == bobHandler && bytes.Contains(m.Body, []byte(attributeCandidates)) {
				var body map[string]json.RawMessage
				_ = m.Decode(&body)
				body["attribute"], body["attributeType"] = message.Encode(attributeDescription), message.Encode("object")
				body["value"] = message.Encode(map[string]string{"name": "offer-1", "certificate": "evil"})
				delete(body, "operation")
				m.Body = message.Encode(body)
				b.mu.Lock()
				bus := b.buses[m.To]
				b.hold = nil
				b.mu.Unlock()
				bus.Deliver(t.Context(), m)
				return true
			}
			return false
		}
		b.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if b.hold != nil {
			t.Fatal("no update was altered")
		}
		for _, s := range b.tb.got {
			if strings.Contains(string(s.Value), "evil") {
				t.Errorf("the transport was given %s", s.Value)
			}
		}
		time.Sleep(setupTime)
		synctest.Wait()
		b.stopAll()
	})
}

func FuzzParseConnectionProof(f *testing.F) {
	f.Add([]byte(`{"key":"AAAA","nonce":"` + base64.StdEncoding.EncodeToString(make([]byte, nonceSize)) + `","signature":"AAAA"}`))
	f.Add([]byte(`{"key":7}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseConnectionProof(text)
		if err == nil && (len(text) > maxProofText || len(p.Nonce) != nonceSize || len(p.Key) > maxProofText) {
			t.Errorf("%q is taken as %+v", text, p)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":1e3,"a":["<",null,{}]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := canonical(text)
		if err != nil {
			return
		}
		if again, err := canonical(once); len(once) <= MaxDescription && (err != nil || !bytes.Equal(once, again)) {
			t.Errorf("%q becomes %q, and that %q, %v", text, once, again, err)
		}
	})
}

// TestDigest: no two set-ups share one.
func TestDigest(t *testing.T) {
	if bytes.Equal(digestOf([]byte("a"), []byte("b")), digestOf([]byte("ab"), nil)) {
		t.Error("parts may be moved")
	}
	i := &instance{start: requesterStart(aliceRequester)}
	s := i.begin(t.Context(), bob, bobHandler, Requester)
	defer s.end(nil)
	seen := map[string]string{}
	for name, digest := range map[string][]byte{
		"it":                  s.digest(nil, "connection://x/1", []byte("nonce"), []byte("{}")),
		"an answer":           s.digest([]byte("offer"), "connection://x/1", []byte("nonce"), []byte("{}")),
		"another object":      s.digest(nil, "connection://x/2", []byte("nonce"), []byte("{}")),
		"another nonce":       s.digest(nil, "connection://x/1", []byte("other"), []byte("{}")),
		"another description": s.digest(nil, "connection://x/1", []byte("nonce"), []byte("[]")),
	} {
		if other, ok := seen[string(digest)]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[string(digest)] = name
	}
	other := i.begin(t.Context(), bob, bobHandler+"/other", Requester)
	defer other.end(nil)
	if d := other.digest(nil, "connection://x/1", []byte("nonce"), []byte("{}")); seen[string(d)] != "" {
		t.Error("another Handler has the same digest")
	}
}
