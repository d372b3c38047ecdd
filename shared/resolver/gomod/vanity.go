package gomod

import (
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/mod/module"
)

// repository is where a module comes from.
type repository struct {
	prefix string // the module path that stands for the repository's root
	url    string
}

// maxDiscoveryBytes bounds the page that names a module's repository.
const maxDiscoveryBytes = 1 << 20

// codeHosts are hosts whose repositories are known by the first three elements of a path.
var codeHosts = []string{"github.com", "bitbucket.org", "gitlab.com"}

// repository finds the repository of a module path, as go does (https://go.dev/ref/mod#vcs-find): by a
// host that is known, by an element that ends in ".git", or by asking the path itself.
func (d *direct) repository(modulePath string) (repository, error) {
	elements := strings.Split(modulePath, "/")
	for _, host := range codeHosts {
		if elements[0] == host && len(elements) >= 3 {
			prefix := strings.Join(elements[:3], "/")
			return repository{prefix, "https://" + prefix}, nil
		}
	}
	for i, e := range elements {
		if name, ok := strings.CutSuffix(e, ".git"); ok && i > 0 && name != "" {
			prefix := strings.Join(elements[:i+1], "/")
			return repository{prefix, "https://" + prefix}, nil
		}
	}
	resp, err := d.fetcher.Get(d.ctx, "https://"+modulePath+"?go-get=1", nil, maxDiscoveryBytes)
	if err != nil {
		return repository{}, err
	}
	// Whatever the status: servers that want a login still name the repository.
	repo, ok := goImport(strings.NewReader(string(resp.Body)), modulePath)
	if !ok {
		return repository{}, d.notFound(modulePath, "https://"+modulePath+" names no git repository (no go-import meta tag)")
	}
	return repo, nil
}

// goImport reads <meta name="go-import" content="PREFIX git URL"> from the head of a page. Of several that
// fit, the first counts.
func goImport(r io.Reader, modulePath string) (repository, bool) {
	dec := xml.NewDecoder(r)
	dec.Strict = false
	dec.AutoClose = xml.HTMLAutoClose
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "utf-8", "ascii":
			return in, nil
		}
		return nil, errors.New("unknown charset " + charset)
	}
	for {
		token, err := dec.RawToken()
		if err != nil {
			return repository{}, false
		}
		if e, ok := token.(xml.EndElement); ok && strings.EqualFold(e.Name.Local, "head") {
			return repository{}, false
		}
		e, ok := token.(xml.StartElement)
		if ok && strings.EqualFold(e.Name.Local, "body") {
			return repository{}, false
		}
		if !ok || !strings.EqualFold(e.Name.Local, "meta") || attr(e, "name") != "go-import" {
			continue
		}
		f := strings.Fields(attr(e, "content"))
		if len(f) != 3 || f[1] != "git" || f[0] != modulePath && !strings.HasPrefix(modulePath, f[0]+"/") {
			continue
		}
		return repository{f[0], f[2]}, true
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}

// below is the module's place in the repository by its path, without the major version: "" is the root.
func (r repository) below(modulePath string) (folder, major string) {
	prefix, major, _ := module.SplitPathVersion(modulePath)
	if !strings.HasPrefix(prefix+"/", r.prefix+"/") { // the repository's own name ends like a version
		return "", ""
	}
	return strings.Trim(strings.TrimPrefix(prefix, r.prefix), "/"), strings.TrimPrefix(major, "/")
}

// folders are where the module may be: in a folder for its major version, or without one.
func (r repository) folders(v module.Version) []string {
	folder, major := r.below(v.Path)
	if folder == "" {
		folder = "."
	}
	if major == "" || strings.HasPrefix(major, ".") {
		return []string{folder}
	}
	return []string{path.Join(folder, major), folder}
}

// tagPrefix begins the tags of a module below the repository's root.
func (r repository) tagPrefix(modulePath string) string {
	folder, _ := r.below(modulePath)
	return folder
}
