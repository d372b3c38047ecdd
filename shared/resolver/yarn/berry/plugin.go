package berry

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// pluginPath is our plug-in for Yarn, below deps/. No package begins with a dot, so it is in the way of none.
const pluginPath = packageType + "/.berry/plugin.cjs"

//go:embed plugin.cjs
var pluginTemplate string

// plugin is the plug-in's text: the template with the files of all projects.
func (p *Projects) plugin() ([]byte, error) {
	files, repositories := map[string]string{}, map[string]string{}
	for _, project := range p.list {
		for _, d := range project.deps {
			to := files
			answers := d.answers
			if d.kind == javascript.FromGit {
				to, answers = repositories, []string{d.entry.locator.plain()}
			}
			for _, key := range answers {
				if have, ok := to[key]; ok && have != d.place {
					return nil, fault.Client(fault.UnsupportedFeature, "The lockfiles name two different files for %s: %s and %s", key, have, d.place)
				}
				to[key] = d.place
			}
		}
	}
	var pairs []string
	for name, list := range map[string]map[string]string{"FILES": files, "REPOSITORIES": repositories} {
		raw, err := json.MarshalIndent(list, "", "  ") // sorted; JSON is JavaScript
		if err != nil {
			return nil, fmt.Errorf("writing the plug-in for Yarn: %w", err)
		}
		pairs = append(pairs, "= "+name+";", "= "+string(raw)+";")
	}
	// In one pass: what a lockfile says must not be taken for a part of the template.
	return []byte(strings.NewReplacer(pairs...).Replace(pluginTemplate)), nil
}
