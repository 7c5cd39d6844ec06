// Package stubtest is for the tests of authors of stubs: it runs any sdk.Stub through the real link, gRPC over a Unix
// socket, in the test's own process, with the test in the place of the runtime's core.
//
//	l := stubtest.Run(t, stub, stubtest.Options{Start: sdk.Start{Role: sdk.RoleNode, Domain: "example.com", Config: config}})
//	l.Status("", message.Live)
//	l.Send(l.URL, sdk.Frame{Peer: remote, Payload: []byte("sealed")})
//
// Every wait is bounded by Options.Patience; what does not come is a failure of the test that says what came instead.
// The test's end stops the stub and fails where it does not stop.
//
// [Conform] tests what every stub has to do (specification, "Protostub lifecycle").
package stubtest
