#!/bin/sh
# Writes linkpb from sdk/link/link.proto, with the generators that go.mod pins. Needs protoc.
set -e
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
mkdir -p linkpb
protoc --plugin="$bin/protoc-gen-go" --plugin="$bin/protoc-gen-go-grpc" \
	--go_out=linkpb --go_opt=paths=source_relative \
	--go-grpc_out=linkpb --go-grpc_opt=paths=source_relative -I ../../sdk/link link.proto
