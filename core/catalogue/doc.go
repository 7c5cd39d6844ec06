// Package catalogue knows which plug-ins are installed on this machine, and where a domain's Message Node is
// (specification, "Catalogue": the descriptors of protostubs).
//
// Installed plug-ins are a directory: for each plug-in a descriptor NAME.json {name, version, kind, about,
// executable, sha256} and beside it the executable, whose file name ends with the beginning of its checksum, so that
// an upgrade never changes a file that a descriptor names. The directory is the operator's: whoever may write in it
// decides what the runtime runs. A plug-in that is in no descriptor is not run.
//
// A domain publishes its Message Node's stub at https://DOMAIN/.well-known/protocolstub/default; [NodeAddress] reads it, over
// TLS, from addresses that the operator allows (package internal/networks).
//
// What is read is bounded: a descriptor of either kind to 64 KiB, a plug-in's description of itself to that and to
// 10 seconds.
package catalogue
