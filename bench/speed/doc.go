// Bench measures Protofly in real processes, beside what it is made of, in one run:
//
//	go run ./bench/speed [-quick] [-only REGEX] [-json] [-svg FILE]
//
// Two runtimes, each with its plug-ins in processes of their own, and a Message Node; an application in each of the
// runtimes' processes, or ("local API") in two more. Beside them: quic-go alone, one stream of records behind their
// length; pion alone, one data channel, with our plug-in's version of SCTP and socket buffers; a gRPC stream of go-plugin
// alone; NATS core through its server over TLS. All do the same work in turns, round by round; each figure is a median
// over the rounds, and what counts is the ratio: both had the same machine at the same time. Ours are configured as
// cmd/runtime is; the baselines are plain programs, with Go's defaults.
//
// One-way is messages a second from the first that is sent until the receiver says that the last has come. Ours are sealed
// end to end, kept until they are acknowledged, and come once and in order; the baselines carry bytes. CPU is of all
// processes that take part. Allocations are of the process with the runtime and the application, all of it. Peak memory is
// of all processes together.
//
// The exit code is 0 if every demand is met, 1 if one is not, 2 if something failed. -json prints a list of
//
//	{row, transport, size, metric, ours, baseline, baseline_value, ratio, demand, ok}
//
// and nothing else. Otherwise the table is followed by where CPU time and memory went, process by process.
//
// Systems that people would use in Protofly's place are measured by the module bench/peers.
package main
