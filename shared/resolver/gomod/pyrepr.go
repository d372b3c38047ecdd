package gomod

import (
	"fmt"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// pyDependency prints a dependency as upstream's Python dict. Only modules have the key replaces.
func pyDependency(d packages.Dependency) string {
	version := "None"
	if d.Version != nil {
		version = pyrepr.String(*d.Version)
	}
	text := fmt.Sprintf("{'type': %s, 'name': %s, 'version': %s", pyrepr.String(d.Type), pyrepr.String(d.Name), version)
	if d.HasReplaces {
		text += ", 'replaces': " + pyReplaced(d.Replaces)
	}
	return text + "}"
}

func pyReplaced(r *packages.Replaced) string {
	if r == nil {
		return "None"
	}
	version := "None"
	if r.Version != nil {
		version = pyrepr.String(*r.Version)
	}
	return fmt.Sprintf("{'type': %s, 'name': %s, 'version': %s}", pyrepr.String(r.Type), pyrepr.String(r.Name), version)
}
