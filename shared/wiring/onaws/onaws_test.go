package onaws

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/config"
)

func load(t *testing.T, settings map[string]string) config.Config {
	t.Helper()
	cfg, err := config.Load(func(name string) string { return settings[name] })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestMissingSettings: all that is missing is told at once, by its name.
func TestMissingSettings(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings map[string]string
		want     []string
	}{
		{"all", nil, []string{"CACHITO_TABLE is not set", "CACHITO_BUCKET is not set", "CACHITO_QUEUE_PREFIX is not set"}},
		{"two", map[string]string{"CACHITO_BUCKET": "b"}, []string{"CACHITO_TABLE is not set", "CACHITO_QUEUE_PREFIX is not set"}},
		{"blank", map[string]string{"CACHITO_TABLE": "t", "CACHITO_BUCKET": " ", "CACHITO_QUEUE_PREFIX": "q"}, []string{"CACHITO_BUCKET is not set"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), load(t, tt.settings), slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("it opens")
			}
			var got []string
			for line := range strings.SplitSeq(err.Error(), "\n") {
				name, _, _ := strings.Cut(line, ":")
				got = append(got, name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoRegion(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, err := Open(t.Context(), load(t, complete3), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("got %v", err)
	}
}

var complete3 = map[string]string{"CACHITO_TABLE": "t", "CACHITO_BUCKET": "b", "CACHITO_QUEUE_PREFIX": "q"}

// TestFolders: each process has a folder of its own, removes those of processes that are gone, and no others.
func TestFolders(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	left := filepath.Join(temp, folderPattern+"of-a-process-that-was-killed")
	readOnly := filepath.Join(left, "work", "module-cache")
	if err := os.MkdirAll(readOnly, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(readOnly, "file"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(readOnly, 0o500); err != nil {
		t.Fatal(err)
	}
	const processes = 8
	homes := make([]*Home, processes)
	var wg sync.WaitGroup
	for i := range homes {
		wg.Go(func() {
			var err error
			if homes[i], err = OpenWith(t.Context(), load(t, complete3), awsclienttest.Config("http://127.0.0.1:1", "k", "s", nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	folders := func() []string {
		list, err := filepath.Glob(filepath.Join(temp, folderPattern+"*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := folders(); len(got) != processes {
		t.Errorf("%d processes have %v", processes, got)
	}
	for _, h := range homes {
		for _, d := range []string{h.Places.Git, h.Places.Tools, h.Places.Work} {
			if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %v, %v", d, info, err)
			}
		}
		if h.Places.GitMaxBytes <= 0 {
			t.Errorf("git may keep %d bytes", h.Places.GitMaxBytes)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := folders(); len(got) != 0 {
		t.Errorf("closed homes left %v", got)
	}
}

// secrets is Secrets Manager with these secrets, each in the form of its answer.
func secrets(t *testing.T, answers map[string]map[string]any) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			ID string `json:"SecretId"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("asked %s: %v", r.Header.Get("X-Amz-Target"), err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer, ok := answers[asked.ID]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			answer = map[string]any{"__type": "ResourceNotFoundException", "message": "no such secret"}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func withSettings(more map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range complete3 {
		all[name] = value
	}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// TestSecrets: a setting that names a secret names a file with its content afterwards, which only this user can
// read; others stay as they are.
func TestSecrets(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:netrc-AbCdEf"
	keytab := []byte{5, 2, 0, 0, 0xff}
	url := secrets(t, map[string]map[string]any{arn: {"SecretString": "machine a login b\n"}, "cachito/keytab": {"SecretBinary": keytab}})
	home, err := OpenWith(t.Context(), load(t, withSettings(map[string]string{
		"CACHITO_NETRC": "secret:" + arn, "CACHITO_KERBEROS_KEYTAB": "secret:cachito/keytab", "CACHITO_CA_CERT": "/opt/ca.pem",
	})), awsclienttest.Config(url, "k", "s", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	for path, want := range map[string]string{home.Config.Netrc: "machine a login b\n", home.Config.KerberosKeytab: string(keytab)} {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if got := home.Config.CACert; got != "/opt/ca.pem" {
		t.Errorf("CACHITO_CA_CERT: %s", got)
	}
}

// TestSecretTrouble: the error names the setting and the secret, never a content, and nothing stays behind.
func TestSecretTrouble(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	url := secrets(t, map[string]map[string]any{"empty": {"SecretString": ""}})
	for value, want := range map[string]string{
		"secret:":      "CACHITO_SSH_KEY: want secret: and the name or ARN of a secret",
		"secret:empty": "CACHITO_SSH_KEY: reading secret empty: it is empty",
		"secret:none":  "CACHITO_SSH_KEY: reading secret none: ",
	} {
		_, err := OpenWith(t.Context(), load(t, withSettings(map[string]string{"CACHITO_SSH_KEY": value})), awsclienttest.Config(url, "k", "s", nil))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", value, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(temp, folderPattern+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
