package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// hostile is an application that speaks the wire by hand.
type hostile struct {
	t      *testing.T
	conn   net.Conn
	reader *wire.Reader
}

// connectHostile connects and says nothing but the preamble.
func connectHostile(t *testing.T, socket string) *hostile {
	t.Helper()
	conn, err := wire.Open(limit(t), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(40 * time.Second))
	if _, err := conn.Write([]byte(wire.Preamble)); err != nil {
		t.Fatal(err)
	}
	return &hostile{t, conn, wire.NewReader(conn)}
}

func newHostile(t *testing.T, socket string, protocol uint32) *hostile {
	t.Helper()
	h := connectHostile(t, socket)
	h.say(&wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Hello{Hello: &wire.Hello{Protocol: protocol}}})
	if known, err := h.reader.Preamble(); !known || err != nil {
		t.Fatal(known, err)
	}
	return h
}

func (h *hostile) say(frames ...*wire.ApplicationFrame) {
	var b []byte
	for _, f := range frames {
		b = wire.AppendControl(b, f)
	}
	_, _ = h.conn.Write(b)
}

func (h *hostile) register(ref uint32, name string) {
	h.say(&wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Register{Register: &wire.Register{Ref: ref, Name: name}}})
}

// post posts what may be no message.
func (h *hostile) post(ref uint32, raw []byte) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(1+5+len(raw)))
	b = binary.LittleEndian.AppendUint32(append(b, byte(wire.Carried)), ref)
	_, _ = h.conn.Write(append(append(b, 0), raw...))
}

// next is the next record for which f says yes, or the error that ended the stream.
func (h *hostile) next(f func(wire.Record, *wire.RuntimeFrame) bool) (wire.Record, error) {
	for {
		rec, err := h.reader.Next()
		if err != nil {
			return rec, err
		}
		frame := &wire.RuntimeFrame{}
		if rec.Kind == wire.Control {
			if err := proto.Unmarshal(rec.Data, frame); err != nil {
				return rec, err
			}
		}
		if bye := frame.GetFarewell(); bye != nil {
			return rec, errors.New(bye.Reason)
		}
		if f(rec, frame) {
			return rec, nil
		}
	}
}

