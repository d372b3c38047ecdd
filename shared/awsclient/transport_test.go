package awsclient

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// half answers with the first half of what it promises, then hangs up.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "8")
	io.WriteString(w, "half")
}

func send(t *testing.T, method string, h http.HandlerFunc) (*http.Response, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	return WholeAnswers(server.Client().Transport).RoundTrip(r)
}

func TestWholeAnswers(t *testing.T) {
	t.Run("a broken answer is an error of the call", func(t *testing.T) {
		if res, err := send(t, http.MethodPost, half); err == nil {
			res.Body.Close()
			t.Error("no error")
		}
	})
	t.Run("answers to GET stream", func(t *testing.T) {
		res, err := send(t, http.MethodGet, half)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("reading: no error")
		}
	})
	t.Run("a whole answer", func(t *testing.T) {
		res, err := send(t, http.MethodPut, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, "whole")
		})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "whole" || res.StatusCode != http.StatusConflict {
			t.Errorf("got %d %q, %v", res.StatusCode, body, err)
		}
	})
	t.Run("an endless answer", func(t *testing.T) {
		_, err := send(t, http.MethodPost, func(w http.ResponseWriter, _ *http.Request) {
			chunk := make([]byte, 1<<20)
			for range MaxAnswerBytes>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("got %v, want that it has too many bytes", err)
		}
	})
}

func TestPauses(t *testing.T) {
	for attempt, longest := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause} {
		got, err := pauses{}.BackoffDelay(attempt, nil)
		if err != nil || got < longest/2 || got > longest {
			t.Errorf("pause %d: got %s, %v, want between %s and %s", attempt, got, err, longest/2, longest)
		}
	}
	if got, _ := (pauses{}).BackoffDelay(100, nil); got < lastPause/2 || got > lastPause {
		t.Errorf("pause 100: got %s, want at most %s", got, lastPause)
	}
}

func TestLoad(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "http://environment.example",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	if _, err := Load(t.Context(), Settings{}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("no region: got %v, want AWS_REGION named", err)
	}
	cfg, err := Load(t.Context(), Settings{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region != "eu-west-1" || *cfg.BaseEndpoint != "http://127.0.0.1:1" {
		t.Errorf("got region %q and endpoint %q", cfg.Region, *cfg.BaseEndpoint)
	}
	t.Setenv("AWS_REGION", "us-east-2")
	cfg, err = Load(t.Context(), Settings{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region != "us-east-2" || cfg.BaseEndpoint == nil || *cfg.BaseEndpoint != "http://environment.example" {
		t.Errorf("got region %q and endpoint %v, want the environment's", cfg.Region, cfg.BaseEndpoint)
	}
}
