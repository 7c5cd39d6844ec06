// Package catalogue knows which plug-ins are installed on this machine, and where a domain's Message Node is
// (specification, "Catalogue": the descriptors of protostubs).
//
// Installed plug-ins are files in a directory. Each plug-in has a descriptor, NAME.json {name, version, kind, about, executable,
// sha256}, and beside it the executable. The executable's file name ends with the beginning of its checksum, so an upgrade never
// changes a file that a descriptor names. The directory is the operator's: whoever may write in it decides which programs the
// runtime runs. A program without a descriptor is not run.
//
// A domain publishes the descriptor of its Message Node's stub at https://DOMAIN/.well-known/protocolstub/default. [NodeAddress]
// reads it, over TLS, from addresses that the operator allows (package internal/networks).
//
// A descriptor of either kind, and a plug-in's description of itself, may have 64 KiB. A plug-in has 10 seconds to describe itself.
package catalogue