func (h *hostile) registered() {
	h.t.Helper()
	if _, err := h.next(func(_ wire.Record, f *wire.RuntimeFrame) bool { return f.GetRegistered() != nil }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hostile) endsWith(text string) {
	h.t.Helper()
	_, err := h.next(func(wire.Record, *wire.RuntimeFrame) bool { return false })
	if err == nil || !strings.Contains(err.Error(), text) {
		h.t.Fatalf("want an end that says %q: %v", text, err)
	}
}

func encoded(m message.Message) []byte { return m.AppendBinary(nil) }

// Whatever one application does, another goes on.
func TestHostileApplications(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	good := register(t, dial(t, hyperty.Options{Socket: socket}), "good")
	fine := message.Message{Type: message.Update, From: "hyperty://example.com/mallory", To: good.URL()}
	huge := fine
	huge.Body = append(append([]byte(`{"x":"`), bytes.Repeat([]byte{'x'}, message.MaxBody)...), `"}`...)

	attacks := map[string]func(t *testing.T){
		"garbage": func(t *testing.T) {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n\x00\xff"), 100))
			buf := make([]byte, 64<<10)
			for err == nil {
				_, err = conn.Read(buf)
			}
		},
		"no hello": func(t *testing.T) {
			m := connectHostile(t, socket)
			m.post(1, nil)
			if known, err := m.reader.Preamble(); !known || err != nil {
				t.Fatal(known, err)
			}
			m.endsWith("begins with Hello")
		},
		"old": func(t *testing.T) {
			newHostile(t, socket, 2).endsWith("version 2 of the application API, this runtime version 3")
		},
		"older": func(t *testing.T) {
			link, err := wire.Dial(limit(t), socket)
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			stream, err := wire.NewRuntimeClient(link).Attach(limit(t))
			if err == nil {
				err = stream.Send(&wire.ApplicationBatch{Frames: []*wire.ApplicationFrame{{Frame: &wire.ApplicationFrame_Hello{Hello: &wire.Hello{Protocol: 2}}}}})
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "version 2 of the application API, this runtime version 3") {
				t.Fatal(err)
			}
		},
		"no message": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			m.post(1, []byte{0xff, 0xff, 1, 2, 3})
			m.refused(message.CodeBadRequest, message.ID{}, "malformed message")
			m.register(2, "mallory2")
			m.registered()
		},
		"oversize message": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			huge.ID = message.NumberID(5)
			m.post(1, encoded(huge))
			m.refused(message.CodeTooLarge, huge.ID, "message too large")
			m.register(2, "mallory2")
			m.registered()
		},
		"oversize record": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.post(1, make([]byte, wire.MaxRecord-10)) // fits, is no message, and is of no hyperty
			m.register(1, "mallory")
			m.registered()
			m = newHostile(t, socket, wire.Protocol)
			_, _ = m.conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 1})
			m.endsWith("of 4294967295 bytes")
		},
		"short records": func(t *testing.T) {
			for _, raw := range []string{"\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x01", "\x05\x00\x00\x00\x01\x01\x00\x00\x00"} {
				m := newHostile(t, socket, wire.Protocol)
				_, _ = m.conn.Write([]byte(raw))
				m.endsWith("malformed record")
			}
		},
		"no frame": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			_, _ = m.conn.Write([]byte("\x02\x00\x00\x00\x00\xff"))
			m.complained("a frame that is none")
			_, _ = m.conn.Write([]byte("\x02\x00\x00\x00\x02\x80"))
			m.complained("malformed record: credit")
			m.register(1, "mallory")
			m.registered()
		},
		"flood": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			release := h.holdPosts()
			defer release()
			for range 2 * wire.Window {
				m.post(1, encoded(fine))
			}
			m.refused(message.CodeTooMany, message.ID{}, "window")
			m.register(2, "mallory2")
			m.registered()
		},
		"flood that is not read": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			release := h.holdPosts()
			defer release()
			for range 200 * wire.Window {
				m.post(1, encoded(fine))
			}
			m.endsWith("does not read")
		},
		"reference twice": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			m.register(1, "mallory2")
			m.complained("not a new one")
			m.register(2, "mallory2")
			m.registered()
		},
		"asks and does not read": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			var asked []byte // made before: what it is told at the end waits only so long for it to read
			for i := range uint32(2000) {
				asked = wire.AppendControl(asked, &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Register{
					Register: &wire.Register{Ref: i + 10, Name: "/" + strings.Repeat("x", 100)}}})
			}
			for range 20 {
				_, _ = m.conn.Write(asked)
			}
			m.endsWith("does not read")
		},
		"forged from": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.register(1, "mallory")
			m.registered()
			forged := fine
			forged.From, forged.ID = "hyperty://example.com/somebody", message.NumberID(77)
			m.post(1, encoded(forged))
			rec, err := m.next(func(rec wire.Record, _ *wire.RuntimeFrame) bool { return rec.Kind == wire.Carried })
			if err != nil {
				t.Fatal(err)
			}
			answer, err := message.ParseBinary(rec.Data)
			if err != nil {
				t.Fatal(err)
			}
			r, err := answer.Result()
			if err != nil || r.Code != 403 || !strings.Contains(r.Description, "hyperty://example.com/somebody") || answer.ID != forged.ID {
				t.Fatalf("%+v %v", r, err)
			}
		},
		"unknown frame": func(t *testing.T) {
			m := newHostile(t, socket, wire.Protocol)
			m.say(&wire.ApplicationFrame{})
			_, _ = m.conn.Write([]byte("\x03\x00\x00\x00\x07ab")) // a kind of record that is not known
			m.register(1, "mallory")
			m.registered()
		},
	}
	for name, attack := range attacks {
		t.Run(name, attack)
		eventually(t, "the name is free again", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.taken) == 1
		})
		if err := good.Send(limit(t), good.URL(), name); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := good.Receive(limit(t))
			if err != nil {
				t.Fatal(err)
			}
			if m.From == good.URL() && m.Text() == name {
				break
			}
		}
	}
}

func TestForgedFromThroughTheClient(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	alice := register(t, dial(t, hyperty.Options{Socket: socket}), "alice")
	answer, err := alice.Bus().Request(limit(t), message.Message{Type: message.Read, From: "hyperty://example.com/bob", To: "hyperty://example.com/carol"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = answer.OK()
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != 403 || !strings.Contains(refused.Description, "hyperty://example.com/bob") {
		t.Fatal(err)
	}
}

func TestSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes of files mean something else there")
	}
	h, socket := newHouse(t), socketPath(t)
	s := serve(t, h, socket)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&fs.ModeSocket == 0 {
		t.Fatal(info.Mode(), err)
	}
	if info, err = os.Stat(filepath.Dir(socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatal(info.Mode(), err)
	}
	var used *InUseError
	if _, err := Serve(Options{Backend: h, Socket: socket}); !errors.As(err, &used) || used.Socket != socket {
		t.Fatal(err)
	}
	if err := s.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the socket is left", err)
	}

	// A runtime that was killed leaves its socket.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal(err)
	}
	serve(t, h, socket)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                                  "is no socket",
		filepath.Join(open, "api.sock"):       "others can write",
		"/tmp/" + strings.Repeat("x", 120):    "at most",
		"":                                    "no path",
		filepath.Join(file, "below/api.sock"): "folder of the socket",
	} {
		if _, err := Serve(Options{Backend: h, Socket: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", path, want, err)
		}
	}
	if _, err := os.Lstat(file); err != nil {
		t.Fatal("somebody's file was removed")
	}
}
