package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
)

// order are the flags that say what a request shall do, the same for fetch and request.
type order struct {
	PM       []string `name:"pm" sep:"none" placeholder:"NAME[:PATH]" help:"Package manager, with the folder of its package (repeatable)."`
	NoPM     bool     `name:"no-pm" help:"No package manager: bundle the source alone."`
	Packages string   `name:"packages" placeholder:"JSON" help:"The API's packages object, for options besides the path."`
	Flag     []string `name:"flag" placeholder:"FLAG" help:"A flag of the API, such as gomod-vendor or include-git-dir (repeatable)."`
	Replace  []string `name:"replace" sep:"none" placeholder:"TYPE:NAME:VERSION[:NEW-NAME]" help:"Replace a dependency (repeatable)."`
}

// body makes the API's body of the flags; repo and ref are filled in by the caller.
func (o order) body() (client.Order, error) {
	body := client.Order{Flags: o.Flag}
	if o.NoPM {
		if len(o.PM) > 0 || o.Packages != "" {
			return body, usagef("--no-pm cannot be used with --pm or --packages")
		}
		body.PackageManagers = &[]string{}
	}
	if o.Packages != "" {
		if err := json.Unmarshal([]byte(o.Packages), &body.Packages); err != nil {
			return body, usagef(`--packages: want JSON such as {"pip": [{"path": "sub"}]}: %v`, err)
		}
	}
	var managers []string
	for _, pm := range o.PM {
		name, path, hasPath := strings.Cut(pm, ":")
		if name == "" || (hasPath && path == "") {
			return body, usagef("--pm %s: want NAME or NAME:PATH, for example gomod:tools", pm)
		}
		if !slices.Contains(managers, name) {
			managers = append(managers, name)
		}
		if !hasPath {
			path = "."
		}
		// A manager named once without a path needs no entry: the root is the default, and not
		// every manager takes options.
		if hasPath || countManager(o.PM, name) > 1 {
			entry, err := json.Marshal(map[string]string{"path": path})
			if err != nil {
				return body, err
			}
			if body.Packages == nil {
				body.Packages = map[string][]json.RawMessage{}
			}
			body.Packages[name] = append(body.Packages[name], entry)
		}
	}
	if managers != nil {
		body.PackageManagers = &managers
	}
	for _, text := range o.Replace {
		// Versions and names may hold "/" but no ":".
		parts := strings.Split(text, ":")
		if len(parts) < 3 || len(parts) > 4 || slices.Contains(parts, "") {
			return body, usagef("--replace %s: want TYPE:NAME:VERSION or TYPE:NAME:VERSION:NEW-NAME", text)
		}
		r := request.Replacement{Type: parts[0], Name: parts[1], Version: parts[2]}
		if len(parts) == 4 {
			r.NewName = parts[3]
		}
		body.Replacements = append(body.Replacements, r)
	}
	return body, nil
}

func countManager(pms []string, name string) int {
	n := 0
	for _, pm := range pms {
		if base, _, _ := strings.Cut(pm, ":"); base == name {
			n++
		}
	}
	return n
}
