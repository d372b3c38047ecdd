// Command bench measures what Cachito costs and prints a markdown table. What counts are the ratios
// within one run on one machine: bundling against sha256sum and against Python's tarfile (upstream's
// way), memory, a repeated request, the API with many requests stored.
//
// Everything is generated: 400 MB of Go modules on a loopback module proxy, a million requests. Environment
// variables add comparisons, or leave parts out:
//
//	UPSTREAM=<base URL>                                    the API of a running upstream Cachito (docs/benchmark.md)
//	MIRROR_DIR=<folder with owner+name/repo git mirrors>   cobra, caddy and terraform, from the registries
//	HERMETO=<hermeto command>                              the same by Hermeto, cold; needs MIRROR_DIR
//	BENCH_ONLY=bundling|api|pages|projects                 that part alone
//	BENCH_MANAGERS=npm,yarn                                real projects of these package managers alone
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	dir    string // temporary
	binary string
	rows   []row
	notes  []string // conditions of the measurements
}

// row of the result. limit is what the project promises, empty when it promises nothing.
type row struct {
	what, value, limit string
	ok                 bool
}

func (b *bench) add(what, value, limit string, ok bool) {
	b.rows = append(b.rows, row{what, value, limit, ok})
	progress("%s: %s", what, value)
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "cachito-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clienttest.RemoveAll(dir)) }()
	b := &bench{dir: dir, binary: filepath.Join(dir, "cachito")}
	progress("building cachito")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.binary, "./cmd/cachito")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := output(build); err != nil {
		return err
	}
	parts := []struct {
		name    string
		measure func(context.Context) error
	}{{"bundling", b.bundling}, {"api", b.api}, {"pages", b.pages}, {"projects", b.projects}}
	only, found := os.Getenv("BENCH_ONLY"), false
	if os.Getenv("MIRROR_DIR") == "" {
		if os.Getenv("HERMETO") != "" || only == "projects" {
			return errors.New("real projects need MIRROR_DIR=")
		}
		parts = parts[:len(parts)-1]
	}
	for _, part := range parts {
		if only != "" && only != part.name {
			continue
		}
		found = true
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !found {
		return fmt.Errorf("BENCH_ONLY=%s is no part of it", only)
	}
	return b.print()
}

// print writes the table; a broken promise is an error.
func (b *bench) print() error {
	fmt.Printf("Measured with %s on %s/%s, %d CPUs.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, note := range b.notes {
		fmt.Println(note)
	}
	if os.Getenv("MIRROR_DIR") == "" {
		fmt.Println("Ratios to limits only; MIRROR_DIR= and HERMETO= add real projects and a peer.")
	}
	fmt.Print("\n| what | measured | promised |\n|---|---|---|\n")
	broken := 0
	for _, r := range b.rows {
		promise := r.limit
		if r.limit != "" && !r.ok {
			promise += " **missed**"
			broken++
		}
		fmt.Printf("| %s | %s | %s |\n", r.what, r.value, promise)
	}
	if broken > 0 {
		return fmt.Errorf("%d promises missed; measure again on a quiet machine before believing it", broken)
	}
	return nil
}

// progress tells people on stderr what takes so long; the table on stdout stays clean.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
