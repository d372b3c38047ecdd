package gomod

import (
	"strings"

	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// parseModulesTxt reads vendor/modules.txt, as written by `go mod vendor`: the modules that provide
// at least one package, each with the name and version under which it is reported (replacedVersion).
// Format: cmd/go/internal/modcmd/vendor.go.
func parseModulesTxt(text string) ([]module.Version, error) {
	var (
		found   []module.Version
		current module.Version
		taken   bool
	)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "##"):
		case strings.HasPrefix(line, "# "):
			m, ok := parseModuleLine(line)
			if !ok {
				return nil, fault.Client(fault.InvalidFileFormat, "vendor/modules.txt: unexpected module line format: %s", pyrepr.String(line))
			}
			current, taken = m, false
		case strings.HasPrefix(line, "#"):
			return nil, fault.Client(fault.InvalidFileFormat, "vendor/modules.txt: unexpected format: %s", pyrepr.String(line))
		case current.Path == "":
			return nil, fault.Client(fault.InvalidFileFormat, "vendor/modules.txt: package has no parent module: %s", line)
		case !taken:
			found, taken = append(found, current), true
		}
	}
	return found, nil
}

// parseModuleLine reads "# name version", "# name [version] => directory" or
// "# name [version] => name version".
func parseModuleLine(line string) (module.Version, bool) {
	words := strings.Fields(strings.TrimPrefix(line, "# "))
	switch {
	case len(words) == 2 && words[1] != "=>" && words[0] != "=>":
		return module.Version{Path: words[0], Version: words[1]}, true
	case len(words) == 3 && words[1] == "=>":
		return module.Version{Path: words[0], Version: words[2]}, true
	case len(words) == 4 && words[2] == "=>":
		return module.Version{Path: words[0], Version: words[3]}, true
	case len(words) == 4 && words[1] == "=>":
		return module.Version{Path: words[2], Version: words[3]}, true
	case len(words) == 5 && words[2] == "=>":
		return module.Version{Path: words[3], Version: words[4]}, true
	}
	return module.Version{}, false
}
