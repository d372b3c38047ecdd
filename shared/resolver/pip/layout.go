package pip

import (
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Places below deps/ in the bundle.
const (
	depsFolder = "pip"
	indexPage  = depsFolder + "/index.html"
)

// environment is what pip needs to install from the bundle. The variable of ours is what the rewritten
// requirements files refer to.
func environment() map[string]request.EnvironmentVariable {
	return map[string]request.EnvironmentVariable{
		"PIP_NO_INDEX":   {Value: "true", Kind: "literal"},
		"PIP_FIND_LINKS": {Value: "deps/" + depsFolder, Kind: "path"},
		depsVariable:     {Value: "deps/" + depsFolder, Kind: "path"},
	}
}

// indexPath is where a file of the index lies: pip/PyYAML/PyYAML-5.3.1.tar.gz.
func indexPath(folder, file string) string { return depsFolder + "/" + folder + "/" + file }

// gitPath: pip/github.com/quay/appr/appr-external-gitcommit-<ref>.tar.gz.
func gitPath(g gitReference) string {
	repo := g.folder[strings.LastIndexByte(g.folder, '/')+1:]
	return depsFolder + "/" + g.folder + "/" + repo + "-external-gitcommit-" + g.ref + ".tar.gz"
}

// urlPath: pip/external-appr/appr-external-sha256-<digest>.zip. A wheel keeps its name, without which pip
// does not take it.
func urlPath(r *requirement, hash string) string {
	folder := depsFolder + "/external-" + r.pkg + "/"
	if r.ext == wheelExtension {
		return folder + r.urlFile()
	}
	algorithm, digest, _ := strings.Cut(strings.ToLower(hash), ":")
	return folder + r.pkg + "-external-" + algorithm + "-" + digest + r.ext
}

// urlFile is the last element of the URL's path, decoded.
func (r *requirement) urlFile() string {
	file := r.url[:indexAny(r.url, "?#")]
	file = file[strings.LastIndexByte(file, '/')+1:]
	if plain, err := url.PathUnescape(file); err == nil {
		file = plain
	}
	return file
}

// writeIndex makes the page that pip finds in its find-links folder, which it does not search: a link to
// each file of the index that is in the bundle, with its digest.
func writeIndex(entries []resolver.Entry) resolver.Entry {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Links</title></head>\n<body>\n")
	for _, e := range entries {
		name := strings.TrimPrefix(e.Path, depsFolder+"/")
		parts := strings.Split(name, "/")
		if len(parts) != 2 || strings.HasPrefix(parts[0], "external-") || e.File == nil {
			continue
		}
		href := url.PathEscape(parts[0]) + "/" + url.PathEscape(parts[1]) + "#sha256=" + e.File.SHA256
		b.WriteString(`<a href="` + html.EscapeString(href) + `">` + html.EscapeString(parts[1]) + "</a><br>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return resolver.Entry{Path: indexPage, Inline: []byte(b.String())}
}

// sortEntries orders entries by path and drops those that come again.
func sortEntries(entries []resolver.Entry) []resolver.Entry {
	slices.SortFunc(entries, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(entries, func(a, b resolver.Entry) bool { return a.Path == b.Path })
}
