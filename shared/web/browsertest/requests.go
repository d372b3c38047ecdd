package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// largeDependencies is how many dependencies the large request has.
const largeDependencies = 50_000

// fill makes all requests that are done, and tells which ones matter. Running ones are made later: the service
// goes on with whatever it finds unfinished at its start.
func (s *seed) fill(ctx context.Context) (ids, error) {
	var known ids
	var err error
	add := func(t told) int64 {
		if err != nil {
			return 0
		}
		var id int64
		id, err = s.add(ctx, t)
		return id
	}
	// Older ones fill more than one page of the list.
	names := []string{"spf13/cobra", "prometheus/prometheus", "grafana/grafana", "kubernetes/kubernetes", "expressjs/express", "psf/requests", "jekyll/jekyll"}
	managers := [][]string{{"gomod"}, {"gomod", "yarn"}, {"gomod", "yarn"}, {"gomod"}, {"npm"}, {"pip"}, {"rubygems"}}
	for i := range 28 {
		n := i % len(names)
		t := told{
			repo: "https://github.com/" + names[n] + ".git", managers: managers[n],
			ago: time.Duration(40-i)*6*time.Hour + 10*time.Minute, took: time.Duration(3+5*n) * time.Second,
			packages: goPackages(1+n, 20+13*n),
		}
		if i%9 == 4 {
			t.failed = `package-lock.json: integrity of lodash 4.17.21: expected sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==, got sha512-AAAA`
		}
		add(t)
	}
	known.Stale = add(told{repo: "https://github.com/containerbuildsystem/retrodep.git", managers: []string{"gomod"}, ago: 50 * time.Hour, took: 4 * time.Second, packages: goPackages(2, 9), stale: true})
	known.Hostile = add(hostile())
	known.Large = add(told{
		repo: "https://gitlab.example.org/platform/monorepo.git", managers: []string{"npm", "yarn"}, ago: 26 * time.Hour, took: 214 * time.Second,
		packages: largePackages(), user: "builder@EXAMPLE.ORG",
	})
	known.Failed = add(told{
		repo: "https://github.com/nodejs/undici.git", managers: []string{"npm"}, ago: 5 * time.Hour, took: 7 * time.Second,
		failed: "package-lock.json: integrity of lodash 4.17.21: expected sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ, got sha512-xqbSWXPBE5Qb5yhsHN. Delete the entry and let npm write it again",
	})
	known.Complete = add(complete())
	return known, err
}

func text(s string) *string { return &s }

func goPackages(n, dependencies int) []packages.Package {
	var list []packages.Package
	for i := range n {
		p := packages.Package{Name: fmt.Sprintf("example.org/app/part%d", i), Type: "gomod", Version: text("v1.4.0"), Path: fmt.Sprintf("part%d", i)}
		for j := range dependencies {
			p.Dependencies = append(p.Dependencies, packages.Dependency{
				Name: fmt.Sprintf("example.org/library/%s/v%d", syllables(j), 1+j%4), Type: "gomod", Version: text(fmt.Sprintf("v%d.%d.%d", 1+j%4, j%17, j%5)), HasReplaces: true,
			})
		}
		list = append(list, p)
	}
	return list
}

// syllables makes a name of a number, always the same.
func syllables(n int) string {
	parts := []string{"ba", "co", "di", "fu", "ge", "ha", "ki", "lo", "mu", "ne", "pi", "ra", "so", "tu", "ve", "xi"}
	name := ""
	for i := 0; i < 2 || n > 0; i++ {
		name += parts[n%len(parts)]
		n /= len(parts)
	}
	return name
}

func largePackages() []packages.Package {
	dev := [2]bool{false, true}
	var web, api packages.Package
	web = packages.Package{Name: "web", Type: "npm", Version: text("12.0.1"), Path: "web"}
	api = packages.Package{Name: "api", Type: "yarn", Version: text("3.1.0"), Path: "api"}
	for i := range largeDependencies {
		d := packages.Dependency{Name: fmt.Sprintf("@scope%d/%s-%d", i%40, syllables(i), i), Type: "npm", Version: text(fmt.Sprintf("%d.%d.%d", i%9, i%23, i%7)), Dev: &dev[i%5/4], Bundled: &dev[0]}
		if i%2 == 0 {
			web.Dependencies = append(web.Dependencies, d)
			continue
		}
		d.Type, d.Bundled = "yarn", nil
		api.Dependencies = append(api.Dependencies, d)
	}
	return []packages.Package{web, api}
}

