package gomod

import (
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/purl"
)

// maxGoSumBytes bounds a go.sum file; the largest known ones have 2 MB.
const maxGoSumBytes = 64 << 20

// moduleFiles is what the files of a module and its workspace say, read before go is run.
type moduleFiles struct {
	dir      string // of the module
	workPath string // go.work that applies, relative to the root; empty: none
	goMod    *modfile.File
	goWork   *modfile.WorkFile
	versions []string // of all go and toolchain lines that count
	sums     sums     // of go.sum, go.work.sum and of the other workspace modules
	required []module.Version
	local    []localPath
}

// localPath is a directory that go.mod or go.work names, as written.
type localPath struct{ base, text string }

// readModuleFiles reads go.mod, go.sum and, when a go.work above the module and inside the repository
// applies, that of the workspace. A file that cannot be parsed is left to go, which says more.
func readModuleFiles(source *os.Root, dir string) (moduleFiles, error) {
	f := moduleFiles{dir: dir, sums: sums{}}
	data, err := readFile(source, path.Join(dir, "go.mod"), MaxGoModBytes)
	if err != nil {
		return f, err
	}
	language, toolchain := goVersions(data)
	f.versions = append(f.versions, language, toolchain)
	if f.goMod, err = modfile.ParseLax("go.mod", data, nil); err != nil {
		f.goMod = new(modfile.File)
	} else if strict, err := modfile.Parse("go.mod", data, nil); err == nil {
		f.goMod = strict // ParseLax leaves replace directives out
	}
	f.addLocal(dir, data)
	for _, r := range f.goMod.Require {
		f.required = append(f.required, r.Mod)
	}
	if err := f.readSums(source, path.Join(dir, "go.sum")); err != nil {
		return f, err
	}
	return f, f.readWorkspace(source)
}

func (f *moduleFiles) readWorkspace(source *os.Root) error {
	for dir := f.dir; ; dir = path.Dir(dir) {
		name := path.Join(dir, "go.work")
		info, err := source.Stat(name)
		if err == nil && !info.IsDir() {
			f.workPath = name
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
			return fault.Client(fault.InvalidRepoStructure, "%s cannot be read: it must be a regular file inside the repository", name).Because(err)
		}
		if dir == "." {
			return nil
		}
	}
	data, err := readFile(source, f.workPath, MaxGoModBytes)
	if err != nil {
		return err
	}
	language, toolchain := goVersions(data)
	f.versions = append(f.versions, language, toolchain)
	root := path.Dir(f.workPath)
	f.addLocal(root, data)
	if f.goWork, err = modfile.ParseWork("go.work", data, nil); err != nil {
		f.goWork = new(modfile.WorkFile)
		return nil
	}
	if err := f.readSums(source, path.Join(root, "go.work.sum")); err != nil {
		return err
	}
	for _, use := range f.goWork.Use {
		dir := path.Join(root, use.Path)
		if !isRelativeInside(dir) || isAbsolute(use.Path) {
			continue // checkLocal refuses it
		}
		data, err := readFile(source, path.Join(dir, "go.mod"), MaxGoModBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue // go says so
		}
		if err != nil {
			return err
		}
		language, _ := goVersions(data)
		f.versions = append(f.versions, language)
		f.addLocal(dir, data)
		if other, err := modfile.ParseLax("go.mod", data, nil); err == nil && dir != f.dir {
			for _, r := range other.Require {
				f.required = append(f.required, r.Mod)
			}
		}
		if err := f.readSums(source, path.Join(dir, "go.sum")); err != nil {
			return err
		}
	}
	return nil
}

