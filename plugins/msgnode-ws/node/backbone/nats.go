package backbone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATS is the NATS that carries and keeps everything: an embedded server without any port, or a cluster. Messages
// and state have a connection each, so that a slow disk does not hold messages up.
type NATS struct {
	server   *server.Server // nil with an external cluster
	Messages *nats.Conn
	state    *nats.Conn
	js       jetstream.JetStream

	denied   atomic.Pointer[string] // the last action that NATS did not permit
	jsConfig *server.JetStreamConfig
	log      natsLog

	mu      sync.Mutex
	renewed chan struct{} // closed and replaced when JetStream was started anew, or can be reached again
}

const (
	natsStart   = 15 * time.Second
	bucketTry   = time.Second // for the first try to open a table; each other one has twice as long as the one before
	bucketPause = 200 * time.Millisecond
	MarkerTTL   = time.Minute // how long a deleted row leaves a mark
	// MaxNATSPayload is the largest payload that the node publishes, with room to spare.
	MaxNATSPayload = 2 << 20
)

// Options say which NATS to use. Domain, and URL or Data, must be set.
type Options struct {
	Domain      string
	URL         string // of an external cluster; "": an embedded server
	Credentials string // the file with the node's NATS user, where the cluster asks for one
	Data        string // the folder of the embedded server's files
	Log         hclog.Logger
	Lost        func(subject string) // called when NATS had to drop messages that came on a subject
}

// Start starts or reaches NATS.
func Start(o Options) (*NATS, error) {
	b := &NATS{renewed: make(chan struct{})}
	url := o.URL
	// Answers come under the domain's own subjects: other clients of the account need no right to receive them.
	extra := []nats.Option{nats.CustomInboxPrefix(NewSubjects(o.Domain).Inboxes())}
	if o.Credentials != "" {
		extra = append(extra, nats.UserCredentials(o.Credentials))
	}
	if url == "" {
		if err := b.embed(o); err != nil {
			return nil, err
		}
		extra = append(extra, nats.InProcessServer(b.server))
	}
	connect := func(name string) (*nats.Conn, error) {
		return nats.Connect(url, append(extra, nats.Name("protofly-node "+name), nats.MaxReconnects(-1),
			nats.ReconnectWait(200*time.Millisecond),
			nats.ReconnectBufSize(-1), // no silent buffer: a publish that cannot be sent is an error
			nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
				o.Log.Warn("NATS", "error", err)
				if errors.Is(err, nats.ErrPermissionViolation) {
					why := err.Error()
					b.denied.Store(&why)
				}
				if sub != nil && errors.Is(err, nats.ErrSlowConsumer) {
					o.Lost(sub.Subject)
				}
			}),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
				if err != nil {
					o.Log.Error("NATS connection lost", "error", err)
				}
			}),
			nats.ReconnectHandler(func(*nats.Conn) {
				o.Log.Info("NATS connection restored")
				if name == "state" { // else its watches would notice only after 10 s or more that they have missed something
					b.begin()
				}
			}))...)
	}
	var err error
	if b.Messages, err = connect("messages"); err == nil {
		b.state, err = connect("state")
	}
	if err == nil {
		b.js, err = jetstream.New(b.state)
	}
	if err == nil && b.Messages.MaxPayload() < MaxNATSPayload {
		err = fmt.Errorf("its max_payload is %d, set it to %d or more", b.Messages.MaxPayload(), MaxNATSPayload)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("message node: connect to NATS at %s: %w", natsHosts(o.URL), hideUserinfo(err, o.URL))
	}
	return b, nil
}

// embed starts the server in this process: no listener, no monitor, every write on the disk before it is acknowledged.
func (b *NATS) embed(o Options) error {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("message node: data folder: %w", err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "protofly-node", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(o.Data, "nats"), SyncAlways: true, DisableJetStreamBanner: true,
		MaxPayload: MaxNATSPayload, MaxPending: 256 << 20, WriteDeadline: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("message node: embedded NATS: %w", err)
	}
	b.log = natsLog{o.Log.Named("nats"), new(atomic.Pointer[string]), new(atomic.Pointer[string])}
	s.SetLoggerV2(b.log, false, false, false)
	go s.Start() // ends with the server; close waits for it
	if !s.ReadyForConnections(natsStart) {
		s.Shutdown()
		s.WaitForShutdown()
		if why := b.log.fatal.Load(); why != nil {
			return fmt.Errorf("message node: embedded NATS in %s: %s", o.Data, *why)
		}
		return fmt.Errorf("message node: embedded NATS in %s did not start in %v", o.Data, natsStart)
	}
	b.server, b.jsConfig = s, s.JetStreamConfig()
	return nil
}

// Fault is why the embedded server cannot write, "" if it can. It lasts until Revive: a stream whose write has failed takes no
// further one, however much room there is.
func (b *NATS) Fault() string {
	if b.server == nil {
		return ""
	}
	if why := b.log.fault.Load(); why != nil {
		return *why
	}
	if !b.server.JetStreamEnabled() {
		return "JetStream is off"
	}
	return ""
}

