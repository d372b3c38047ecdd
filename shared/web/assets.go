package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// contentTypes of assets, by the end of their names.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// assetPolicy: an asset that is opened as a page of its own does nothing. Icons have their styles inside.
const assetPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; sandbox"

// assets are the files that pages load. Their URLs hold a hash of all of them, so browsers may keep them
// for ever and never mix two versions.
type assets struct {
	hash  string
	files map[string][]byte // by name
}

func loadAssets() (assets, error) {
	a := assets{files: map[string][]byte{}}
	sum := sha256.New()
	err := fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if contentTypes[path.Ext(name)] == "" {
			return fmt.Errorf("web asset %s: its content type is not known", name)
		}
		content, err := assetFiles.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(content))
		sum.Write(content)
		a.files[strings.TrimPrefix(name, "assets/")] = content
		return nil
	})
	a.hash = hex.EncodeToString(sum.Sum(nil)[:6])
	return a, err
}

func (a assets) routes() []Route {
	var list []Route
	for name, content := range a.files {
		list = append(list, Route{http.MethodGet, "/assets/" + a.hash + "/" + name, func(w http.ResponseWriter, r *http.Request, _ int64) {
			h := w.Header()
			secure(h, assetPolicy)
			h.Set("Content-Type", contentTypes[path.Ext(name)])
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			send(w, r, http.StatusOK, content)
		}})
	}
	return list
}
