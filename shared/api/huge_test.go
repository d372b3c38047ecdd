//go:build !race

package api_test

const hugeDependencies = 50_000
