package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path"

	"github.com/pion/stun"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk"
)

// Options is the operator's configuration of the plug-in. The zero value works.
type Options struct {
	// Listen is where the one UDP socket listens, "IP:port" or ":port"; port 0 is any free one. Empty: ":0".
	Listen string `json:"listen"`
	// ICEServers are the STUN and TURN servers to use. None by default.
	ICEServers []ICEServer `json:"ice_servers"`
	// RelayOnly uses nothing but TURN servers.
	RelayOnly bool `json:"relay_only"`
	// Loopback says whether loopback addresses are offered, and may be named by peers; null means true, so that two
	// runtimes on a machine without a network find each other.
	Loopback *bool `json:"loopback"`
	// Private says whether peers may name addresses of private networks; null means true, so that two runtimes of one
	// network find each other.
	Private *bool `json:"private"`
	// Interfaces are the names of the network interfaces whose addresses are offered ("eth*" is allowed); empty: all.
	Interfaces []string `json:"interfaces"`
}

// ICEServer is one STUN or TURN server.
type ICEServer struct {
	URLs       []string `json:"urls"` // stun:host:port, turn:host:port?transport=udp, …
	Username   string   `json:"username"`
	Credential string   `json:"credential"`
}

// Described describes the options for operators.
func Described() []sdk.Option {
	return []sdk.Option{
		{Name: "listen", Type: sdk.OptionText, Default: ":0", About: "Where the one UDP socket listens: IP:port, or :port for all addresses; port 0 is any free one."},
		{Name: "ice_servers", Type: sdk.OptionGroups, Default: []any{}, About: "The STUN and TURN servers to use; at most 8.", Options: []sdk.Option{
			{Name: "urls", Type: sdk.OptionList, About: "stun:host:port, turn:host:port?transport=udp, and so on; 1 to 8."},
			{Name: "username", Type: sdk.OptionText, Default: "", About: "The user of a TURN server."},
			{Name: "credential", Type: sdk.OptionText, Default: "", Secret: true, About: "The password of a TURN server."},
		}},
		{Name: "relay_only", Type: sdk.OptionBool, Default: false, About: "Whether nothing but TURN servers is used."},
		{Name: "loopback", Type: sdk.OptionBool, Default: true, About: "Whether loopback addresses are offered, and may be named by peers, so that two runtimes on a machine without a network connect."},
		{Name: "private", Type: sdk.OptionBool, Default: true, About: "Whether peers may name addresses of private networks, so that two runtimes of one network connect."},
		{Name: "interfaces", Type: sdk.OptionList, Default: []any{}, About: "The network interfaces whose addresses are offered, as eth0 or eth*; []: all."},
	}
}

const (
	maxOptions = 64 << 10
	maxServers = 8
)

// settings are checked Options.
type settings struct {
	listen     *net.UDPAddr
	servers    []webrtc.ICEServer
	relayOnly  bool
	loopback   bool
	private    bool
	interfaces []string
}

// parseOptions reads the operator's configuration.
func parseOptions(raw json.RawMessage) (settings, error) {
	var o Options
	if len(raw) > maxOptions {
		return settings{}, fmt.Errorf("webrtc options: %d bytes, at most %d", len(raw), maxOptions)
	}
	if len(bytes.TrimSpace(raw)) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return settings{}, fmt.Errorf("webrtc options: %w (known: listen, ice_servers, relay_only, loopback, private, interfaces)", err)
		}
		if d.More() {
			return settings{}, errors.New("webrtc options: something follows the JSON object")
		}
	}
	return o.check()
}

func (o Options) check() (settings, error) {
	s := settings{
		relayOnly: o.RelayOnly, loopback: o.Loopback == nil || *o.Loopback, private: o.Private == nil || *o.Private,
		interfaces: o.Interfaces,
	}
	if o.Listen == "" {
		o.Listen = ":0"
	}
	var err error
	if s.listen, err = net.ResolveUDPAddr("udp", o.Listen); err != nil {
		return settings{}, fmt.Errorf("webrtc options: listen %.80q: want IP:port or :port: %w", o.Listen, err)
	}
	if len(o.ICEServers) > maxServers {
		return settings{}, fmt.Errorf("webrtc options: %d ICE servers, at most %d", len(o.ICEServers), maxServers)
	}
	relays := 0
	for _, server := range o.ICEServers {
		if len(server.URLs) == 0 || len(server.URLs) > maxServers {
			return settings{}, fmt.Errorf("webrtc options: an ICE server needs 1 to %d urls", maxServers)
		}
		for _, text := range server.URLs {
			uri, err := stun.ParseURI(text)
			if err != nil {
				return settings{}, fmt.Errorf("webrtc options: ICE server %.80q: want stun:host:port or turn:host:port: %w", text, err)
			}
			if uri.Scheme == stun.SchemeTypeTURN || uri.Scheme == stun.SchemeTypeTURNS {
				if relays++; server.Username == "" || server.Credential == "" {
					return settings{}, fmt.Errorf("webrtc options: TURN server %.80q needs username and credential", text)
				}
			}
		}
		s.servers = append(s.servers, webrtc.ICEServer{URLs: server.URLs, Username: server.Username, Credential: server.Credential})
	}
	if o.RelayOnly && relays == 0 {
		return settings{}, errors.New("webrtc options: relay_only needs a TURN server in ice_servers")
	}
	for _, pattern := range o.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return settings{}, fmt.Errorf("webrtc options: interface %.80q: want a name or a pattern like eth*", pattern)
		}
	}
	return s, nil
}

// uses tells whether the addresses of the interface are offered.
func (s *settings) uses(name string) bool {
	for _, pattern := range s.interfaces {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return len(s.interfaces) == 0
}
