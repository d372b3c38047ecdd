// Package cachito_test holds the rules that concern the whole module: what may import what, and that
// every package says what it is for.
package cachito_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cachito-serverless/cachito/"

// pure packages hold domain types and do no I/O; every package may import them.
var pure = []string{
	"shared/fault", "shared/packages", "shared/integrity", "shared/purl", "shared/request",
	"shared/pyrepr",
	// Not a domain type, but what everybody may say about its own work.
	"shared/telemetry",
}

// rules say what else the packages of a folder may import, longest folder first. A name covers its
// subfolders when it ends in "/...".
var rules = []struct {
	folder  string
	imports []string
	reason  string
}{
	{"shared/fault", nil, "faults are the bottom of everything"},
	{"shared/packages", nil, "domain types are pure"},
	{"shared/integrity", nil, "value types are pure"},
	{"shared/purl", nil, "value types are pure"},
	{"shared/pyrepr", nil, "texts are pure"},
	{"shared/request", nil, "the domain knows no I/O, no HTTP and no package manager"},
	{"shared/sbom", nil, "documents are made from packages alone"},
	{"shared/contentmanifest", nil, "documents are made from packages alone"},
	{"shared/config", nil, "configuration knows nothing of who reads it"},
	{"shared/telemetry/otlp", []string{"shared/telemetry/otlp/..."}, "how spans travel knows nothing of what they are about"},
	{"shared/telemetry", nil, "what everybody imports imports nobody"},
	{"shared/logging", nil, "logging knows nothing of who logs"},
	{"shared/client", nil, "the client knows the API's wire form only"},
	{"shared/kerberos", nil, "tickets are judged without HTTP"},
	{"shared/gateway", nil, "the gateway's events are read, and nothing is done"},
	{"shared/fetch", nil, "the network side knows neither storage nor package managers"},
	{"shared/gitrepo", []string{"shared/fetch", "shared/archive", "shared/resolver"}, "beside the port's types for tags and submodules, git knows neither storage nor package managers"},
	{"shared/archive", nil, "archives know neither storage nor package managers"},
	{"shared/awsclient", nil, "how calls travel to AWS knows nothing of what they say"},
	{"shared/emulatortest", []string{
		"shared/store/dynamodb", "shared/queue/sqs", "shared/queue", "shared/blob/s3", "shared/awsclient/awsclienttest",
	}, "it makes the adapters for AWS of tests"},
	{"shared/store/dynamodb", []string{"shared/store", "shared/awsclient"}, "an adapter knows its port only"},
	{"shared/queue/sqs", []string{"shared/queue", "shared/awsclient"}, "an adapter knows its port only"},
	{"shared/blob/s3", []string{"shared/blob", "shared/awsclient"}, "an adapter knows its port only"},
	{"shared/store", []string{"shared/store"}, "an adapter knows its port only"},
	{"shared/queue", []string{"shared/queue"}, "an adapter knows its port only"},
	{"shared/blob", []string{"shared/blob"}, "an adapter knows its port only"},
	{"shared/requestlog", []string{"shared/blob"}, "the request's log is pieces over blob"},
	{"shared/resolver/all", []string{"shared/resolver/..."}, "the list names every resolver and nothing else"},
	{"shared/resolver/javascript/javascripttest", []string{"shared/resolver", "shared/resolver/resolvertest", "shared/gitrepo"}, "what surrounds the managers of the npm registry in tests"},
	{"shared/resolver/npm", []string{"shared/resolver", "shared/resolver/javascript"}, "a resolver sees its input and its fetcher, and what the npm registry's managers share"},
	{"shared/resolver/pnpm", []string{"shared/resolver", "shared/resolver/javascript"}, "a resolver sees its input and its fetcher, and what the npm registry's managers share"},
	{"shared/resolver/yarn", []string{"shared/resolver", "shared/resolver/javascript", "shared/resolver/yarn/..."}, "a resolver sees its input and its fetcher, and what the npm registry's managers share"},
	{"shared/resolver/pip", []string{"shared/resolver", "shared/fetch", "shared/archive", "shared/resolver/pip/...", "shared/resolver/cargo/crate"}, "a resolver sees its input and its fetcher, its own parts may use each other, and sdists bring crates"},
	{"shared/resolver/cargo", []string{"shared/resolver", "shared/archive", "shared/resolver/cargo/...", "shared/resolver/gittree"}, "a resolver sees its input and its fetcher, and its own parts may use each other"},
	{"shared/resolver/rubygems", []string{"shared/resolver", "shared/fetch", "shared/gitrepo", "shared/archive", "shared/resolver/gittree"}, "a resolver sees its input and its fetcher, and how git trees are stored"},
	{"shared/resolver", []string{"shared/resolver", "shared/fetch", "shared/gitrepo", "shared/archive"}, "a resolver sees its input and its fetcher: never another resolver, a port or AWS"},
	{"shared/pipeline", []string{
		"shared/store", "shared/queue", "shared/blob", "shared/archive", "shared/gitrepo", "shared/fetch",
		"shared/resolver", "shared/sbom", "shared/contentmanifest", "shared/requestlog",
	}, "resolvers are handed in by main"},
	{"shared/api", []string{
		"shared/store", "shared/queue", "shared/blob", "shared/requestlog", "shared/resolver",
		"shared/sbom", "shared/contentmanifest", "shared/web",
	}, "package manager names are handed in by main"},
	{"shared/wiring", []string{
		"shared/wiring", "shared/config", "shared/api", "shared/pipeline", "shared/store", "shared/queue", "shared/blob", "shared/fetch", "shared/gitrepo",
		"shared/kerberos", "shared/resolver", "shared/telemetry/otlp", "shared/awsclient", "shared/store/dynamodb", "shared/queue/sqs", "shared/blob/s3", "shared/blob/dir",
	}, "the wiring knows everything but the package managers and who starts it"},
	{"shared/function/functiontest", []string{"shared/queue", "shared/gitrepo/gitrepotest"}, "what surrounds the functions in tests"},
	{"shared/function", []string{
		"shared/config", "shared/logging", "shared/gateway", "shared/pipeline", "shared/queue", "shared/queue/sqs",
	}, "events are turned into calls of the API's handler and of the pipeline; main makes both"},
	{"shared/web/browsertest", []string{
		"shared/store", "shared/store/sqlite", "shared/blob", "shared/blob/dir", "shared/requestlog", "shared/gitrepo/gitrepotest",
	}, "the browser tests make their world with the embedded adapters"},
	{"shared/web", []string{"shared/store", "shared/blob", "shared/requestlog", "shared/resolver", "shared/sbom"}, "pages read what the API reads, and send through its handler"},
}