// addLocal collects the directories named in a go.mod or go.work file that lies in base. It looks at
// the syntax alone, so that no directive which only another release of go understands hides one.
func (f *moduleFiles) addLocal(base string, data []byte) {
	parsed, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return // go cannot parse it either
	}
	add := func(words []string) {
		if len(words) == 0 {
			return
		}
		switch words[0] {
		case "use":
			words = words[1:]
		case "replace":
			i := slices.Index(words, "=>")
			if i < 0 || i+2 != len(words) { // with a version it is no directory
				return
			}
			words = words[i+1:]
		default:
			return
		}
		for _, word := range words {
			text, err := strconv.Unquote(word)
			if err != nil {
				text = word
			}
			f.local = append(f.local, localPath{base: base, text: text})
		}
	}
	for _, stmt := range parsed.Syntax.Stmt {
		switch stmt := stmt.(type) {
		case *modfile.Line:
			add(stmt.Token)
		case *modfile.LineBlock:
			for _, line := range stmt.Line {
				add(append(slices.Clone(stmt.Token), line.Token...))
			}
		}
	}
}

func (f *moduleFiles) readSums(source *os.Root, name string) error {
	data, err := readFile(source, name, maxGoSumBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.sums.addGoSum(string(data))
	}
	return err
}

// wantedGo is the Go version that the module and its workspace ask for.
func (f *moduleFiles) wantedGo() string { return wantedVersion(f.versions...) }

// requiredVersions maps module paths to the versions that go.mod requires.
func (f *moduleFiles) requiredVersions() map[string]string {
	out := map[string]string{}
	for _, m := range f.required {
		if _, known := out[m.Path]; !known {
			out[m.Path] = m.Version
		}
	}
	return out
}

// localBase is the directory that the paths of directory replacements are relative to in go's output.
func (f *moduleFiles) localBase() string {
	if f.workPath != "" {
		return path.Dir(f.workPath)
	}
	return f.dir
}

// replaces are the directives that apply: those of go.mod and of go.work.
func (f *moduleFiles) replaces() []*modfile.Replace {
	out := slices.Clone(f.goMod.Replace)
	if f.goWork != nil {
		out = append(out, f.goWork.Replace...)
	}
	return out
}

// prefetchable guesses which zips go is going to ask for. From Go 1.17 on go.mod names every module
// that is needed; before, go.sum holds the hashes of those (and of older ones). Vendoring needs only
// those that packages come from, and their hashes must be there.
func (f *moduleFiles) prefetchable(vendoring bool) []module.Version {
	language := f.goMod.Go
	if language == nil || version.Compare("go"+language.Version, "go1.17") < 0 {
		return slices.SortedFunc(maps.Keys(f.sums), compareModules)
	}
	wanted := map[module.Version]bool{}
	for _, m := range f.required {
		for _, r := range f.replaces() {
			if r.Old.Path == m.Path && (r.Old.Version == "" || r.Old.Version == m.Version) {
				m = r.New
			}
		}
		if m.Version != "" && (!vendoring || f.sums[m]) {
			wanted[m] = true
		}
	}
	return slices.SortedFunc(maps.Keys(wanted), compareModules)
}

func compareModules(a, b module.Version) int {
	if c := strings.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	return strings.Compare(a.Version, b.Version)
}

// readFile reads a regular file of the work tree, at most limit bytes.
func readFile(source *os.Root, name string, limit int64) ([]byte, error) {
	file, err := source.Open(name)
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return nil, fmt.Errorf("reading %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fault.Client(fault.InvalidRepoStructure, "%s cannot be read: it must be a regular file inside the repository", name).Because(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fault.Client(fault.InvalidRepoStructure, "%s must be a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fault.Client(fault.InvalidFileFormat, "%s has more than %d bytes, the limit", name, limit)
	}
	return data, nil
}

// moduleSet is a set of module versions.
type moduleSet map[module.Version]bool

// purls names the modules, sorted.
func (s moduleSet) purls() []string {
	var out []string
	for _, m := range slices.SortedFunc(maps.Keys(s), compareModules) {
		out = append(out, purl.Golang(m.Path, m.Version))
	}
	return out
}
