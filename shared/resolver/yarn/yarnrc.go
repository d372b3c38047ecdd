package yarn

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	rcName = ".yarnrc"
	// maxRCBytes bounds a .yarnrc of the repository.
	maxRCBytes = 1 << 20
)

// rcLines point Yarn at the mirror, relative to the file's own folder: Yarn reads .yarnrc files of all parent
// folders, so the one at the bundle's root serves every package. Pruning would delete files of others.
func rcLines(up string) string {
	return `yarn-offline-mirror "` + up + "deps/" + mirrorDir + `"` + "\nyarn-offline-mirror-pruning false\n"
}

// ownMirror is a line of a .yarnrc that sets what our own sets; the file nearest to a package wins.
var ownMirror = regexp.MustCompile(`(?m)^\s*"?yarn-offline-mirror(?:-pruning)?"?[\s:]`)

// overrideRC returns the .yarnrc files of the repository that would lead Yarn away from the mirror, with our
// lines at their end: the last of equal keys counts.
func (r *run) overrideRC(projects []*project) ([]resolver.Entry, error) {
	folders := map[string]bool{}
	for _, p := range projects {
		dirs := []string{p.dir}
		for _, w := range p.workspaces {
			dirs = append(dirs, path.Join(p.dir, w.dir))
		}
		for _, dir := range dirs {
			real, err := javascript.RealPath(r.in.Source, dir)
			if err != nil {
				return nil, fault.Client(fault.InvalidRepoStructure, "The path %s leads out of the repository", dir).Because(err)
			}
			for folder := real; !folders[folder]; folder = parentDir(folder) {
				folders[folder] = true
			}
		}
	}
	var out []resolver.Entry
	for folder := range folders {
		name := path.Join(folder, rcName)
		info, err := r.in.Source.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		}
		if info.Size() > maxRCBytes {
			return nil, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), maxRCBytes)
		}
		content, err := r.in.Source.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if !ownMirror.Match(content) {
			continue
		}
		text := strings.TrimRight(string(content), "\n") + "\n"
		text += "# Added by Cachito: the bundle brings its own mirror.\n" + rcLines(upwards(folder))
		out = append(out, resolver.Entry{Path: name, Inline: []byte(text)})
	}
	return out, nil
}

// parentDir of a folder of the repository; the root's is itself. "" is the root.
func parentDir(folder string) string {
	if at := strings.LastIndexByte(folder, '/'); at >= 0 {
		return folder[:at]
	}
	return ""
}

// upwards leads from a folder of app/ to the bundle's root.
func upwards(folder string) string {
	if folder == "" {
		return "../"
	}
	return strings.Repeat("../", strings.Count(folder, "/")+2)
}