// external says which folders alone may import a foreign module.
var external = []struct {
	module  string
	folders []string
}{
	{"github.com/aws/aws-sdk-go-v2", []string{"shared/store/dynamodb", "shared/awsclient", "shared/queue/sqs", "shared/blob/s3", "shared/wiring/onaws", "shared/emulatortest", "functions", "cmd"}},
	{"github.com/aws/smithy-go", []string{"shared/store/dynamodb", "shared/awsclient", "shared/queue/sqs", "shared/blob/s3", "shared/wiring/onaws", "functions", "cmd"}},
	{"github.com/aws/aws-lambda-go", []string{"shared/function", "shared/logging", "shared/gateway"}},
	{"github.com/awslabs/aws-lambda-go-api-proxy", []string{"shared/function"}},
	{"modernc.org/sqlite", []string{"shared/store/sqlite", "shared/queue/sqlite", "shared/sqlitedb"}},
	{"go.opentelemetry.io", []string{"shared/telemetry/otlp"}},
	{"github.com/go-git/go-git", []string{"shared/gitrepo"}},
	{"github.com/jcmturner", []string{"shared/kerberos"}},
	{"github.com/alecthomas/kong", []string{"cmd"}},
	{"github.com/CycloneDX/cyclonedx-go", []string{"shared/sbom"}},
	{"github.com/spdx/tools-golang", []string{"shared/sbom"}},
}

// source is one package folder: its files without the tests, by name.
type source struct {
	folder string
	files  map[string]*ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	byFolder := map[string]*source{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			// As the go command has it; and a folder with a go.mod is a module of its own.
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != "." && err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(name))
		if byFolder[folder] == nil {
			byFolder[folder] = &source{folder: folder, files: map[string]*ast.File{}}
		}
		byFolder[folder].files[name] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	for _, s := range byFolder {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b source) int { return strings.Compare(a.folder, b.folder) })
	if len(all) < 10 {
		t.Fatalf("found only %d packages: the walk is broken", len(all))
	}
	return all
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// isSupport reports whether a folder only serves tests (storetest, gitrepotest).
func isSupport(folder string) bool { return strings.HasSuffix(path.Base(folder), "test") }

