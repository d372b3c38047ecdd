package gomod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// How often `go mod download` is tried, and the first wait between two tries, which doubles. Only
	// what may pass is tried again, and only what the Fetcher has not tried again already.
	downloadTries     = 5
	firstDownloadWait = time.Second
	// Bounds of what is told of a command's output.
	maxToldLines = 8
	maxToldBytes = 1500
)

// reasons are the sentences of the go command that say whose trouble it is, in the order in which
// they are looked for. Measured with 1.20, 1.21, 1.23 and 1.26.
var reasons = []struct {
	text   string
	origin fault.Origin
	kind   fault.Type
}{
	{"no space left on device", fault.OriginServer, fault.GoModError},
	{"errors parsing ", fault.OriginClient, fault.InvalidFileFormat},
	{"checksum mismatch", fault.OriginClient, fault.InvalidChecksum},
	{"malformed go.sum", fault.OriginClient, fault.InvalidFileFormat},
	{"missing go.sum entry", fault.OriginClient, fault.InvalidRepoStructure},
	{"toolchain not available", fault.OriginClient, fault.UnsupportedFeature},
	{"requires go >= ", fault.OriginClient, fault.InvalidRepoStructure},
	{"updates to go.mod needed", fault.OriginClient, fault.InvalidRepoStructure},
	{"updates to go.sum needed", fault.OriginClient, fault.InvalidRepoStructure},
	{"updates to go.work needed", fault.OriginClient, fault.InvalidRepoStructure},
}

// missing are the sentences for what a module proxy has not. They count only after what the proxy
// itself recorded.
var missing = []struct {
	text string
	kind fault.Type
}{
	{": 404 Not Found", fault.InvalidRequestData},
	{": 410 Gone", fault.InvalidRequestData},
	{": 400 Bad Request", fault.InvalidRequestData},
	{"unknown revision", fault.InvalidRequestData},
	{"no matching versions for query", fault.InvalidRequestData},
	{"malformed module path", fault.InvalidFileFormat},
	{"invalid version", fault.InvalidRequestData},
	{"module lookup disabled", fault.InvalidRequestData},
	{"no required module provides package", fault.InvalidRepoStructure},
	{"cannot find module providing package", fault.InvalidRepoStructure},
	{"but does not contain package", fault.InvalidRepoStructure},
	{"ambiguous import", fault.InvalidRepoStructure},
	{"(replaced by .", fault.InvalidRepoStructure},
	{"replacement directory", fault.InvalidRepoStructure},
	{"cannot load module", fault.InvalidRepoStructure},
	{"matched no module dependencies", fault.InvalidRepoStructure},
}

// fault turns what a go command said into a fault. Faults, other errors and nil are passed on.
func (r *run) fault(err error) error {
	var (
		failed *commandError
		known  *fault.Error
	)
	if errors.As(err, &known) || !errors.As(err, &failed) {
		return err
	}
	upstream := r.proxy.failure(failed.output)
	f := fault.Server(fault.GoModError, "Go execution failed: `%s` failed with rc=%d", failed.command, failed.code)
	f.Message += r.told(failed.output)
	if b := blame(failed.output, upstream); b != nil {
		f.Origin, f.Type, f.Final = b.Origin, b.Type, b.Final
	}
	if upstream != nil {
		return f.Because(upstream)
	}
	return f.Because(failed)
}

// blame is whose trouble the output and the proxy's record speak of: only origin, type and finality of
// the fault count. nil: unknown, ours.
func blame(output string, upstream *upstreamError) *fault.Error {
	for _, known := range reasons {
		if strings.Contains(output, known.text) {
			return &fault.Error{Origin: known.origin, Type: known.kind, Final: known.origin == fault.OriginClient}
		}
	}
	if upstream != nil {
		switch cause := fault.From(upstream.cause); {
		case upstream.notFound(), upstream.status == 400:
			return fault.Client(fault.InvalidRequestData, "")
		case upstream.status == 401 || upstream.status == 403:
			return fault.Client(fault.NetworkError, "")
		case cause.Type == fault.UnknownError:
			return fault.Server(fault.NetworkError, "")
		default:
			return cause
		}
	}
	for _, known := range missing {
		if strings.Contains(output, known.text) {
			return fault.Client(known.kind, "")
		}
	}
	return nil
}

// replacementFault: what go.mod cannot take comes from the request.
func (r *run) replacementFault(err error, rep request.Replacement) error {
	var failed *commandError
	if !errors.As(err, &failed) || failed.code < 0 {
		return r.fault(err)
	}
	return fault.Client(fault.InvalidRequestData, "The dependency replacement of %s by version %s cannot be applied%s",
		rep.Name, rep.Version, r.told(failed.output)).Because(err)
}

var userInfo = regexp.MustCompile(`://[^/@\s]*@`)

// told is the part of a command's output that the sender of the request may read, with ": " before
// it: its first lines, without paths of the worker, our own URLs and user info.
func (r *run) told(output string) string {
	output = r.proxy.original(output)
	for _, dir := range []struct{ path, name string }{
		{r.source + string(filepath.Separator), ""},
		{r.source, "."},
		{r.folders.modCache, "$GOMODCACHE"},
		{filepath.Dir(r.folders.home), "$SCRATCH"},
		{r.toolchains.dir, "$TOOLS"},
	} {
		if dir.path != "" {
			output = strings.ReplaceAll(output, dir.path, dir.name)
		}
	}
	output = userInfo.ReplaceAllString(output, "://")
	text, lines := "", 0
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "go: downloading ") {
			continue
		}
		switch {
		case lines == 0:
		case strings.HasSuffix(text, ":"):
			text += " "
		default:
			text += "; "
		}
		if lines++; lines > maxToldLines {
			text += "..."
			break
		}
		text += line
	}
	if text == "" {
		return ""
	}
	text = strings.ToValidUTF8(text, "?")
	if len(text) > maxToldBytes {
		text = strings.ToValidUTF8(text[:maxToldBytes], "") + "..."
	}
	return ": " + text
}

// retry does the work again while its fault may pass, waiting 1, 2, 4 and 8 seconds. What the Fetcher
// gave up after its own retries is not tried again.
func retry(ctx context.Context, log *slog.Logger, work func() error) error {
	wait := firstDownloadWait
	for try := 1; ; try++ {
		err := work()
		var upstream *upstreamError
		if err == nil || ctx.Err() != nil || !fault.MayPass(err) || errors.As(err, &upstream) {
			return err
		}
		if try == downloadTries {
			f := fault.From(err)
			_, rest, _ := strings.Cut(f.Message, " failed with rc=")
			_, told, _ := strings.Cut(rest, ": ")
			out := fault.Server(f.Type, "Go execution failed: Cachito re-tried running `go mod download -json` command %d times.", downloadTries)
			if told != "" {
				out.Message += " " + told
			}
			return out.Because(err)
		}
		log.WarnContext(ctx, "Downloading the modules is tried again", "attempt", try, "error", err.Error())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// plural counts things: "1 more file", "2 more files".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
