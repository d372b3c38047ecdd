package javascripttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"slices"
)

// Tarball is a package's archive as the registry has it, with more files as Archive takes them.
func Tarball(name, version string, more ...string) []byte {
	manifest, err := json.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		panic(err)
	}
	files := []string{"package/package.json", string(manifest), "package/index.js", "module.exports = '" + name + "'\n"}
	return Archive(append(files, more...)...)
}

// Archive is a gzipped tar of regular files: a name and a content by turns.
func Archive(files ...string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for pair := range slices.Chunk(files, 2) {
		name, content := pair[0], pair[1]
		if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			panic(err)
		}
		if _, err := t.Write([]byte(content)); err != nil {
			panic(err)
		}
	}
	if t.Close() != nil || z.Close() != nil {
		panic("an archive cannot be made")
	}
	return b.Bytes()
}
