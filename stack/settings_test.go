package stack_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/cachito-serverless/cachito/shared/config"
)

// environments gives the variables of the functions, by function; those of all under "all".
func (tpl cloudFormation) environments() map[string]map[string]value {
	found := map[string]map[string]value{"all": object(object(tpl.globals["Environment"])["Variables"])}
	for id, f := range tpl.of("AWS::Serverless::Function") {
		found[id] = object(object(f.properties["Environment"])["Variables"])
	}
	return found
}

func TestVariablesAreSettings(t *testing.T) {
	known := map[string]string{"AWS_ENDPOINT_URL": "the SDK's own"}
	for _, s := range config.Doc() {
		known[s.Name] = s.Group
	}
	for id, variables := range readTemplate(t).environments() {
		for name := range variables {
			if _, ok := known[name]; !ok {
				t.Errorf("%s: the program knows no setting %s", id, name)
			}
		}
	}
}

// What only AWS has, what is a file, and where a service on loopback would decide otherwise must be said.
func TestVariablesThatMustBeSet(t *testing.T) {
	environments := readTemplate(t).environments()
	for _, s := range config.Doc() {
		if _, ok := environments["all"][s.Name]; !ok && s.Group == "AWS" {
			t.Errorf("no function gets %s", s.Name)
		}
	}
	if _, ok := environments["all"]["LOGIN_DISABLED"]; !ok {
		t.Error("LOGIN_DISABLED is left to its automatic value, which looks at an address that functions do not have")
	}
	var c config.Config
	for name := range c.Files() {
		if _, ok := environments["all"][name]; ok {
			t.Errorf("every function gets %s: only those that need it may", name)
		}
		readers := []string{"ApiFunction"}
		if name != "CACHITO_KERBEROS_KEYTAB" {
			readers = []string{"SourceFunction"}
			for _, d := range resolvable() {
				readers = append(readers, "Resolve"+managerID(d.Name)+"Function")
			}
		}
		for id, variables := range environments {
			if _, got := variables[name]; got != slices.Contains(readers, id) {
				t.Errorf("%s has %s: got %v, want %v", id, name, got, !got)
			}
		}
	}
}

// A value that the program refuses would stop every function at its cold start.
func TestDefaultsAreTaken(t *testing.T) {
	tpl := readTemplate(t)
	for id, variables := range tpl.environments() {
		all := maps.Clone(tpl.environments()["all"])
		maps.Copy(all, variables)
		_, err := config.Load(func(name string) string {
			v := all[name]
			if parameter, ok := tpl.parameters[text(object(v)["Ref"])]; ok {
				return text(object(parameter)["Default"])
			}
			return text(v) // "": what is known only when it is deployed, and secrets
		})
		if err != nil {
			t.Errorf("%s with the template's defaults: %v", id, err)
		}
	}
}

// Every parameter is used, and described for who deploys.
func TestParameters(t *testing.T) {
	content := readFile(t, "template.yaml")
	for name, p := range readTemplate(t).parameters {
		if text(object(p)["Description"]) == "" {
			t.Errorf("parameter %s has no description", name)
		}
		if _, ok := object(p)["Default"]; !ok {
			t.Errorf("parameter %s has no default", name)
		}
		uses := 0
		for _, form := range []string{"!Ref " + name, "${" + name + "}"} {
			uses += countWord(content, form)
		}
		if uses == 0 {
			t.Errorf("parameter %s is not used", name)
		}
	}
}
