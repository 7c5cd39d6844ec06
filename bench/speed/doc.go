// Speed measures Protofly in real processes, beside the libraries and systems that it is made of, in one run:
//
//	go run ./bench/speed [-quick] [-only REGEX] [-json] [-svg FILE]
//
// It starts two runtimes, each with its plug-ins in processes of their own, and a Message Node. An application is in each of the
// runtimes' processes, or ("local API") in two more processes. The baselines are quic-go alone, with one stream of records that
// begin with their length; pion alone, with one data channel, and with our plug-in's version of SCTP and socket buffers; a gRPC
// stream of go-plugin alone; NATS core through its server over TLS. All do the same work in turns, round by round. Each figure is a
// median over the rounds. The ratio is what counts, since both had the same machine at the same time. Our processes are configured
// as cmd/runtime is; the baselines are plain programs with Go's defaults.
//
// One-way is messages a second, from the first that is sent until the receiver says that the last has come. Protofly's messages are
// sealed end to end, kept until they are acknowledged, and arrive once and in order; the baselines carry bytes. CPU time and peak
// memory are those of all processes of a contender together. Allocations are those of the process with the runtime and the
// application.
//
// The exit code is 0 if every demand is met, 1 if one is not, 2 if something failed. -json prints a list of
//
//	{row, transport, size, metric, ours, baseline, baseline_value, ratio, demand, ok}
//
// and nothing else. Otherwise a table is printed, and then where CPU time and memory went, process by process.
//
// The module bench/peers measures systems that could be used instead of Protofly.
package main
