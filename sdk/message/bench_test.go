package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// eachSize runs a benchmark with a message of each size, in bytes of its body.
func eachSize(b *testing.B, run func(b *testing.B, m message.Message)) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			m := message.Message{
				ID: message.NumberID(77), Type: message.Update, From: "hyperty://example.com/alice", To: "hyperty://example.com/bob",
				Body: []byte(`{"value":"` + strings.Repeat("x", size-len(`{"value":""}`)) + `"}`),
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			run(b, m)
		})
	}
}

// BenchmarkAppendBinary writes the binary form.
func BenchmarkAppendBinary(b *testing.B) {
	eachSize(b, func(b *testing.B, m message.Message) {
		text := make([]byte, 0, len(m.Body)+1024)
		for b.Loop() {
			text = m.AppendBinary(text[:0])
		}
	})
}

// BenchmarkParseBinary reads it, each message for itself.
func BenchmarkParseBinary(b *testing.B) {
	eachSize(b, func(b *testing.B, m message.Message) {
		text := m.AppendBinary(nil)
		for b.Loop() {
			if _, err := message.ParseBinary(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkParser reads it where messages have the addresses of the ones before.
func BenchmarkParser(b *testing.B) {
	eachSize(b, func(b *testing.B, m message.Message) {
		text := m.AppendBinary(nil)
		var p message.Parser
		for b.Loop() {
			if _, err := p.Parse(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppendJSON writes the specification's JSON form.
func BenchmarkAppendJSON(b *testing.B) {
	eachSize(b, func(b *testing.B, m message.Message) {
		text := make([]byte, 0, len(m.Body)+1024)
		for b.Loop() {
			var err error
			if text, err = m.AppendJSON(text[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkParseJSON reads it.
func BenchmarkParseJSON(b *testing.B) {
	eachSize(b, func(b *testing.B, m message.Message) {
		text, err := json.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			var back message.Message
			if err := json.Unmarshal(text, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}
