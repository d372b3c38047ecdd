//go:build race

package api_test

// hugeDependencies are fewer where the race detector makes everything ten times slower.
const hugeDependencies = 10_000
