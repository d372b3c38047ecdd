// Package gomodtest serves Go modules from files in memory, for tests.
package gomodtest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
)

// Time is what the proxy says of every version.
var Time = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

// Proxy is a module proxy (https://go.dev/ref/mod#goproxy-protocol). The files' names are
// "{module path}@{version}/{file}". A module without go.mod gets one, as real proxies do. There is no
// checksum database.
type Proxy struct {
	files    map[string][]byte // by request path
	versions map[string][]string
	zips     map[module.Version][]byte
	goMods   map[module.Version][]byte
}

// NewProxy makes a proxy of files.
func NewProxy(files map[string][]byte) (*Proxy, error) {
	p := &Proxy{files: map[string][]byte{}, versions: map[string][]string{}, zips: map[module.Version][]byte{}, goMods: map[module.Version][]byte{}}
	byModule := map[module.Version]map[string][]byte{}
	for name, data := range files {
		at := strings.Index(name, "@")
		if at < 0 {
			return nil, fmt.Errorf("%s: want module@version/file", name)
		}
		v, file, ok := strings.Cut(name[at+1:], "/")
		if !ok {
			return nil, fmt.Errorf("%s: want module@version/file", name)
		}
		m := module.Version{Path: name[:at], Version: v}
		if byModule[m] == nil {
			byModule[m] = map[string][]byte{}
		}
		byModule[m][file] = data
	}
	for m, files := range byModule {
		if err := p.add(m, files); err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
	}
	for _, list := range p.versions {
		semver.Sort(list)
	}
	return p, nil
}

func (p *Proxy) add(m module.Version, files map[string][]byte) error {
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	goMod := files["go.mod"]
	if goMod == nil {
		goMod = []byte("module " + modfile.AutoQuote(m.Path) + "\n")
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range names {
		f, err := w.Create(m.Path + "@" + m.Version + "/" + name)
		if err != nil {
			return err
		}
		if _, err := f.Write(files[name]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": m.Version, "Time": Time, "Origin": map[string]string{"VCS": "git", "URL": "https://" + m.Path}})
	if err != nil {
		return err
	}
	base := escaped + "/@v/"
	p.files[base+m.Version+".zip"], p.files[base+m.Version+".mod"], p.files[base+m.Version+".info"] = buf.Bytes(), goMod, info
	p.versions[escaped] = append(p.versions[escaped], m.Version)
	p.zips[m], p.goMods[m] = buf.Bytes(), goMod
	return nil
}

// GoSum is a go.sum file that covers every module of the proxy.
func (p *Proxy) GoSum() (string, error) {
	var lines []string
	for m, data := range p.zips {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return "", err
		}
		var names []string
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		sum, err := dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return z.Open(name) })
		if err != nil {
			return "", err
		}
		modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(p.goMods[m])), nil
		})
		if err != nil {
			return "", err
		}
		lines = append(lines, m.Path+" "+m.Version+" "+sum+"\n", m.Path+" "+m.Version+"/go.mod "+modSum+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// ServeHTTP answers 404 to what it does not have.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if escaped, ok := strings.CutSuffix(name, "/@v/list"); ok {
		for _, v := range p.versions[escaped] {
			fmt.Fprintln(w, v)
		}
		return
	}
	if escaped, ok := strings.CutSuffix(name, "/@latest"); ok && len(p.versions[escaped]) > 0 {
		list := p.versions[escaped]
		name = escaped + "/@v/" + list[len(list)-1] + ".info"
	}
	data, ok := p.files[name]
	if !ok {
		http.Error(w, "not found: "+name, http.StatusNotFound)
		return
	}
	w.Write(data)
}
