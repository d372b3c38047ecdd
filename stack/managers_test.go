// Package stack_test holds template.yaml to the program it deploys: the package managers, the settings, the
// queues, what the functions may do; and the documents about it to the template.
package stack_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
)

var update = flag.Bool("update", false, "rewrite the package managers' part of template.yaml")

// What is between these lines of template.yaml is made from the list of package managers.
const (
	madeFrom = "# >>> made by `make golden` from stack/testdata/manager.yaml.tmpl for every package manager of shared/resolver/all\n"
	madeTo   = "# <<< made by `make golden`\n"
)

// layers bring the programs that resolvers run.
var layers = map[string]string{"go": "GoLayer"}

// managerID is the manager's part of logical ids: git-submodule is GitSubmodule.
func managerID(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// resolvable are the managers that get a function: those that this program can resolve, whether or not they
// are enabled.
func resolvable() []resolver.Descriptor {
	return slices.DeleteFunc(all.List(), func(d resolver.Descriptor) bool { return d.New == nil })
}

// managersPart is the part of the template that the list of managers gives.
func managersPart(t *testing.T) string {
	t.Helper()
	tmpl, err := template.ParseFiles(filepath.Join("testdata", "manager.yaml.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, d := range resolvable() {
		var of []string
		for _, command := range d.Commands {
			if layers[command] == "" {
				t.Fatalf("%s runs %s: which layer brings it? Add it to template.yaml and to layers above", d.Name, command)
			}
			of = append(of, layers[command])
		}
		err := tmpl.Execute(&b, struct {
			Name, ID string
			Layers   []string
		}{d.Name, managerID(d.Name), of})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestManagersPartIsCurrent(t *testing.T) {
	path := filepath.Join(root, "template.yaml")
	content := readFile(t, "template.yaml")
	before, rest, found := strings.Cut(content, madeFrom)
	got, after, end := strings.Cut(rest, madeTo)
	if !found || !end {
		t.Fatalf("template.yaml has no lines %q and %q", madeFrom, madeTo)
	}
	want := managersPart(t)
	if *update && got != want {
		if err := os.WriteFile(path, []byte(before+madeFrom+want+madeTo+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("template.yaml: the package managers' part is not what the list gives; run make golden (-want +got):\n%s", diff)
	}
}

// The whole is compared above; this says in words what is missing, also when somebody edits both sides.
func TestEachManagerHasItsFunctionAndQueue(t *testing.T) {
	tpl := readTemplate(t)
	want := []string{"stack-bundle", "stack-dead-letter", "stack-source"}
	for _, d := range resolvable() {
		want = append(want, "stack-resolve-"+d.Name)
		id := "Resolve" + managerID(d.Name)
		if got := tpl.resources[id+"Function"].kind; got != "AWS::Serverless::Function" {
			t.Errorf("%s has no function %sFunction", d.Name, id)
		}
	}
	var got []string
	for _, q := range tpl.of("AWS::SQS::Queue") {
		got = append(got, named(q.properties["QueueName"]))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
	functions := 0
	for id := range tpl.of("AWS::Serverless::Function") {
		if regexp.MustCompile(`^Resolve.+Function$`).MatchString(id) {
			functions++
		}
	}
	if got, want := functions, len(resolvable()); got != want {
		t.Errorf("resolve functions: got %d, want %d, one for each manager", got, want)
	}
}