func complete() told {
	t := told{
		repo: "https://github.com/cachito-testing/storefront.git", managers: []string{"gomod", "npm"}, flags: []string{"cgo-disable", "include-git-dir"},
		ago: 12 * time.Minute, took: 9400 * time.Millisecond, user: "builder@EXAMPLE.ORG",
		options:      map[string]json.RawMessage{"gomod": json.RawMessage(`[{"path": "."}, {"path": "tools"}]`), "npm": json.RawMessage(`[{"path": "web"}]`)},
		replacements: []request.Replacement{{Name: "github.com/pkg/errors", Type: "gomod", Version: "v0.9.1"}},
		variables: map[string]request.EnvironmentVariable{
			"GOCACHE": {Value: "deps/gomod", Kind: "path"}, "GOMODCACHE": {Value: "deps/gomod/pkg/mod", Kind: "path"},
			"GOPROXY": {Value: "off", Kind: "literal"}, "GOFLAGS": {Value: "-mod=mod", Kind: "literal"}, "CGO_ENABLED": {Value: "0", Kind: "literal"},
			"CHROMEDRIVER_SKIP_DOWNLOAD": {Value: "true", Kind: "literal"},
		},
		files: map[string]string{
			"app/web/package-lock.json": "{\n  \"name\": \"storefront\",\n  \"lockfileVersion\": 3,\n  \"packages\": {}\n}\n",
			"app/web/.npmrc":            "offline=true\n",
		},
	}
	modules := []struct{ name, version string }{
		{"github.com/alecthomas/kong", "v1.6.0"},
		{"github.com/go-git/go-git/v5", "v5.13.0"},
		{"github.com/google/go-cmp", "v0.7.0"},
		{"github.com/klauspost/compress", "v1.18.0"},
		{"github.com/prometheus/client_golang", "v1.23.0"},
		{"golang.org/x/crypto", "v0.45.0"},
		{"golang.org/x/mod", "v0.30.0"},
		{"golang.org/x/net", "v0.47.0"},
		{"golang.org/x/sync", "v0.18.0"},
		{"gopkg.in/yaml.v3", "v3.0.1"},
	}
	app := packages.Package{Name: "example.org/storefront", Type: "gomod", Version: text("v1.8.0")}
	tools := packages.Package{Name: "example.org/storefront/tools", Type: "gomod", Version: text("v0.0.0-20261125063000-f2d5a1c9b3e7"), Path: "tools"}
	for i, m := range modules {
		d := packages.Dependency{Name: m.name, Type: "gomod", Version: text(m.version), HasReplaces: true}
		app.Dependencies = append(app.Dependencies, d)
		if i%3 == 0 {
			tools.Dependencies = append(tools.Dependencies, d)
		}
	}
	app.Dependencies = append(app.Dependencies, packages.Dependency{
		Name: "github.com/pkg/errors", Type: "gomod", Version: text("v0.9.1"), HasReplaces: true,
		Replaces: &packages.Replaced{Name: "github.com/pkg/errors", Type: "gomod", Version: text("v0.8.0")},
	})
	front := packages.Package{Name: "storefront", Type: "npm", Version: text("1.8.0"), Path: "web"}
	dev := [2]bool{false, true}
	for i, name := range []string{"@babel/core", "@types/node", "esbuild", "htmx.org", "lit", "preact", "typescript", "vite"} {
		front.Dependencies = append(front.Dependencies, packages.Dependency{Name: name, Type: "npm", Version: text(fmt.Sprintf("%d.%d.%d", 1+i, i*3, i%4)), Dev: &dev[i%3/2], Bundled: &dev[0]})
	}
	t.packages = []packages.Package{app, tools, front}
	t.log = []string{"request 33 accepted", "checking out 2 branches, 4 tags"}
	return t
}

// hostile is a request whose repository tries everything that pages must survive.
func hostile() told {
	const script = `<script>alert(1)</script>`
	name := func(s string) packages.Dependency {
		return packages.Dependency{Name: s, Type: "npm", Version: text(`"><img src=x onerror=alert(2)>`)}
	}
	return told{
		repo: `https://git.example.org/` + script + "\u202egpj.exe\"'><b>.git", managers: []string{"npm"}, ago: 30 * time.Hour, took: 2 * time.Second,
		user: `<img src=x onerror=alert(3)>`,
		packages: []packages.Package{{
			Name: script, Type: "npm", Version: text("{{.}}${7*7}"), Path: `javascript:alert(4)//../<b>`,
			Dependencies: []packages.Dependency{
				name(script), name(`javascript:alert(5)`), name("\u202ecod.exe\u2066x\u2069"), name("null\x00byte and \x1b[31mred\x1b[0m"),
				name(`' onmouseover='alert(6)`), name("</td></table></main><style>*{display:none}</style>"), name("zero\u200bwidth\ufefftext"),
			},
		}},
		variables: map[string]request.EnvironmentVariable{script: {Value: "`id` $(id) \x1b]0;title\x07 " + script, Kind: script}},
		files:     map[string]string{`app/"><script>alert(7)</script>.npmrc`: "</pre>" + script + "\x1b[2Jcleared\u202e\n"},
		log:       []string{script, "\x1b[31mred\x1b[0m and \u202eturned", "</pre><img src=x onerror=alert(8)>"},
	}
}
