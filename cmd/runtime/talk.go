package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// outcomeTime is how long "send" waits by default for the message's outcome. It is longer than a message may stay
// unacknowledged before it expires.
const outcomeTime = 40 * time.Second

// join registers a hyperty at the running runtime; without a name it is ephemeral.
func (c *cli) join(cmd *cobra.Command, name string, timeout time.Duration) (*hyperty.Client, *hyperty.Hyperty, error) {
	socket, err := c.socket(cmd)
	if err != nil {
		return nil, nil, err
	}
	r := hyperty.Registration{Name: name, Ephemeral: name == ""}
	if err := r.Check(); err != nil {
		return nil, nil, usageError{err}
	}
	client, err := hyperty.Dial(cmd.Context(), hyperty.Options{Socket: socket, Timeout: timeout})
	if err != nil {
		return nil, nil, err
	}
	h, err := client.Register(cmd.Context(), r)
	if err != nil {
		leave(client)
		return nil, nil, err
	}
	return client, h, nil
}

func leave(client *hyperty.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	return client.Close(ctx)
}

func (c *cli) sendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send URL [TEXT|-]",
		Short: "Send a message",
		Long: "Send a message. If TEXT is a JSON object it is the message's body, else it is the body's value; - reads it\n" +
			"from stdin.\n\n" +
			"By default the command waits until it is known what became of the message, and prints it: delivered, or an error\n" +
			"that says why not. With --wait it waits for the answer, and prints the answer's value. With --no-wait it ends when\n" +
			"the runtime has the message.",
		Example: "  protofly send hyperty://example.com/bob hello\n" +
			"  protofly send --wait --type read hyperty://example.com/clock",
		Args: usageArgs(cobra.RangeArgs(1, 2)),
	}
	from := cmd.Flags().String("from", "", "the sender's name, as bob in hyperty://example.com/bob (default: an address below the runtime's own, which nobody is told of)")
	typ := cmd.Flags().String("type", "update", "the message's type")
	wait := cmd.Flags().Bool("wait", false, "wait for the answer and print its value")
	noWait := cmd.Flags().Bool("no-wait", false, "do not wait for what becomes of the message")
	timeout := cmd.Flags().Duration("timeout", 0, "how long to wait (default for the answer 15s, for the outcome 40s)")
	addSocketFlags(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("wait", "no-wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := message.ParseURL(args[0])
		if err != nil {
			return usageError{err}
		}
		t, err := message.ParseType(*typ)
		if err != nil || t == message.Response {
			return usageError{fmt.Errorf("--type %s: a message of this type cannot be sent: %w", *typ, err)}
		}
		body, err := c.body(args[1:])
		if err != nil {
			return usageError{err}
		}
		client, h, err := c.join(cmd, *from, *timeout)
		if err != nil {
			return err
		}
		switch {
		case *wait:
			err = request(cmd, h, to, t, body)
		case *noWait:
			err = h.SendType(cmd.Context(), to, t, body)
		default:
			err = track(cmd, h, to, t, body, *timeout)
		}
		if e := leave(client); err == nil {
			err = e
		}
		return err
	}
	return cmd
}

// body is the message's body, from the arguments of "send".
func (c *cli) body(args []string) (any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	text := args[0]
	if text == "-" {
		all, err := io.ReadAll(io.LimitReader(c.in, message.MaxBody+1))
		if err != nil {
			return nil, fmt.Errorf("stdin: %w", err)
		}
		text = strings.TrimSuffix(string(all), "\n")
	}
	if len(text) > message.MaxBody {
		return nil, fmt.Errorf("%w: more than %d bytes", message.ErrTooLarge, message.MaxBody)
	}
	if json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimSpace(text), "{") {
		return json.RawMessage(text), nil
	}
	return text, nil
}

func request(cmd *cobra.Command, h *hyperty.Hyperty, to message.URL, t message.Type, body any) error {
	r, err := h.Request(cmd.Context(), to, t, body)
	if err != nil {
		return err
	}
	if len(r.Value) > 0 {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), string(r.Value))
	}
	return err
}

// track sends, and prints what became of the message.
func track(cmd *cobra.Command, h *hyperty.Hyperty, to message.URL, t message.Type, body any, limit time.Duration) error {
	if limit <= 0 {
		limit = outcomeTime
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	d, err := h.SendTracked(ctx, to, t, body)
	if err != nil {
		return err
	}
	o, err := d.Wait(ctx)
	if err != nil && cmd.Context().Err() == nil {
		return fmt.Errorf("%s after %v: not known to be taken; it may be later", o.State, limit)
	}
	if err == nil {
		err = o.Err()
	}
	if err == nil {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), o)
	}
	return err
}

func (c *cli) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release NAME",
		Short: "Give a name up, so that another runtime may register it",
		Long: "Give a name up that applications of this runtime have been registered with, so that another runtime may register it.\n" +
			"No application may have it now. Messages for it are refused with 408 or 404 until somebody registers it.\n\n" +
			"Runtimes that pin the owners of names (trust.mode pinned, trust.pins) go on to refuse another owner until their\n" +
			"operator changes the pin.",
		Example: "  protofly release bob",
		Args:    usageArgs(cobra.ExactArgs(1)),
	}
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := message.CheckName(args[0]); err != nil {
			return usageError{err}
		}
		client, h, err := c.join(cmd, args[0], 0)
		if err != nil {
			return err
		}
		err = h.Release(cmd.Context())
		if e := leave(client); err == nil {
			err = e
		}
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is given up\n", h.URL())
		}
		return err
	}
	return cmd
}

func (c *cli) listenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "listen NAME",
		Short:   "Register a name and print its messages, one per line: from, type, text",
		Example: "  protofly listen bob",
		Args:    usageArgs(cobra.ExactArgs(1)),
	}
	asJSON := cmd.Flags().Bool("json", false, "print each message as JSON")
	echo := cmd.Flags().Bool("echo", false, "answer each message with its own value")
	count := cmd.Flags().Int("count", 0, "end after this many messages (default: when interrupted)")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, h, err := c.join(cmd, args[0], 0)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "listening at %s\n", h.URL())
		err = listen(cmd, h, *asJSON, *echo, *count)
		if e := leave(client); err == nil {
			err = e
		}
		return err
	}
	return cmd
}

func listen(cmd *cobra.Command, h *hyperty.Hyperty, asJSON, echo bool, count int) error {
	out := cmd.OutOrStdout()
	for n := 0; count == 0 || n < count; n++ {
		m, err := h.Receive(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(out).Encode(m.Message)
		} else {
			_, err = fmt.Fprintf(out, "%s %s %s\n", m.From, m.Type, printable.Line(m.Text()))
		}
		if err == nil && echo {
			err = m.Answer(cmd.Context(), m.Value())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
