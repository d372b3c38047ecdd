// Package gomod resolves Go modules: it downloads (or vendors) what the go.mod files of a repository
// need, and reports modules and packages as `go list` sees them.
//
// The work is done by the go command, of exactly the release that go.mod asks for. It runs hardened: no
// user configuration, no version control, no checksum exceptions but the configured ones, and no network
// except a module proxy on loopback (moduleProxy), which asks the configured proxies through the
// resolver's Fetcher. So downloads are cached across requests, checked and credentialed in one place.
//
// Settings (resolver.Settings.Values):
//
//	goproxy                    comma or pipe list of http(s) module proxies, in the form of GOPROXY; "direct"
//	                           at its end takes tagged versions from their repositories
//	gosumdb                    checksum database, in the form of GOSUMDB; "off": go.sum alone counts
//	gonosumdb, goprivate       module path patterns that are not looked up in the database
//	ignore_missing_gomod_file  "true" (default): a single path without go.mod is skipped
//	strict_vendor              "true": a vendor folder needs one of the vendor flags; default "false"
//	go_command                 name or path of the installed go; default "go"
package gomod

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Name is the API's word for this package manager, and the type of its modules.
const Name = "gomod"

// Types of what is reported.
const (
	typeModule  = Name
	typePackage = "go-package"
)

// Flags of a request that concern gomod.
const (
	flagVendor      = "gomod-vendor"
	flagVendorCheck = "gomod-vendor-check"
	flagForceTidy   = "force-gomod-tidy"
	flagCgoDisable  = "cgo-disable"
)

// Descriptor of the package manager.
func Descriptor() resolver.Descriptor {
	return resolver.Descriptor{
		Name:      Name,
		Rank:      10,
		Options:   []resolver.Option{{Name: "path"}},
		Flags:     []string{flagVendor, flagVendorCheck, flagForceTidy, flagCgoDisable},
		Types:     Rules(),
		NeedsTags: true,
		Commands:  []string{"go"},
		Detect:    func(names map[string]bool) bool { return names["go.mod"] },
		Version:   "2",
		New:       New,
	}
}

// settings are the parsed resolver.Settings.
type settings struct {
	proxies            []upstream
	sumDB              sumDB
	noSumDB            string
	ignoreMissingGoMod bool
	strictVendor       bool
	goCommand          string
	toolDir            string
}

func parseSettings(s resolver.Settings) (settings, error) {
	out := settings{
		ignoreMissingGoMod: true,
		goCommand:          s.Values["go_command"],
		toolDir:            s.Local.ToolDir,
		noSumDB:            joinPatterns(s.Values["gonosumdb"], s.Values["goprivate"]),
		sumDB:              parseSumDB(s.Values["gosumdb"]),
	}
	if out.goCommand == "" {
		out.goCommand = "go"
	}
	var err error
	if out.toolDir != "" {
		if out.toolDir, err = filepath.Abs(out.toolDir); err != nil {
			return settings{}, fmt.Errorf("finding the folder for Go toolchains: %w", err)
		}
	}
	if out.proxies, err = parseProxies(s.Values["goproxy"]); err != nil {
		return settings{}, err
	}
	for key, to := range map[string]*bool{
		"ignore_missing_gomod_file": &out.ignoreMissingGoMod,
		"strict_vendor":             &out.strictVendor,
	} {
		if text := s.Values[key]; text != "" {
			if *to, err = strconv.ParseBool(text); err != nil {
				return settings{}, fmt.Errorf("setting %s of gomod: want true or false, got %q", key, text)
			}
		}
	}
	return out, nil
}

func joinPatterns(lists ...string) string {
	var out []string
	for _, list := range lists {
		if list = strings.Trim(list, ", "); list != "" {
			out = append(out, list)
		}
	}
	return strings.Join(out, ",")
}

// goModules implements resolver.Resolver.
type goModules struct {
	settings   settings
	toolchains *toolchains
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	parsed, err := parseSettings(s)
	if err != nil {
		return nil, err
	}
	return &goModules{settings: parsed, toolchains: newToolchains(parsed.goCommand, parsed.toolDir)}, nil
}

// environment is what a build from the bundle needs. GOPROXY=off makes a module that is missing an
// immediate, clear error instead of a try at the network.
func environment() map[string]request.EnvironmentVariable {
	return map[string]request.EnvironmentVariable{
		"GOCACHE":    {Value: "deps/gomod", Kind: "path"},
		"GOPATH":     {Value: "deps/gomod", Kind: "path"},
		"GOMODCACHE": {Value: "deps/gomod/pkg/mod", Kind: "path"},
		"GOSUMDB":    {Value: "off", Kind: "literal"},
		"GOPROXY":    {Value: "off", Kind: "literal"},
	}
}

// Resolve implements resolver.Resolver.
func (g *goModules) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	paths, err := resolver.OptionPaths(Name, in.Options, "")
	if err != nil {
		return resolver.Output{}, err
	}
	missing, err := withoutGoMod(in.Source, paths)
	if err != nil {
		return resolver.Output{}, err
	}
	if len(missing) == 1 && len(paths) == 1 && g.settings.ignoreMissingGoMod {
		in.Log.WarnContext(ctx, "There is no go.mod file: nothing is done for gomod", "file", missing[0])
		return resolver.Output{}, nil
	}
	if len(missing) > 0 {
		plural := ""
		if len(missing) > 1 {
			plural = "s"
		}
		return resolver.Output{}, fault.Client(fault.InvalidRepoStructure,
			"The %s file%s must be present for the gomod package manager", strings.Join(missing, "; "), plural)
	}
	replacements := moduleReplacements(in.Replacements)
	if len(replacements) > 0 && len(paths) > 1 {
		return resolver.Output{}, fault.Client(fault.UnsupportedFeature,
			"Dependency replacements are only supported for a single go module path.")
	}

	r, err := g.newRun(ctx, in, paths, replacements)
	if err != nil {
		return resolver.Output{}, err
	}
	defer r.close()
	for _, p := range paths {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching the gomod dependencies at the %q directory", p)); err != nil {
			return resolver.Output{}, err
		}
		found, err := r.module(ctx, p)
		if err != nil {
			return resolver.Output{}, fmt.Errorf("resolving the module in %s: %w", p, err)
		}
		r.found = append(r.found, found)
	}
	if err := checkParents(r.found); err != nil {
		return resolver.Output{}, err
	}
	return r.output(ctx)
}

func moduleReplacements(all []request.Replacement) []request.Replacement {
	var out []request.Replacement
	for _, r := range all {
		if r.Type == typeModule {
			out = append(out, r)
		}
	}
	return out
}

// resolved is what one path led to.
type resolved struct {
	dir      string // the path, "." for the root
	module   packages.Package
	packages []packages.Package
}

func (r *run) output(ctx context.Context) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: environment()}
	for _, f := range r.found {
		out.Packages = append(out.Packages, f.module)
		out.Packages = append(out.Packages, f.packages...)
	}
	out.Unverified = r.unverified.purls()
	var err error
	if out.Deps, err = r.bundledCache(ctx); err != nil {
		return resolver.Output{}, fmt.Errorf("reading the module cache: %w", err)
	}
	if out.Checksums, err = zipChecksums(out.Deps); err != nil {
		return resolver.Output{}, err
	}
	if out.Overlays, err = r.overlays(ctx); err != nil {
		return resolver.Output{}, fmt.Errorf("collecting the changed files: %w", err)
	}
	return out, nil
}

// subpath is the packages data's form of a directory: empty for the root.
func subpath(dir string) string {
	if dir = path.Clean(dir); dir != "." {
		return dir
	}
	return ""
}
