// Command layers makes the contents of template.yaml's Lambda layers: a Go toolchain with what it takes to
// download, vendor, tidy and list modules, and nothing else. The same input gives the same bytes.
//
//	go run ./layers -arch arm64 -zip dist/layers/go-arm64.zip      what Lambda takes
//	go run ./layers -arch arm64 -dir FOLDER                        the same as files, for sam build
//
// The toolchain comes from the Go module proxy, by the go command and so checked against Go's checksum
// database; its hash must also be the one in toolchains.txt.
package main

import (
	"archive/zip"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// MaxLayerBytes is what the layer may have unpacked: Lambda allows a function 250 MB with all its layers.
const MaxLayerBytes = 60_000_000

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("layers", flag.ContinueOnError)
	arch := flags.String("arch", "arm64", "processor, as Lambda calls it: arm64 or x86_64")
	zipName := flags.String("zip", "", "write a zip file")
	dir := flags.String("dir", "", "write a folder, which must be empty or not be there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (*zipName == "") == (*dir == "") || flags.NArg() > 0 {
		return errors.New("want one of -zip FILE and -dir FOLDER")
	}
	t, err := toolchainFor(*arch)
	if err != nil {
		return err
	}
	path, err := t.download(ctx)
	if err != nil {
		return err
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	files, err := t.trim(&archive.Reader)
	if err != nil {
		return err
	}
	total := size(files)
	if total > MaxLayerBytes {
		return fmt.Errorf("the layer has %d bytes unpacked, more than the %d that it may have", total, MaxLayerBytes)
	}
	if *dir != "" {
		return writeDir(*dir, files)
	}
	if err := os.MkdirAll(filepath.Dir(*zipName), 0o755); err != nil {
		return err
	}
	packed, err := writeZip(*zipName, files)
	if err != nil {
		return err
	}
	fmt.Printf("%s: go%s for %s, %d files, %.1f MB, %.1f MB packed\n", *zipName, t.version, *arch, len(files), float64(total)/1e6, float64(packed)/1e6)
	return nil
}