// Revive starts JetStream anew after a fault; it reads its files again, so what was acknowledged is there.
func (b *NATS) Revive() error {
	c := *b.jsConfig
	c.StoreDir = filepath.Dir(c.StoreDir) // the server adds its own folder's name
	if err := b.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("stop JetStream: %w", err)
	}
	b.log.fault.Store(nil)
	if err := b.server.EnableJetStream(&c); err != nil {
		return fmt.Errorf("start JetStream: %w", err)
	}
	b.begin()
	return nil
}

// begin makes all watches begin again.
func (b *NATS) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.renewed)
	b.renewed = make(chan struct{})
}

// Life returns a channel that is closed when JetStream is started anew, or can be reached again: watches have to begin again.
func (b *NATS) Life() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.renewed
}

func (b *NATS) Connected() bool { return b.Messages.IsConnected() && b.state.IsConnected() }

func (b *NATS) Close() {
	for _, c := range []*nats.Conn{b.Messages, b.state} {
		if c != nil {
			c.Close()
		}
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

// BucketOptions are how a KV bucket is kept.
type BucketOptions struct {
	Replicas int           // servers of a cluster that keep it
	MaxValue int           // bytes of a value
	TTL      time.Duration // for which a value is kept if it is not written again; 0: for ever
}

// Bucket opens a KV bucket, or makes it.
func (b *NATS) Bucket(ctx context.Context, name string, o BucketOptions) (jetstream.KeyValue, error) {
	config := jetstream.KeyValueConfig{
		Bucket: name, History: 1, Storage: jetstream.FileStorage, MaxValueSize: int32(o.MaxValue), Replicas: o.Replicas, TTL: o.TTL,
		// Deleted keys leave nothing behind after a while: addresses come and go for years.
		LimitMarkerTTL: MarkerTTL,
	}
	for patience := bucketTry; ; patience *= 2 {
		try, cancel := context.WithTimeout(ctx, patience)
		kv, err := b.bucket(try, config)
		cancel()
		if err == nil {
			return kv, nil
		}
		if why := b.denied.Load(); why != nil {
			return nil, fmt.Errorf("message node: state %s: %s; NATS.md lists the permissions that the node's user needs (%w)", name, *why, err)
		}
		if ctx.Err() != nil || !notYet(err) {
			return nil, fmt.Errorf("message node: state %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(bucketPause):
		}
	}
}

// bucket is one try of Bucket. What is as it should be is not written again: a server writes a stream's configuration to its disk
// whenever it is updated, and a disk that is busy may need long for that.
func (b *NATS) bucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, config.Bucket)
	if err == nil {
		status, err := kv.Status(ctx)
		if is, ok := status.(*jetstream.KeyValueBucketStatus); err == nil && ok && same(&is.StreamInfo().Config, &config) {
			return kv, nil
		}
	}
	return b.js.CreateOrUpdateKeyValue(ctx, config)
}

// same tells whether a stream is kept as config says.
func same(stream *jetstream.StreamConfig, config *jetstream.KeyValueConfig) bool {
	return stream.MaxMsgsPerSubject == int64(config.History) && stream.Storage == config.Storage && stream.MaxMsgSize == config.MaxValueSize &&
		stream.Replicas == max(config.Replicas, 1) && stream.MaxAge == config.TTL && stream.SubjectDeleteMarkerTTL == config.LimitMarkerTTL && stream.AllowMsgTTL
}

// notYet tells whether an error may be that of a cluster which is choosing its leader.
func notYet(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &api) && api.Code == 503
}

// natsLog writes the embedded server's log to ours. The server's notices become debug lines.
type natsLog struct {
	hclog.Logger
	fatal *atomic.Pointer[string] // why the server did not start
	fault *atomic.Pointer[string] // why it cannot write
}

func (l natsLog) Noticef(f string, v ...any) { l.Logger.Debug("NATS", "says", fmt.Sprintf(f, v...)) }
func (l natsLog) Debugf(f string, v ...any)  { l.Logger.Trace("NATS", "says", fmt.Sprintf(f, v...)) }
func (l natsLog) Tracef(f string, v ...any)  { l.Logger.Trace("NATS", "says", fmt.Sprintf(f, v...)) }
func (l natsLog) Warnf(f string, v ...any)   { l.Logger.Warn("NATS", "says", fmt.Sprintf(f, v...)) }

// Errorf also looks for failed writes. The server reports them nowhere else: the publisher's wait merely times out.
func (l natsLog) Errorf(f string, v ...any) {
	text := fmt.Sprintf(f, v...)
	if strings.Contains(strings.ToLower(text), "write error") || strings.Contains(text, "DISABLED") || strings.Contains(text, "failed to store") {
		l.fault.CompareAndSwap(nil, &text)
	}
	l.Logger.Error("NATS", "says", text)
}
func (l natsLog) Fatalf(f string, v ...any) {
	why := fmt.Sprintf(f, v...)
	l.fatal.Store(&why)
	l.Logger.Error("NATS", "says", why)
}
