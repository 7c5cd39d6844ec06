package core_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// An answer that is too large is an error to who answers and a refusal, at once, to who asks; a code that refuses nothing answers
// nothing. "<" takes one byte.
func TestAnswersThatCannotBeCarried(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, sender *hyperty.Hyperty) {
		failed := make(chan error, 2)
		receiver.Handle(func(ctx context.Context, m hyperty.Received) {
			switch m.Type {
			case message.Read:
				failed <- m.Answer(ctx, strings.Repeat("x", message.MaxBody))
			case message.Execute:
				failed <- m.Refuse(ctx, 200, "as you like")
				failed <- m.Refuse(ctx, 403, "no")
			default:
				_ = m.Answer(ctx, m.Value())
			}
		})
		began := time.Now()
		_, err := sender.Request(t.Context(), receiver.URL(), message.Read, nil)
		var refused *message.ResponseError
		if !errors.As(err, &refused) || refused.Code != message.CodeTooLarge || time.Since(began) > 5*time.Second {
			t.Errorf("a large answer: %v after %v", err, time.Since(began))
		}
		if err := <-failed; !errors.Is(err, message.ErrTooLarge) {
			t.Errorf("who answers hears %v", err)
		}
		_, err = sender.Request(t.Context(), receiver.URL(), message.Execute, nil)
		if !errors.As(err, &refused) || refused.Code != 403 || strings.Count(err.Error(), "answered") != 1 {
			t.Errorf("a refusal: %v", err)
		}
		if err := <-failed; err == nil {
			t.Error("200 is a refusal")
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
		text := strings.Repeat("<", message.MaxBody*9/10)
		if _, err := sender.Request(t.Context(), receiver.URL(), message.Update, text); err != nil {
			t.Errorf("%.200v", err)
		}
	})
}

// A socket that this user may not open is no runtime that does not run.
func TestSocketOfAnotherUser(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root may open everything: only what is not there is tried")
	} else {
		dir := filepath.Join(t.TempDir(), "x")
		if err := os.Mkdir(dir, 0); err != nil {
			t.Fatal(err)
		}
		_, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: filepath.Join(dir, "s")})
		if err == nil || strings.Contains(err.Error(), "no runtime") || !strings.Contains(err.Error(), "may not be opened") {
			t.Error(err)
		}
	}
	if _, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: filepath.Join(t.TempDir(), "s")}); err == nil || !strings.Contains(err.Error(), "no runtime") {
		t.Error(err)
	}
}
