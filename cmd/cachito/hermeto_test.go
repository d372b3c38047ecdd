package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
)

// hermetoOrigin is the repository that every case of Hermeto's suite says it comes from.
const hermetoOrigin = "hermetoproject/hermeto"

// hermetoCase is a case of Hermeto's integration suite as data: what is ordered, and the components of the SBOM.
type hermetoCase struct {
	Case  string
	Input struct{ Commit string }
	// Request has the packages as Hermeto's command line takes them: objects with a type, and options.
	Request struct {
		Packages    []map[string]json.RawMessage
		GlobalFlags []string `json:"global_flags"`
	}
	Expect struct {
		ExitCode   int                    `json:"exit_code"`
		Error      string                 // Hermeto's code
		Components []json.RawMessage      `json:"sbom_components"`
		Stdlib     struct{ Names string } `json:"sbom_stdlib_go_packages"`
	}
	RunsHere string `json:"runs_here"`
}

// component is what must agree: name, version and purl.
type component struct{ Name, Version, PURL string }

// TestHermetoCases orders what Hermeto's integration suite fetches and compares the components, name, version and
// purl; hermetoDifferences holds what differs, with the reason (docs/hermeto.md). It needs the cases and their
// repositories, which are not ours to copy: HERMETO_CASES is a folder of <case>.json, SCENARIOS_DIR one of
// hermeto-scenarios+<case>/repo, a bare repository each, and MIRROR_DIR (see TestProjects) holds what they depend
// on.
func TestHermetoCases(t *testing.T) {
	cases, scenarios, mirrors := os.Getenv("HERMETO_CASES"), os.Getenv("SCENARIOS_DIR"), os.Getenv("MIRROR_DIR")
	if cases == "" || scenarios == "" || mirrors == "" {
		t.Skip("HERMETO_CASES, SCENARIOS_DIR and MIRROR_DIR are not set: no cases of Hermeto's")
	}
	host, err := gitrepotest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	linkMirrors(t, mirrors, host.Dir)
	joinScenarios(t, scenarios, filepath.Join(host.Dir, hermetoOrigin+".git"))
	service := startForHermeto(t, host.Host())

	files, err := filepath.Glob(filepath.Join(cases, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s holds no cases (%v)", cases, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c hermetoCase
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(c.Case, func(t *testing.T) { c.check(t, service) })
	}
}

func (c hermetoCase) check(t *testing.T, service *client.Client) {
	if strings.HasPrefix(c.RunsHere, "no") {
		t.Skip(c.RunsHere)
	}
	differs := hermetoDifferences[c.Case]
	if differs.unreachable != "" {
		t.Skip(differs.unreachable + " cannot be had here")
	}
	order, err := c.order()
	if err != nil {
		t.Skip(err)
	}
	req, err := service.Create(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); req.State == request.StateInProgress; time.Sleep(100 * time.Millisecond) {
		if req, err = service.Get(t.Context(), req.ID); err != nil || time.Now().After(deadline) {
			t.Fatalf("request %d is %s: %v", req.ID, req.State, err)
		}
	}
	completes := (c.Expect.ExitCode == 0) != differs.otherwise
	if got := req.State == request.StateComplete; got != completes {
		t.Fatalf("the request is %s (%s), Hermeto ends with %d %s", req.State, req.StateReason, c.Expect.ExitCode, c.Expect.Error)
	}
	if !completes {
		if differs.says == "" || !strings.Contains(req.StateReason, differs.says) {
			t.Errorf("the request fails with %q, want %q in it; Hermeto's code is %s", req.StateReason, differs.says, c.Expect.Error)
		}
		return
	}
	if c.Expect.Components == nil {
		return
	}
	var want []component
	for _, raw := range c.Expect.Components {
		want = append(want, expected(t, raw))
	}
	matched := func(pattern *regexp.Regexp) func(string) bool {
		return func(line string) bool { return pattern != nil && pattern.MatchString(line) }
	}
	theirs := slices.DeleteFunc(c.lines(t, want), matched(differs.theirs))
	ours := slices.DeleteFunc(c.lines(t, components(t, service, req.ID)), matched(differs.ours))
	if diff := cmp.Diff(strings.Join(theirs, "\n"), strings.Join(ours, "\n")); diff != "" {
		t.Errorf("components (-Hermeto +ours):\n%s", diff)
	}
}

// order is the case as an order to our API.
func (c hermetoCase) order() (client.Order, error) {
	order := client.Order{Repo: "https://github.com/" + hermetoOrigin + ".git", Ref: c.Input.Commit, Packages: map[string][]json.RawMessage{}, PackageManagers: &[]string{}}
	for _, p := range c.Request.Packages {
		var manager string
		if err := json.Unmarshal(p["type"], &manager); err != nil {
			return order, err
		}
		delete(p, "type")
		if !slices.Contains(hermetoManagers, manager) {
			return order, fmt.Errorf("no package manager of ours: %s", manager)
		}
		if !slices.Contains(*order.PackageManagers, manager) {
			*order.PackageManagers = append(*order.PackageManagers, manager)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			return order, err
		}
		order.Packages[manager] = append(order.Packages[manager], raw)
	}
	// What Hermeto does always is ordered here: submodules, and a check of vendor/ unless it is permissive.
	if strings.Contains(c.Case, "submodule") {
		*order.PackageManagers = append(*order.PackageManagers, "git-submodule")
	}
	if strings.Contains(c.Case, "vendor_check") && len(c.Request.GlobalFlags) == 0 {
		order.Flags = []string{"gomod-vendor-check"}
	}
	return order, nil
}

// hermetoManagers are those that both have under the same name.
var hermetoManagers = []string{"gomod", "npm", "pip", "yarn", "pnpm", "cargo", "generic"}

// components are those of a request's SBOM.
func components(t *testing.T, service *client.Client, id int64) []component {
	var b bytes.Buffer
	if err := service.SBOM(t.Context(), id, "", &b); err != nil {
		t.Fatal(err)
	}
	var doc struct{ Components []component }
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components
}

// expected reads [name, version or null, purl, {what else is known}].
func expected(t *testing.T, raw json.RawMessage) component {
	var fields []json.RawMessage
	var name, purl string
	var version *string
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) < 3 {
		t.Fatalf("%s is no component: %v", raw, err)
	}
	for i, to := range []any{&name, &version, &purl} {
		if err := json.Unmarshal(fields[i], to); err != nil {
			t.Fatalf("%s is no component: %v", raw, err)
		}
	}
	c := component{Name: name, PURL: purl}
	if version != nil {
		c.Version = *version
	}
	return c
}

