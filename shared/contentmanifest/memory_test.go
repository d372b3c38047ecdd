package contentmanifest_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cachito-serverless/cachito/shared/contentmanifest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver/gomod"
)

// gauge counts what is written, and how much memory is in use every now and then.
type gauge struct{ bytes, writes, peak uint64 }

func (g *gauge) Write(p []byte) (int, error) {
	if g.writes%50 == 0 {
		g.peak = max(g.peak, inUse())
	}
	g.writes++
	g.bytes += uint64(len(p))
	return len(p), nil
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory: every package of a Go module has all of the module's dependencies as its sources, so the
// document is many times larger than the packages data.
func TestMemory(t *testing.T) {
	version := "v1.0.0"
	module := packages.Package{Name: "m.org/m", Type: "gomod", Version: &version}
	for i := range 500 {
		module.Dependencies = append(module.Dependencies, packages.Dependency{Name: fmt.Sprintf("example.org/organisation/module%d", i), Type: "gomod", Version: &version})
	}
	c := packages.Context{Packages: []packages.Package{module}}
	for i := range 600 {
		c.Packages = append(c.Packages, packages.Package{Name: fmt.Sprintf("m.org/m/p%d", i), Type: "go-package", Version: &version})
	}
	const most = 4 << 20
	before := inUse()
	var g gauge
	if err := contentmanifest.Write(&g, []packages.Context{c}, packages.RulesOf(gomod.Rules())); err != nil {
		t.Fatal(err)
	}
	if g.bytes < 4*most {
		t.Fatalf("a document of %d bytes shows nothing", g.bytes)
	}
	if g.peak > before+most {
		t.Errorf("%d bytes of memory for a document of %d, want at most %d", g.peak-before, g.bytes, most)
	}
}
