package backbone

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The URLs of a NATS cluster, separated by commas, may have a user and a password or a token in them. Whatever the node prints
// of them, in errors, logs or the configuration, is made here.

// natsURLs parses them. If one cannot be parsed, the error does not show it.
func natsURLs(text string) ([]*url.URL, error) {
	var list []*url.URL
	for i, one := range strings.Split(text, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("URL %d cannot be read, and is not shown here since it may have a password in it; want nats://host:4222, "+
				"with special characters of a password as %%XX", i+1)
		}
		list = append(list, u)
	}
	return list, nil
}

func CheckNATS(text string) error {
	list, err := natsURLs(text)
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	for i, u := range list {
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("nats: URL %d: the scheme is none of nats, tls, ws, wss", i+1)
		}
	}
	return nil
}

// Redact is the URLs of a cluster as they may be shown: without users, passwords and tokens.
func Redact(text string) string {
	if text == "" {
		return ""
	}
	list, err := natsURLs(text)
	if err != nil {
		return "(not shown: " + err.Error() + ")"
	}
	shown := make([]string, len(list))
	for i, u := range list {
		hidden := ""
		if u.User != nil {
			hidden = "…hidden…@"
		}
		shown[i] = u.Scheme + "://" + hidden + u.Host
	}
	return strings.Join(shown, ",")
}

// natsHosts is where a cluster is, for errors.
func natsHosts(text string) string { return strings.ReplaceAll(Redact(text), "…hidden…@", "") }

// hideUserinfo returns an error of the NATS client without the users, passwords and tokens of the URLs, in whatever form.
func hideUserinfo(err error, text string) error {
	if err == nil {
		return nil
	}
	shown := err.Error()
	list, _ := natsURLs(text)
	for _, u := range list {
		if u.User == nil {
			continue
		}
		password, _ := u.User.Password()
		for _, secret := range []string{u.User.String(), password, url.QueryEscape(password), url.PathEscape(password)} {
			if secret != "" {
				shown = strings.ReplaceAll(shown, secret, "…hidden…")
			}
		}
	}
	if shown == err.Error() {
		return err
	}
	return errors.New(shown)
}
