// Command bench measures what Cachito costs and prints a markdown table. What counts are the ratios
// within one run on one machine: bundling against sha256sum and against Python's tarfile (upstream's
// way), memory, a repeated request, the API with many requests stored.
//
// Everything is generated: 400 MB of Go modules on a loopback module proxy. Two environment
// variables add comparisons with real projects:
//
//	MIRROR_DIR=<folder with owner+name/repo git mirrors>   cobra, caddy and terraform, from the registries
//	HERMETO=<hermeto command>                              the same by Hermeto, cold; needs MIRROR_DIR
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
	steps := []func(context.Context) error{b.bundling, b.api}
	if os.Getenv("MIRROR_DIR") != "" {
		steps = append(steps, b.projects)
	} else if os.Getenv("HERMETO") != "" {
		return errors.New("HERMETO= needs MIRROR_DIR= too: the comparison is on real projects")
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return b.print()
}

// print writes the table; a broken promise is an error.
func (b *bench) print() error {
	fmt.Printf("Measured with %s on %s/%s, %d CPUs.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
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
