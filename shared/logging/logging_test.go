package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/logging"
)

func TestRedact(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no URL", "user@host: plain text", "user@host: plain text"},
		{"no user", "https://host/path@v1", "https://host/path@v1"},
		{"user and password", "https://user:pass@host/x", "https://host/x"},
		{"token as user", "https://ghp_token@host/x", "https://host/x"},
		{"password with an at sign", "https://u:p@ss@host:8080/x@y", "https://host:8080/x@y"},
		{"authority alone", "ssh://git:x@host", "ssh://host"},
		{"in a sentence", `fetching "https://u:p@h/a": then http://v:q@i/b failed`, `fetching "https://h/a": then http://i/b failed`},
		{"query without a path", "https://u:p@h?mail=a@b", "https://h?mail=a@b"},
		{"mark at the end", "odd://", "odd://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := logging.Redact(tt.text); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoggerRedacts(t *testing.T) {
	const secret = "s3cret"
	var out bytes.Buffer
	log := logging.New(&out, logging.JSON, slog.LevelInfo)
	u, err := url.Parse("https://u:" + secret + "@host/x")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	log.InfoContext(ctx, "fetched", "url", u.String(), "parsed", u, "error", errors.New("get "+u.String()),
		slog.Group("inner", "url", u.String()), "bytes", 3)
	log.DebugContext(ctx, "too detailed")
	if strings.Contains(out.String(), secret) {
		t.Errorf("the password is in %s", out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("want one line of JSON, got %s: %v", out.String(), err)
	}
	if got, want := line["url"], "https://host/x"; got != want {
		t.Errorf("url: got %v, want %v", got, want)
	}
	if got, want := line["bytes"], 3.0; got != want {
		t.Errorf("bytes: got %v, want %v", got, want)
	}
}

func TestFormats(t *testing.T) {
	tests := []struct{ format, want string }{
		{logging.JSON, `"msg":"hello"`},
		{logging.Text, `msg=hello`},
		{logging.Auto, `"msg":"hello"`}, // a buffer is no terminal
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			var out bytes.Buffer
			logging.New(&out, tt.format, slog.LevelInfo).InfoContext(context.Background(), "hello")
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %s, want %s in it", out.String(), tt.want)
			}
		})
	}
}
