package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
)

//go:embed toolchains.txt
var toolchains string

// toolchain is one line of toolchains.txt.
type toolchain struct {
	version string // 1.26.8
	goarch  string // as Go calls the processor
	sum     string // h1:...
}

// toolchainFor finds the toolchain for a processor, as Lambda calls it.
func toolchainFor(arch string) (toolchain, error) {
	var known []string
	for line := range strings.Lines(toolchains) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 4 {
			return toolchain{}, fmt.Errorf("toolchains.txt: want four words, got %q", strings.TrimSpace(line))
		}
		if f[1] == arch {
			return toolchain{version: f[0], goarch: f[2], sum: f[3]}, nil
		}
		known = append(known, f[1])
	}
	return toolchain{}, fmt.Errorf("no toolchain for processor %q; want one of %s", arch, strings.Join(known, ", "))
}

// module is the toolchain's version as a Go module.
func (t toolchain) module() string {
	return "golang.org/toolchain@v0.0.1-go" + t.version + ".linux-" + t.goarch
}

// download gives the module's zip file in Go's module cache.
func (t toolchain) download(ctx context.Context) (string, error) {
	elsewhere, err := os.MkdirTemp("", "cachito-layers-") // outside this module, whose go.mod does not name it
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(elsewhere)
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", t.module())
	c.Dir, c.Stderr = elsewhere, &stderr
	c.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GO111MODULE=on")
	out, err := c.Output()
	var got struct{ Zip, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || err != nil || got.Error != "" {
		return "", fmt.Errorf("go mod download %s: %v %s%s", t.module(), err, got.Error, stderr.String())
	}
	sum, err := dirhash.HashZip(got.Zip, dirhash.DefaultHash)
	if err != nil {
		return "", fmt.Errorf("hashing %s: %w", got.Zip, err)
	}
	if sum != t.sum {
		return "", fmt.Errorf("%s: toolchains.txt wants %s, got %s", t.module(), t.sum, sum)
	}
	return got.Zip, nil
}
