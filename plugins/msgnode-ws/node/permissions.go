package node

// tableNames are the names of the node's tables, behind the domain's prefix.
var tableNames = [...]string{"addresses", "subscriptions", "registry", "sessions", "redeemed"}

func bucketPrefix(domain string) string { return "protofly_" + hash(domain)[:10] + "_" }

// Permissions are the NATS subjects that a node of the domain publishes and subscribes at an external cluster: the least
// that its user there has to be allowed. NATS.md says what they are for.
func Permissions(domain string) (publish, subscribe []string) {
	own := newSubjects(domain).prefix + ".>"
	publish, subscribe = []string{own, "$JS.API.INFO"}, []string{own}
	for _, name := range tableNames {
		bucket := bucketPrefix(domain) + name
		stream := "KV_" + bucket
		publish = append(publish, "$KV."+bucket+".>",
			"$JS.API.STREAM.INFO."+stream, "$JS.API.STREAM.CREATE."+stream, "$JS.API.STREAM.UPDATE."+stream,
			"$JS.API.DIRECT.GET."+stream+".>",
			"$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.CONSUMER.INFO."+stream+".*", "$JS.API.CONSUMER.DELETE."+stream+".*",
			"$JS.FC."+stream+".>")
	}
	return publish, subscribe
}
