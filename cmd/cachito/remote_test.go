package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Emulators' gateways have names such as http://62a01e96.execute-api.localhost:4566, and tell APIs apart by them.
func TestServiceBelowLocalhost(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Host
		_, _ = w.Write([]byte(`{"ok": true}`))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	want := "62a01e96.execute-api.localhost:" + port
	c, err := remote{API: "http://" + want}.client()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.JSON(t.Context(), "/status")
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != `{"ok": true}` || got != want {
		t.Errorf("answer %s for host %q, want that of %q", answer, got, want)
	}
}
