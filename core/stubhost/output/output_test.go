package output

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestLogs(t *testing.T) {
	var out bytes.Buffer
	l := New(hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info, DisableTime: true}))
	l.Read(strings.NewReader(strings.Join([]string{
		`{"@level":"warn","@message":"slow","@timestamp":"x","peers":3,"list":[1,2]}`,
		`{"@level":"debug","@message":"not wanted"}`,
		`{"@level":5,"@message":{"a":1},"@timestamp":7}`,
		`any text is debug`,
		strings.Repeat("x", 3*MaxLine),
		"panic: it is broken", "goroutine 1 [running]:",
	}, "\n")), true)
	for _, want := range []string{"[WARN]  slow: list=", "peers=3", "[ERROR] panic: it is broken", "[ERROR] goroutine 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for _, not := range []string{"not wanted", "any text", "xxx"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("%q in:\n%.2000s", not, out.String())
		}
	}
	if l.LastLine() != "panic: it is broken" {
		t.Errorf("last words: %q", l.LastLine())
	}
}

func TestLogsAreBounded(t *testing.T) {
	var out bytes.Buffer
	l := New(hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info, DisableTime: true}))
	l.Read(strings.NewReader(strings.Repeat(`{"@level":"info","@message":"again"}`+"\n", 20000)), true)
	if n := strings.Count(out.String(), "\n"); n < logBurst || n > logBurst+logRate*10 {
		t.Errorf("%d lines were logged", n)
	}
}

// A plug-in that logs without end is read at a limited rate, and lines that are not logged are not parsed either.
func TestFloodOfLogsCostsLittle(t *testing.T) {
	const line = `{"@level":"error","@message":"again","n":1,"text":"`
	text := []byte(line + strings.Repeat("x", 4000-len(line)) + "\"}\n")
	for name, write := range map[string]func(l *Output, times int){
		"by the link": func(l *Output, times int) {
			for range times {
				_, _ = l.Write(text)
			}
		},
		"by a pipe": func(l *Output, times int) { l.Read(bytes.NewReader(bytes.Repeat(text, times)), true) },
		"without ends of lines": func(l *Output, times int) {
			l.Read(bytes.NewReader(bytes.Repeat(bytes.TrimSpace(text), times)), true)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(hclog.NewNullLogger())
			began := time.Now()
			write(l, (readBurst+2*readRate)/len(text))
			if took := time.Since(began); took < 19*time.Second/10 || took > 21*time.Second/10 {
				t.Errorf("%s: what is to take two seconds took %v", name, took)
			}
		})
	}
	l := New(hclog.New(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Info}))
	for range parseBurst / len(text) * 2 {
		l.line(text, true)
	}
	if n := testing.AllocsPerRun(100, func() { l.line(text, true) }); n > 1 {
		t.Errorf("a line that is dropped costs %v allocations", n)
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte(`{"@level":"warn","@message":"slow","@timestamp":"x","peers":3}`))
	f.Add([]byte(`{"@message":5}`))
	f.Add([]byte("panic: \xff"))
	l := New(hclog.NewNullLogger())
	f.Fuzz(func(t *testing.T, b []byte) {
		l.line(b, true)
		if len(l.LastLine()) > 300 {
			t.Error("last words are too many")
		}
	})
}
