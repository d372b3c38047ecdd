package gomod

import (
	"context"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"
)

// listing is what `go list` says of a module.
type listing struct {
	// modules that a package of pattern "all" (tests included) comes from.
	modules map[*moduleID]bool
	own     packageList
}

// packageList is the pattern "./..." with everything imported, imports first.
type packageList struct {
	order []string
	of    map[string]listedEntry
}

type listedEntry struct {
	standard   bool
	module     *moduleID // nil: go knows none
	missingSum bool
	deps       []handle // only for packages of main modules
}

// moduleTable keeps one moduleID for equal modules.
type moduleTable map[moduleKey]*moduleID

type moduleKey struct {
	path, version, newPath, newVersion string
}

func (t moduleTable) add(m *listedModule) *moduleID {
	if m == nil {
		return nil
	}
	key := moduleKey{path: m.Path, version: m.Version}
	if m.Replace != nil {
		key.newPath, key.newVersion = m.Replace.Path, m.Replace.Version
	}
	if known, ok := t[key]; ok {
		return known
	}
	id := &moduleID{Path: m.Path, Version: m.Version, Main: m.Main}
	if m.Replace != nil {
		id.Replace = &module.Version{Path: m.Replace.Path, Version: m.Replace.Version}
	}
	t[key] = id
	return id
}

// list runs both listings side by side.
func (r *run) list(ctx context.Context, e engine, w workspace) (listing, error) {
	out := listing{modules: map[*moduleID]bool{}, own: packageList{of: map[string]listedEntry{}}}
	missing := ""
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		table := moduleTable{}
		return r.fault(e.packages(ctx, w, "all", false, func(p listedPackage) {
			if p.Module != nil {
				out.modules[table.add(p.Module)] = true
			} else if missing == "" && lacksSum(p) {
				missing = p.ImportPath
			}
		}))
	})
	group.Go(func() error {
		table := moduleTable{}
		return r.fault(e.packages(ctx, w, "./...", true, func(p listedPackage) {
			entry := listedEntry{standard: p.Standard, module: table.add(p.Module), missingSum: lacksSum(p)}
			if entry.module != nil && entry.module.Main {
				entry.deps = p.Deps
			}
			out.own.order = append(out.own.order, p.ImportPath)
			out.own.of[p.ImportPath] = entry
		}))
	})
	if err := group.Wait(); err != nil {
		return listing{}, err
	}
	if missing != "" {
		return listing{}, errMissingSum(missing)
	}
	return out, nil
}

func lacksSum(p listedPackage) bool {
	return !p.Standard && p.Module == nil && p.Error != nil && strings.Contains(p.Error.Err, "missing go.sum entry")
}
