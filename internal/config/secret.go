package config

import (
	"net/url"
	"strings"
)

// hidden is shown instead of a secret.
const hidden = "(hidden)"

// concealURL returns v; if v is a URL, without its password and without parameters that are secrets.
func concealURL(v string) string {
	u, err := url.Parse(v)
	if scheme, rest, ok := strings.Cut(v, "://"); err != nil && ok {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 { // a password that is not escaped, perhaps
			return scheme + "://" + hidden + rest[at:]
		}
	}
	if err != nil || u.Host == "" {
		return v
	}
	if _, has := u.User.Password(); has {
		v = v[:strings.Index(v, "://")+3] + u.User.Username() + ":" + hidden + v[strings.LastIndexByte(v, '@'):]
	}
	before, query, ok := strings.Cut(v, "?")
	if !ok {
		return v
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		if name, _, has := strings.Cut(p, "="); has && LooksSecret(name) {
			parameters[i] = name + "=" + hidden
		}
	}
	return before + "?" + strings.Join(parameters, "&")
}

// LooksSecret tells whether a key's name suggests that it holds a secret.
func LooksSecret(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "_file") {
		return false // the place of a secret, such as token_file
	}
	for _, word := range []string{"secret", "password", "passwd", "passphrase", "token", "credential", "private", "authorization", "cookie", "psk"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	for _, name := range []string{"key", "pass", "pwd", "auth"} {
		if key == name || strings.HasSuffix(key, "_"+name) || strings.HasSuffix(key, "-"+name) {
			return true
		}
	}
	return strings.HasSuffix(key, "apikey")
}
