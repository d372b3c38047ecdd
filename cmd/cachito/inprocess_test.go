package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestInProcess(t *testing.T) {
	handler := http.NewServeMux()
	handler.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Was", r.RequestURI)
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "not sent")
		_, _ = io.Copy(w, r.Body)
	})
	handler.HandleFunc("GET /silent", func(http.ResponseWriter, *http.Request) {})
	handler.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100_000 {
			if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
				return
			}
		}
	})
	c := &http.Client{Transport: inProcess{handler}}

	resp, err := c.Post("http://here/echo?a=b", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(resp.StatusCode, string(body), resp.Header)
	if want := "201hellomap[X-Was:[/echo?a=b]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	resp, err = c.Get("http://here/silent")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.StatusCode, http.StatusOK; got != want {
		t.Errorf("a handler that says nothing: got %d, want %d", got, want)
	}

	resp, err = c.Get("http://here/large")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if want := int64(1_088_890); err != nil || n != want {
		t.Errorf("large body: got %d bytes and %v, want %d", n, err, want)
	}
}

func TestInProcessEndsWithItsContext(t *testing.T) {
	ended := make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://here/", nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := (&http.Client{Transport: inProcess{handler}}).Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	<-ended
}
