package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Our own files, and the viewer of the API's description as it came from npm (viewer/viewer.json says which;
// viewer/refresh brings it) with its licences.
//
//go:embed assets viewer/*.js viewer/*.css viewer/*.txt viewer/LICENSE viewer/NOTICE
var assetFiles embed.FS

// contentTypes of assets, by the end of their names.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
	"":     "text/plain; charset=utf-8",
}

// assetPolicy: an asset that is opened as a page of its own does nothing.
const assetPolicy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"

// assets are the files that pages load. Their URLs hold a hash of all of them, so browsers may keep them
// for ever and never mix two versions.
type assets struct {
	hash  string
	files map[string]*asset // by name
}

type asset struct {
	contentType string
	content     []byte
	// zipped is the content for clients that accept gzip; it is made once, because it is always the same.
	zipped func() []byte
}

func loadAssets() (assets, error) {
	a := assets{files: map[string]*asset{}}
	sum := sha256.New()
	err := fs.WalkDir(assetFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contentType := contentTypes[path.Ext(name)]
		if contentType == "" {
			return fmt.Errorf("web asset %s: its content type is not known", name)
		}
		content, err := assetFiles.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(content))
		sum.Write(content)
		a.files[strings.TrimPrefix(name, "assets/")] = &asset{contentType, content, sync.OnceValue(func() []byte { return zip(content) })}
		return nil
	})
	a.hash = hex.EncodeToString(sum.Sum(nil)[:6])
	return a, err
}

func zip(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content) // a buffer takes everything
	z.Close()
	return b.Bytes()
}

func (a assets) routes() []Route {
	var list []Route
	for name, file := range a.files {
		list = append(list, Route{http.MethodGet, "/assets/" + a.hash + "/" + name, func(w http.ResponseWriter, r *http.Request, _ int64) {
			h := w.Header()
			secure(h, assetPolicy)
			h.Set("Content-Type", file.contentType)
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			h.Add("Vary", "Accept-Encoding")
			body := file.content
			if len(body) >= compressFrom && acceptsGzip(r) {
				body = file.zipped()
				h.Set("Content-Encoding", "gzip")
			}
			write(w, r, http.StatusOK, body)
		}})
	}
	return list
}

// write answers with exactly these bytes.
func write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // a client that goes away is no error of ours
	}
}
