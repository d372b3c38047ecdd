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

// leftOut are the settings that the template does not offer: a deployment that needs one adds a line there.
var leftOut = map[string]string{
	"CACHITO_DATA_DIR":        "of the embedded service",
	"CACHITO_LISTEN":          "of the embedded service",
	"CACHITO_METRICS_LISTEN":  "of the embedded service",
	"CACHITO_WORKERS":         "of the embedded service: event sources bound what runs",
	"CACHITO_TOOL_DIR":        "functions have folders of their own below /tmp",
	"CACHITO_TLS_CERT":        "the gateway speaks https",
	"CACHITO_TLS_KEY":         "the gateway speaks https",
	"CACHITO_TLS_CLIENT_CA":   "the gateway checks certificates",
	"CACHITO_IDENTITY_HEADER": "behind the gateway headers do not count",
	"CACHITO_TRUSTED_PROXIES": "behind the gateway headers do not count",
	"CACHITO_TRUST_FORWARDED": "behind the gateway headers do not count",

	"HTTP_PROXY":  "functions reach the internet themselves",
	"HTTPS_PROXY": "functions reach the internet themselves",
	"NO_PROXY":    "functions reach the internet themselves",

	"OTEL_EXPORTER_OTLP_HEADERS": "it may hold a secret, which has no place among variables",
	"CACHITO_METRICS_HOSTS":      "its default will do",

	"CACHITO_KERBEROS_SERVICE":      "its default will do",
	"CACHITO_KERBEROS_REALMS":       "its default will do",
	"CACHITO_KERBEROS_MAX_SKEW":     "its default will do",
	"CACHITO_MAX_PER_PAGE":          "its default will do",
	"CACHITO_LARGE_ANSWERS":         "one call at a time is in a function",
	"CACHITO_MAX_DOWNLOADS":         "its default will do",
	"CACHITO_RESEND_AFTER":          "its default is made for SQS",
	"CACHITO_REQUEST_FILE_LOGS_DIR": "its default will do",
	"CACHITO_TAGS_REFRESH":          "its default will do",
	"CACHITO_SOURCE_MAX_BYTES":      "its default will do",
	"CACHITO_SOURCE_MAX_TREE_BYTES": "its default will do",
	"CACHITO_SOURCE_MAX_ENTRIES":    "its default will do",
	"CACHITO_SOURCE_TIMEOUT":        "the function's time is shorter",

	"CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS": "its default will do",
	"CACHITO_GOMOD_STRICT_VENDOR":                 "its default will do",
	"CACHITO_GOMOD_IGNORE_MISSING_GOMOD_FILE":     "its default will do",
	"CACHITO_NPM_REGISTRY_HOSTS":                  "its default will do",
	"CACHITO_NPM_FILE_DEPS_ALLOWLIST":             "its default will do",
	"CACHITO_YARN_REGISTRY_HOSTS":                 "its default will do",
	"CACHITO_YARN_FILE_DEPS_ALLOWLIST":            "its default will do",
	"CACHITO_YARN_JSR_REGISTRY":                   "its default will do",
	"CACHITO_PNPM_REGISTRY_HOSTS":                 "its default will do",
	"CACHITO_PNPM_JSR_REGISTRY":                   "its default will do",
	"CACHITO_PIP_REFUSE_YANKED":                   "its default will do",
	"CACHITO_PIP_ALLOW_WEAK_HASHES":               "its default will do",
	"CACHITO_PIP_REFUSE_TRUSTED_HOST":             "its default will do",
}

// Every setting is a parameter, or it was decided that it is none.
func TestSettingsAreParametersOrLeftOut(t *testing.T) {
	set := map[string]bool{}
	for _, variables := range readTemplate(t).environments() {
		for name := range variables {
			set[name] = true
		}
	}
	for _, s := range config.Doc() {
		if _, out := leftOut[s.Name]; out == set[s.Name] {
			t.Errorf("%s: in template.yaml %v, in leftOut %v, want one of them", s.Name, set[s.Name], out)
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
