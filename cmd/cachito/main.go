// Command cachito prefetches the dependencies of a git repository into a bundle that builds with the
// network cut off: as a service (serve), as one command (fetch), or as a client of a service
// (request, wait, download, logs, sbom).
//
// It only wires: what it does lives in shared/.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is main with its exit code as a result.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var commands cli
	parser, err := kong.New(&commands,
		kong.Name("cachito"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cachito: %v\n", err)
		return exitFailed
	}
	// Answers and exits when a shell asks for completions.
	kongplete.Complete(parser)

	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cachito: %v\n%s\n", err, helpHint(err))
		return exitUsage
	}
	return report(ctx, os.Stderr, kctx.Run())
}

func helpHint(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if selected := parse.Context.Selected(); selected != nil {
			return fmt.Sprintf("Run `cachito %s --help` for usage and examples.", selected.Name)
		}
	}
	return "Run `cachito --help` for the list of commands."
}
