package javascript

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Registry is the registry that is asked, and the hosts of lockfiles that it stands for.
type Registry struct {
	// Base is an http(s) URL that ends in "/".
	Base string
	// Hosts are lower case and without port. A tarball on one of them is a registry tarball, everything
	// else is not, whatever its path looks like.
	Hosts []string
}

// NewRegistry reads the settings "registry" (a URL that ends in "/") and "registry_hosts" (a JSON array).
func NewRegistry(values map[string]string) (Registry, error) {
	r := Registry{Base: values["registry"]}
	u, err := url.Parse(r.Base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || !strings.HasSuffix(r.Base, "/") {
		return Registry{}, fmt.Errorf("setting registry: want an http(s) URL that ends in /, got %q", r.Base)
	}
	if text := values["registry_hosts"]; text != "" {
		if err := json.Unmarshal([]byte(text), &r.Hosts); err != nil {
			return Registry{}, fmt.Errorf("setting registry_hosts: want a JSON array of host names: %w", err)
		}
	}
	for i, h := range r.Hosts {
		r.Hosts[i] = strings.ToLower(h)
	}
	return r, nil
}

// Has reports whether a source is a URL on one of the registry's hosts. Scheme and port do not matter.
func (r Registry) Has(source string) bool {
	if !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://") {
		return false
	}
	u, err := url.Parse(source)
	return err == nil && slices.Contains(r.Hosts, strings.ToLower(u.Hostname()))
}

// Mapped is the URL that is asked for what a lockfile finds at source, which Has said yes to: the same path
// on the configured registry. User info, query and fragment are dropped. The name and source are for the
// fault (the client's), which says that the path is no tarball's, or another package's.
//
//	https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#<sha1> -> https://registry.example/npm/a/-/a-1.0.0.tgz
func (r Registry) Mapped(name, source string) (string, error) {
	u, err := url.Parse(source)
	if err != nil {
		return "", fault.Client(fault.InvalidFileFormat, "The URL of the dependency %s@%s cannot be parsed", name, withoutSecrets(source))
	}
	// The registry may lie below a path of an internal host: nothing may lead out of it.
	if clean := path.Clean("/" + u.Path); clean != "/"+strings.TrimPrefix(u.Path, "/") || clean == "/" {
		return "", fault.Client(fault.InvalidFileFormat, "The URL of the dependency %s@%s has a path that no registry has", name, withoutSecrets(source))
	}
	if other, ok := tarballOwner(u.Path); ok && other != name {
		return "", fault.Client(fault.InvalidFileFormat, "The URL of the dependency %s@%s is that of another package, %s", name, withoutSecrets(source), other)
	}
	return r.Base + strings.TrimPrefix(u.EscapedPath(), "/"), nil
}

// tarballOwner is the package that a registry's path "/<name>/-/<file>" belongs to.
func tarballOwner(path string) (string, bool) {
	name, file, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/-/")
	return name, ok && name != "" && !strings.Contains(file, "/")
}

// Tarball is the URL of a version on the configured registry, by the registry's own naming.
//
//	@types/ms 0.7.34 -> https://registry.example/@types/ms/-/ms-0.7.34.tgz
func (r Registry) Tarball(name, version string) string {
	return r.Base + name + "/-/" + path.Base(name) + "-" + url.PathEscape(version) + ".tgz"
}
