package backbone

// BucketPrefix is the prefix of the names of a domain's tables.
func BucketPrefix(domain string) string { return "protofly_" + Hash(domain)[:10] + "_" }

// Permissions are the NATS subjects that a node of the domain with these tables publishes and subscribes at an external cluster.
func Permissions(domain string, tables ...string) (publish, subscribe []string) {
	own := NewSubjects(domain).All()
	publish, subscribe = []string{own, "$JS.API.INFO"}, []string{own}
	for _, name := range tables {
		bucket := BucketPrefix(domain) + name
		stream := "KV_" + bucket
		publish = append(publish, "$KV."+bucket+".>",
			"$JS.API.STREAM.INFO."+stream, "$JS.API.STREAM.CREATE."+stream, "$JS.API.STREAM.UPDATE."+stream,
			"$JS.API.DIRECT.GET."+stream+".>",
			"$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.CONSUMER.INFO."+stream+".*", "$JS.API.CONSUMER.DELETE."+stream+".*",
			"$JS.FC."+stream+".>")
	}
	return publish, subscribe
}
