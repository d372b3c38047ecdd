package gomod

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const (
	maxModulesTxtBytes = 16 << 20
	// maxListedDifferences is how many paths a failed vendor check names.
	maxListedDifferences = 10
)

// vendorMode is what is done about a module's vendor folder.
type vendorMode struct {
	vendor    bool
	mayChange bool
	dir       string // that holds the vendor folder
}

// chooseVendorMode is the table of 3.5. A check with nothing to check makes the folder.
func chooseVendorMode(vendor, check, exists bool) (vendoring, mayChange bool) {
	return vendor || check, (vendor || check) && (!check || !exists)
}

func (r *run) vendorMode(files moduleFiles) (vendorMode, error) {
	mode := vendorMode{dir: files.localBase()}
	// What the commit has: another path of the request may have made the workspace's folder since.
	exists := r.before.vendored[mode.dir]
	if exists && !r.vendoring && r.settings.strictVendor {
		return mode, fault.Client(fault.ValidationError,
			`The "gomod-vendor" or "gomod-vendor-check" flag must be set when your repository has vendored dependencies.`)
	}
	mode.vendor, mode.mayChange = chooseVendorMode(r.hasFlag(flagVendor), r.hasFlag(flagVendorCheck), exists)
	return mode, nil
}

// vendor makes the vendor folder, compares it with the commit's if it may not change, and returns the
// modules that it holds.
func (r *run) vendor(ctx context.Context, e engine, w workspace, files moduleFiles, mode vendorMode) ([]module.Version, error) {
	name := path.Join(mode.dir, "vendor", "modules.txt")
	if err := e.vendor(ctx, w); err != nil {
		return nil, r.fault(err)
	}
	if !mode.mayChange {
		if err := r.checkVendored(ctx, mode.dir); err != nil {
			return nil, err
		}
	}
	text, err := readFile(r.in.Source, name, maxModulesTxtBytes)
	if errors.Is(err, fs.ErrNotExist) {
		r.in.Log.InfoContext(ctx, "There are no dependencies to vendor", "path", files.dir)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseModulesTxt(string(text))
}

// checkVendored compares names and content of everything below vendor with the commit. The log gets
// the lines of modules.txt that differ.
func (r *run) checkVendored(ctx context.Context, dir string) error {
	now := newSnapshot()
	folder := path.Join(dir, "vendor")
	if err := now.addTree(r.in.Source, folder); err != nil {
		return err
	}
	changes := r.before.changes(now, folder)
	if len(changes) == 0 {
		return nil
	}
	modulesTxt := path.Join(folder, "modules.txt")
	after, err := readFile(r.in.Source, modulesTxt, maxModulesTxtBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, line := range differingLines(r.before.modulesTxt[modulesTxt], string(after)) {
		r.in.Log.ErrorContext(ctx, "vendor/modules.txt differs", "line", line)
	}
	var listed []string
	for _, c := range changes {
		r.in.Log.ErrorContext(ctx, "The vendor folder differs", "file", c.path, "change", c.kind)
		if len(listed) < maxListedDifferences {
			listed = append(listed, c.path+" ("+c.kind+")")
		}
	}
	if rest := len(changes) - len(listed); rest > 0 {
		listed = append(listed, "and "+plural(rest, "more file"))
	}
	return fault.Client(fault.ValidationError,
		"The content of the vendor directory is not consistent with go.mod. Run `go mod vendor` locally to fix this problem. "+
			"See the logs for more details. Differing: %s", strings.Join(listed, ", "))
}

// differingLines shows two texts' differences line by line, "-" for lines only in the first one and
// "+" for those only in the second; order does not count.
func differingLines(before, after string) []string {
	count := map[string]int{}
	for line := range strings.Lines(after) {
		count[line]++
	}
	var out []string
	for line := range strings.Lines(before) {
		if count[line]--; count[line] < 0 {
			out = append(out, "-"+strings.TrimRight(line, "\r\n"))
		}
	}
	for line := range strings.Lines(after) {
		if count[line] > 0 {
			count[line]--
			out = append(out, "+"+strings.TrimRight(line, "\r\n"))
		}
	}
	return out
}
