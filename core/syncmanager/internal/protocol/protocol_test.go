package protocol

import (
	"errors"
	"fmt"
	"testing"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

func TestWhatCanBeCreated(t *testing.T) {
	for _, c := range []struct {
		request Request
		scheme  string // "": refused
	}{
		{Request{}, "resource"},
		{Request{Scheme: "comm"}, "comm"},
		{Request{Resource: "comm://a.example/x"}, "comm"},
		{Request{Resource: "comm://a.example/x", Scheme: "other"}, ""},
		{Request{Resource: "comm://a.example"}, ""},
		{Request{Resource: "hyperty://a.example/x"}, ""},
		{Request{Scheme: "hyperty"}, ""},
		{Request{Scheme: "no scheme"}, ""},
		{Request{Value: object.Metadata{Childrens: []string{"a/b"}}}, ""},
		{Request{Value: object.Metadata{Data: []byte(`[]`)}}, ""},
	} {
		got := c.request
		_, err := got.CheckCreate()
		if (err == nil) != (c.scheme != "") || err == nil && got.Scheme != c.scheme {
			t.Errorf("%+v: scheme %q, %v", c.request, got.Scheme, err)
		}
		if err != nil && CodeOf(err) != message.CodeBadRequest {
			t.Errorf("%+v: code %d", c.request, CodeOf(err))
		}
	}
}

func TestCodes(t *testing.T) {
	for want, err := range map[int]error{
		message.CodeForbidden:  fmt.Errorf("wrapped: %w", Refuse(403, "no")),
		message.CodeTooLarge:   object.ErrTooLarge,
		message.CodeBadRequest: object.ErrPath,
		message.CodeError:      errors.New("anything"),
	} {
		if got := CodeOf(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
		refused := Refusal(message.Message{Type: message.Create, From: "hyperty://a.example/x", To: "hyperty-runtime://a.example/r/sm"}, err)
		if r, err := refused.Result(); err != nil || r.Code != want {
			t.Errorf("the refusal of %v: %+v", err, r)
		}
	}
}

// Another object than the one that was asked for is not taken.
func TestReadValue(t *testing.T) {
	answer := func(body string) message.Message { return message.Message{Type: message.Response, Body: []byte(body)} }
	const room = "comm://a.example/room"
	meta, _, err := ReadValue(room, answer(`{"code":200,"value":{"url":"comm://a.example/room","version":3,"data":{"n":1}}}`))
	if err != nil || meta.URL != room || meta.Version != 3 || meta.Childrens == nil {
		t.Errorf("%+v, %v", meta, err)
	}
	for _, bad := range []string{
		`{"code":200,"value":{"url":"comm://a.example/other","data":{}}}`, `{"code":200,"value":7}`, `{"code":403}`, `{"code":200}`,
	} {
		if _, _, err := ReadValue(room, answer(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
