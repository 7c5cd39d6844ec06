package main

import "context"

func hostile(ctx context.Context, b *bed) error { return nil }