// allowed reports whether folder may import target, both relative to the module, and the reason if
// it may not.
func allowed(folder, target string) (bool, string) {
	if isSupport(target) && within(folder, "shared") && !isSupport(folder) {
		return false, "test support is not part of the product"
	}
	if slices.Contains(pure, target) && !slices.Contains(pure, folder) {
		return true, ""
	}
	for _, r := range rules {
		if !within(folder, r.folder) {
			continue
		}
		if slices.Contains(pure, r.folder) && slices.Contains(pure, target) {
			// Pure packages may use each other; Go itself refuses circles.
			return true, ""
		}
		// A package may have parts in folders of its own, and test support serves its package.
		if within(target, folder) || (isSupport(folder) && within(target, path.Dir(folder))) {
			return true, ""
		}
		for _, i := range r.imports {
			if target == i || (strings.HasSuffix(i, "/...") && within(target, strings.TrimSuffix(i, "/..."))) {
				return true, ""
			}
		}
		return false, r.reason
	}
	if within(folder, "shared") {
		return false, "the package has no rule: add one to arch_test.go"
	}
	return true, ""
}

func TestImportDirection(t *testing.T) {
	for _, s := range sources(t) {
		for name, file := range s.files {
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if target, ours := strings.CutPrefix(imported, module); ours {
					if ok, reason := allowed(s.folder, target); !ok {
						t.Errorf("%s imports %s: %s", name, target, reason)
					}
				}
				for _, e := range external {
					if within(imported, e.module) && !slices.ContainsFunc(e.folders, func(f string) bool { return within(s.folder, f) }) {
						t.Errorf("%s imports %s: only %s may", name, imported, strings.Join(e.folders, ", "))
					}
				}
			}
		}
	}
}

func TestAllowedKnowsRightFromWrong(t *testing.T) {
	tests := []struct {
		folder, target string
		want           bool
	}{
		{"shared/pipeline", "shared/store", true},
		{"shared/pipeline", "shared/store/sqlite", false},
		{"shared/pipeline", "shared/resolver/gomod", false},
		{"shared/resolver/gomod", "shared/resolver", true},
		{"shared/resolver/gomod", "shared/resolver/npm", false},
		{"shared/resolver/gomod", "shared/resolver/gomod/modfile", true},
		{"shared/resolver/gomod", "shared/blob", false},
		{"shared/resolver/all", "shared/resolver/gomod", true},
		{"shared/store/sqlite", "shared/store", true},
		{"shared/store/sqlite", "shared/queue", false},
		{"shared/store/dynamodb", "shared/awsclient", true},
		{"shared/store/dynamodb", "shared/store/sqlite", false},
		{"shared/api", "shared/store/dynamodb", false},
		{"shared/pipeline", "shared/awsclient", false},
		{"shared/store/storetest", "shared/store", true},
		{"shared/fault", "shared/store", false},
		{"shared/request", "shared/fault", true},
		{"shared/api", "shared/pipeline", false},
		{"shared/api", "shared/gitrepo/gitrepotest", false},
		{"shared/unheard-of", "shared/api", false},
		{"cmd/cachito", "shared/store/sqlite", true},
	}
	for _, tt := range tests {
		t.Run(tt.folder+" "+tt.target, func(t *testing.T) {
			if got, _ := allowed(tt.folder, tt.target); got != tt.want {
				t.Errorf("allowed: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	command := regexp.MustCompile(`^Command [a-z]`)
	for _, s := range sources(t) {
		var docs []string
		name := ""
		for file, parsed := range s.files {
			name = parsed.Name.Name
			if parsed.Doc == nil {
				continue
			}
			docs = append(docs, file)
			text := parsed.Doc.Text()
			if name == "main" && !command.MatchString(text) {
				t.Errorf("%s: the comment of a command begins with \"Command \" and its name", file)
			}
			if name != "main" && !strings.HasPrefix(text, "Package "+name+" ") {
				t.Errorf("%s: the package comment begins with \"Package %s \"", file, name)
			}
		}
		if len(docs) != 1 {
			slices.Sort(docs)
			t.Errorf("%s (package %s): want one package comment, got %d: %v", s.folder, name, len(docs), docs)
		}
	}
}

// nameless are package names that say nothing of what is inside.
var nameless = []string{"utils", "util", "common", "helpers", "types", "models", "interfaces", "constants", "misc"}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, s := range sources(t) {
		if slices.Contains(nameless, path.Base(s.folder)) {
			t.Errorf("%s: name a package for what it gives", s.folder)
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for name := range s.files {
			// Imports alone were parsed so far.
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s has an init function: initialize where it is used", name)
				}
			}
		}
	}
}
