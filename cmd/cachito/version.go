package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/cachito-serverless/cachito/shared/wiring"
)

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(stdout io.Writer) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(stdout, "cachito %s%s %s %s/%s\n", wiring.Version(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