// placeholders are hosts as the cases write them; in a purl of ours stands the real one.
var placeholders = strings.NewReplacer("npm-registry.example", "registry.npmjs.org", "yarn-registry.example", "registry.yarnpkg.com",
	"pypi.example", "pypi.org", "pypi-files.example", "files.pythonhosted.org", "crates-static.example", "static.crates.io",
	"crates-index.example", "index.crates.io", "maven-central.example", "repo.maven.apache.org")

// lines are the components as "name version purl", sorted, each once, in the form that both have in common
// (docs/hermeto.md, "Forms"):
//   - of a package of the repository that was ordered only name and version count;
//   - a purl is unescaped, and Go's module and package of one path are one component;
//   - names of Python packages are normalised;
//   - purls of crates have no checksum, which the documents show in its own place;
//   - Go's standard library, which depends on the toolchain, is left out.
func (c hermetoCase) lines(t *testing.T, list []component) []string {
	t.Helper()
	var out []string
	for _, x := range list {
		purl, err := url.Parse(placeholders.Replace(x.PURL))
		if err != nil {
			t.Fatalf("%q is no purl: %v", x.PURL, err)
		}
		kind, where, _ := strings.Cut(purl.Opaque, "/")
		if where, err = url.PathUnescape(where); err != nil {
			t.Fatalf("%q is no purl: %v", x.PURL, err)
		}
		query := purl.Query()
		switch {
		case kind == "golang" && x.Version == "":
			continue
		case kind == "golang":
			query.Del("type")
		case kind == "cargo":
			query.Del("checksum")
		case kind == "pypi":
			x.Name = pep503.ReplaceAllString(strings.ToLower(x.Name), "-")
		}
		where = fmt.Sprintf("pkg:%s/%s", kind, where)
		if len(query) > 0 {
			where += "?" + query.Encode()
		}
		if strings.Contains(query.Get("vcs_url"), hermetoOrigin+".git@") || strings.HasPrefix(where, "pkg:github/"+hermetoOrigin+"@") ||
			kind == "golang" && strings.HasPrefix(x.Version, "v") && strings.HasSuffix(x.Version, "-"+c.Input.Commit[:12]) {
			where = "of the repository"
		}
		out = append(out, fmt.Sprintf("%s %s %s", x.Name, x.Version, where))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var pep503 = regexp.MustCompile(`[-_.]+`)

// linkMirrors lets the git host serve <owner>/<name>.git for every <owner>+<name>/repo.
func linkMirrors(t *testing.T, mirrors, dir string) {
	t.Helper()
	entries, err := os.ReadDir(mirrors)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		owner, name, ok := strings.Cut(e.Name(), "+")
		if !ok || owner+"/"+name == hermetoOrigin {
			continue
		}
		if err := os.MkdirAll(filepath.Join(dir, owner), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(mirrors, e.Name(), "repo"), filepath.Join(dir, owner, name+".git")); err != nil {
			t.Fatal(err)
		}
	}
}

// joinScenarios makes one repository of all the cases' repositories, because all say that they come from the same.
func joinScenarios(t *testing.T, scenarios, to string) {
	t.Helper()
	repos, err := filepath.Glob(filepath.Join(scenarios, "hermeto-scenarios+*", "repo"))
	if err != nil || len(repos) == 0 {
		t.Fatalf("%s holds no scenarios (%v)", scenarios, err)
	}
	if out, err := exec.Command("git", "init", "--quiet", "--bare", to).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	var alternates, refs []string
	for i, repo := range repos {
		real, err := filepath.Abs(repo)
		if err != nil {
			t.Fatal(err)
		}
		head, err := exec.Command("git", "-C", real, "rev-parse", "HEAD").Output()
		if err != nil {
			t.Fatalf("%s: %v", real, err)
		}
		alternates = append(alternates, filepath.Join(real, "objects"))
		refs = append(refs, fmt.Sprintf("%s refs/heads/case-%d", strings.TrimSpace(string(head)), i))
	}
	slices.SortFunc(refs, func(a, b string) int { return strings.Compare(a[41:], b[41:]) })
	for name, lines := range map[string][]string{"objects/info/alternates": alternates, "packed-refs": refs} {
		if err := os.WriteFile(filepath.Join(to, name), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// startForHermeto starts a service with every package manager, which fetches what github.com has from a mirror.
func startForHermeto(t *testing.T, mirror string) *client.Client {
	t.Helper()
	dir := t.TempDir()
	portFile := filepath.Join(dir, "port")
	cmd := exec.Command("cachito", "serve", "--listen", "127.0.0.1:0", "--port-file", portFile, "--data-dir", filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "CACHITO_PACKAGE_MANAGERS=all", "CACHITO_ALLOW_HOSTS="+mirror,
		"CACHITO_MIRRORS=https://github.com/=http://"+mirror+"/", "CACHITO_PIP_CRATES_URL=https://static.crates.io/crates/",
		`CACHITO_YARN_FILE_DEPS_ALLOWLIST=`+hermetoFileDeps)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		makeWritable(dir)
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if port, err := os.ReadFile(portFile); err == nil {
			service, err := client.New("http://127.0.0.1:"+strings.TrimSpace(string(port)), http.DefaultClient)
			if err != nil {
				t.Fatal(err)
			}
			return service
		}
		if time.Now().After(deadline) {
			t.Fatalf("the service does not start: %s", stderr.String())
		}
	}
}

// makeWritable lets the test's folder be removed: a module cache is read-only.
func makeWritable(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
}
