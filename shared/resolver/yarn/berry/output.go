package berry

import (
	"context"
	"path"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// Output puts together what was found in all projects, but for Packages, whose order is the request's: each
// project's Package has its dependencies then. classic says that the request has projects of Yarn 1 as well. All lists
// are sorted.
func (p *Projects) Output(ctx context.Context, classic bool) (resolver.Output, error) {
	out := resolver.Output{EnvironmentVariables: javascript.Environment(), Checksums: map[string][]string{}}
	placed, own := javascript.Placed{}, map[string]resolver.Entry{}
	for _, project := range p.list {
		project.Package.Dependencies = project.reported()
		if err := project.addArtifacts(&out, placed); err != nil {
			return out, err
		}
		addYarn(&out, own, project.yarn)
		overlays, err := p.run.overlays(ctx, project)
		if err != nil {
			return out, err
		}
		javascript.AddOverlays(&out, overlays...)
	}
	plugin, err := p.plugin()
	if err != nil {
		return out, err
	}
	own[pluginPath] = resolver.Entry{Path: pluginPath, Inline: plugin}
	out.Deps = placed.Entries()
	for _, e := range own {
		out.Deps = append(out.Deps, e)
	}
	root := p.rootRC(classic)
	out.Root = []resolver.Entry{{Path: rcName, Inline: root}}
	out.ConfigFiles = append(out.ConfigFiles, resolver.ConfigFile{Path: rcName, Content: root})
	javascript.Sort(&out)
	return out, nil
}

// addArtifacts adds the files, and notes which no digest of a lockfile vouches for. A commit vouches for a git
// dependency.
func (p *Project) addArtifacts(out *resolver.Output, placed javascript.Placed) error {
	for _, d := range p.deps {
		if d.kind == javascript.FromFile {
			continue
		}
		id, err := purl.NPM(packageType, d.name, &d.version)
		if err != nil {
			return err
		}
		javascript.AddArtifact(out, id, d.file, d.kind == javascript.FromGit || d.checked)
		if err := placed.Put(d.place, d.name, d.version, d.file); err != nil {
			return err
		}
	}
	return nil
}

// addYarn adds Yarn itself, where Corepack looks for it.
func addYarn(out *resolver.Output, own map[string]resolver.Entry, yarn *bundledYarn) {
	if yarn == nil {
		return
	}
	folder := corepackFolder(yarn.version)
	for _, e := range []resolver.Entry{
		{Path: path.Join(folder, "yarn.js"), File: &yarn.file, Executable: true},
		{Path: path.Join(folder, ".corepack"), Inline: yarn.record},
	} {
		own[e.Path] = e
	}
	out.EnvironmentVariables["COREPACK_HOME"] = request.EnvironmentVariable{Value: "deps/" + corepackHome, Kind: "path"}
	out.EnvironmentVariables["COREPACK_ENABLE_NETWORK"] = request.EnvironmentVariable{Value: "0", Kind: "literal"}
}

// rootRC is the .yarnrc.yml at the bundle's root. When all projects want the same Yarn, and the bundle has it, it names
// it as well, so that any Yarn that is installed will do; Yarn 1 would follow that for its own projects, too.
func (p *Projects) rootRC(classic bool) []byte {
	text := "# Made by Cachito, for all packages of this bundle.\nplugins:\n  - \"./deps/" + pluginPath + "\"\n"
	versions := map[string]bool{}
	for _, project := range p.list {
		version := ""
		if project.yarn != nil {
			version = project.yarn.version
		}
		versions[version] = true
	}
	if len(versions) == 1 && !versions[""] && !classic {
		text += "yarnPath: \"./deps/" + corepackFolder(p.list[0].yarn.version) + "/yarn.js\"\n"
	}
	return []byte(text)
}

// reported are the dependencies as the API shows them.
func (p *Project) reported() []packages.Dependency {
	list := make([]javascript.Dependency, len(p.deps))
	for i, d := range p.deps {
		list[i] = javascript.Dependency{Name: d.name, Version: d.version, Dev: d.dev}
	}
	return javascript.Reported(packageType, list)
}
