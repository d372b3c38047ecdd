package stack_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"gopkg.in/yaml.v3"
)

// TestSamconfig: both environments are complete, and name parameters with values that the template allows.
func TestSamconfig(t *testing.T) {
	type commands map[string]struct {
		Parameters struct {
			StackName    string `toml:"stack_name"`
			BuildInPlace bool   `toml:"build_in_source"`
			Capabilities string
			Confirm      bool     `toml:"confirm_changeset"`
			Overrides    []string `toml:"parameter_overrides"`
		}
	}
	var raw map[string]any
	if err := toml.Unmarshal([]byte(readFile(t, "samconfig.toml")), &raw); err != nil {
		t.Fatal(err)
	}
	delete(raw, "version")
	remaining, err := toml.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	var environments map[string]commands
	if err := toml.Unmarshal(remaining, &environments); err != nil {
		t.Fatal(err)
	}
	tpl := readTemplate(t)
	names := map[string]string{}
	for _, name := range []string{"default", "dev", "prod"} {
		e := environments[name]
		if !e["build"].Parameters.BuildInPlace {
			t.Errorf("%s: build_in_source is not set: a copy of a folder has no module", name)
		}
		if name == "default" {
			continue
		}
		stack := e["global"].Parameters.StackName
		if other := names[stack]; stack == "" || other != "" {
			t.Errorf("%s: the stack's name is %q, as that of %s", name, stack, other)
		}
		names[stack] = name
		deploy := e["deploy"].Parameters
		if got, want := deploy.Confirm, name == "prod"; got != want {
			t.Errorf("%s: confirm_changeset: got %v, want %v", name, got, want)
		}
		// The template names no role, so no more is needed.
		if deploy.Capabilities != "CAPABILITY_IAM" {
			t.Errorf("%s: capabilities: got %q", name, deploy.Capabilities)
		}
		if len(deploy.Overrides) == 0 {
			t.Errorf("%s sets no parameter", name)
		}
		for _, o := range deploy.Overrides {
			parameter, v, _ := strings.Cut(o, "=")
			checkParameter(t, name, object(tpl.parameters[parameter]), parameter, v)
		}
	}
}

func checkParameter(t *testing.T, where string, p map[string]value, name, v string) {
	t.Helper()
	if p == nil {
		t.Errorf("%s: the template has no parameter %s", where, name)
		return
	}
	if allowed := list(p["AllowedValues"]); allowed != nil && !slices.Contains(allowed, value(v)) {
		t.Errorf("%s: %s=%s is none of %v", where, name, v, allowed)
	}
	if text(p["Type"]) != "Number" {
		return
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Errorf("%s: %s=%s is no number", where, name, v)
	}
	for bound, wrong := range map[string]func(limit int) bool{
		"MinValue": func(limit int) bool { return n < limit },
		"MaxValue": func(limit int) bool { return n > limit },
	} {
		if limit, err := strconv.Atoi(text(p[bound])); err == nil && wrong(limit) {
			t.Errorf("%s: %s=%s is beyond %s %d", where, name, v, bound, limit)
		}
	}
}

// sam local gives a function only variables that the template has.
func TestVariablesOfSamLocal(t *testing.T) {
	var file struct{ Parameters map[string]string }
	if err := json.Unmarshal([]byte(readFile(t, "localstack/env.json")), &file); err != nil {
		t.Fatal(err)
	}
	all := readTemplate(t).environments()["all"]
	for _, name := range []string{"CACHITO_TABLE", "CACHITO_BUCKET", "CACHITO_QUEUE_PREFIX", "AWS_ENDPOINT_URL"} {
		if file.Parameters[name] == "" {
			t.Errorf("localstack/env.json has no %s", name)
		}
	}
	for name := range file.Parameters {
		if _, ok := all[name]; !ok {
			t.Errorf("localstack/env.json: no variable of the template is called %s", name)
		}
	}
}

func TestLocalStack(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Image   string
			Ports   []string
			Volumes []string
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "localstack/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	s, ok := compose.Services["localstack"]
	if !ok || s.Image == "" {
		t.Fatal("localstack/compose.yaml has no service localstack with an image")
	}
	for _, port := range s.Ports {
		if !strings.HasPrefix(port, "127.0.0.1:") {
			t.Errorf("port %s can be reached from other machines", port)
		}
	}
	for _, v := range s.Volumes {
		if from, _, _ := strings.Cut(v, ":"); strings.HasPrefix(from, "./") {
			if _, err := os.Stat(filepath.Join(root, "localstack", from)); err != nil {
				t.Errorf("volume %s: %v", v, err)
			}
		}
	}
	scripts, err := filepath.Glob(filepath.Join(root, "localstack", "ready", "*"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no script in localstack/ready: %v", err)
	}
	for _, name := range append(scripts, filepath.Join(root, "localstack", "deploy"), filepath.Join(root, "localstack", "ministack")) {
		if info, err := os.Stat(name); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run: %v", name, err)
		}
	}
}
