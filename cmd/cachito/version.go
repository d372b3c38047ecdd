package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-X main.version=v1.2.3); else the build's own information counts.
var version string

// programVersion is what the program calls itself.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}

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
	_, err := fmt.Fprintf(stdout, "cachito %s%s %s %s/%s\n", programVersion(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
