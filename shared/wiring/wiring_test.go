package wiring

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// TestRefused: settings that cannot be carried out are named, by both homes' parts that read them.
func TestRefused(t *testing.T) {
	known := []resolver.Descriptor{{Name: "fake", New: func(resolver.Settings) (resolver.Resolver, error) { return nil, nil }}}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	pipeline := func(cfg config.Config) error {
		_, err := Pipeline(cfg, known, Adapters{}, Places{}, nil, log)
		return err
	}
	api := func(cfg config.Config) error {
		_, err := API(cfg, known, Adapters{}, Transport{MaxAnswerBytes: 1}, log)
		return err
	}
	for _, tt := range []struct {
		setting, value string
		of             func(config.Config) error
	}{
		{"CACHITO_PACKAGE_MANAGERS", "gnomod", pipeline},
		{"CACHITO_PACKAGE_MANAGERS", "gnomod", api},
		{"CACHITO_NETRC", "/no/such/file", pipeline},
		{"CACHITO_BEARER_TOKENS", "/no/such/file", pipeline},
		{"CACHITO_KERBEROS_KEYTAB", "/no/such/file", api},
		{"CACHITO_DOWNLOAD", "stream", api},
	} {
		settings := map[string]string{"CACHITO_PACKAGE_MANAGERS": "fake", "CACHITO_DEFAULT_PACKAGE_MANAGERS": "fake"}
		settings[tt.setting] = tt.value
		err := tt.of(load(t, settings))
		var wrong *SettingError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.setting) {
			t.Errorf("%s=%s: got %v", tt.setting, tt.value, err)
		}
	}
}

// TestLoginOnAWS: a function never takes callers for local ones.
func TestLoginOnAWS(t *testing.T) {
	if cfg := load(t, nil); !cfg.LoginDisabled {
		t.Error("the embedded service on loopback wants logins")
	}
	if cfg := load(t, map[string]string{"CACHITO_TABLE": "t"}); cfg.LoginDisabled {
		t.Error("a function lets everybody in")
	}
}

// TestHealth: what does not work is named, with a sentence that tells nothing else.
func TestHealth(t *testing.T) {
	var logged strings.Builder
	ask := func(broken error) (int, string) {
		known := []resolver.Descriptor{{Name: "fake", New: func(resolver.Settings) (resolver.Resolver, error) { return nil, nil }}}
		a := Adapters{Store: pinged{}, Queue: empty{}, CheckBlobs: func(context.Context) error { return broken }}
		routes, err := API(load(t, map[string]string{"CACHITO_PACKAGE_MANAGERS": "fake", "CACHITO_DEFAULT_PACKAGE_MANAGERS": "fake"}), known, a, Transport{}, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		out := httptest.NewRecorder()
		routes.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/api/v1/status/short", nil))
		return out.Code, out.Body.String()
	}
	if status, body := ask(nil); status != http.StatusOK {
		t.Errorf("all works: got %d %s", status, body)
	}
	status, body := ask(errors.New("bucket secret-name: access denied"))
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "storage is not writable") || strings.Contains(body, "secret-name") {
		t.Errorf("got %d %s", status, body)
	}
	if !strings.Contains(logged.String(), "secret-name: access denied") {
		t.Errorf("the log does not tell why: %s", &logged)
	}
}

// pinged is a store that answers, and nothing else.
type pinged struct{ store.Store }

func (pinged) Ping(context.Context) error { return nil }

// empty is queues without a message.
type empty struct{ queue.Queue }

func (empty) OldestAge(context.Context, string) (time.Duration, error) { return 0, nil }
