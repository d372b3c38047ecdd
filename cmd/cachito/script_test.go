package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// exits runs a program and compares its exit code, which `! exec` does not tell.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

const (
	fakeBundle  = "the bytes of a bundle\n"
	fakeUpdated = "2026-11-25T10:00:00.000000"
)

// service starts a fake Cachito with these requests:
//
//	1 complete · 2 failed · 3 in progress, for ever · 4 complete, its bundle is damaged on the way
//	5 complete, its bundle is a redirect · 6 stale · 7 in progress, complete at the third look
//
// A POST makes request 7; its body and Authorization header are written to the file posted.
func service(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: service")
	}
	posted := ts.MkAbs("posted")
	mux := http.NewServeMux()
	var looks atomic.Int64
	state := func(id int) (string, string) {
		switch id {
		case 1, 4, 5:
			return "complete", "Completed successfully"
		case 2:
			return "failed", "The go.sum file is missing"
		case 3:
			return "in_progress", "Fetching the application source"
		case 6:
			return "stale", "The request has expired"
		case 7:
			if looks.Add(1) < 3 {
				return "in_progress", "Fetching the application source"
			}
			return "complete", "Completed successfully"
		}
		return "", ""
	}
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	verbose := func(id int) map[string]any {
		name, reason := state(id)
		r := map[string]any{
			"id": id, "repo": "https://example.org/repo", "ref": "c0ffee", "pkg_managers": []string{"gomod"},
			"state": name, "state_reason": reason, "dependencies": []any{},
			"packages": []any{map[string]any{"name": "example.org/m", "type": "gomod", "version": "v1.0.0"}},
			"state_history": []any{
				map[string]any{"state": name, "state_reason": reason, "updated": fakeUpdated},
				map[string]any{"state": "in_progress", "state_reason": "The request was initiated", "updated": fakeUpdated},
			},
		}
		if name == "failed" {
			r["error_origin"], r["error_type"] = "client", "InvalidRepoStructure"
		}
		return r
	}
	mux.HandleFunc("POST /api/v1/requests", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Repo string `json:"repo"`
		}
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(raw, &body)
		}
		switch {
		case err != nil:
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		case body.Repo == "refuse":
			answer(w, http.StatusBadRequest, map[string]string{"error": "'x' is too short"})
		case body.Repo == "gateway":
			w.WriteHeader(http.StatusBadGateway)
		default:
			seen := fmt.Sprintf("Authorization: %s\n%s\n", r.Header.Get("Authorization"), raw)
			if err := os.WriteFile(posted, []byte(seen), 0o600); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			answer(w, http.StatusCreated, verbose(7))
		}
	})
	mux.HandleFunc("GET /api/v1/requests/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if name, _ := state(id); err != nil || name == "" {
			answer(w, http.StatusNotFound, map[string]string{"error": "The requested resource was not found"})
			return
		}
		answer(w, http.StatusOK, verbose(id))
	})
	mux.HandleFunc("GET /api/v1/requests/{id}/progress", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, map[string]string{"error": "The requested resource was not found"})
	})
	digest := func(w http.ResponseWriter) {
		sum := sha256.Sum256([]byte(fakeBundle))
		w.Header().Set("Digest", "sha-256="+base64.StdEncoding.EncodeToString(sum[:]))
	}
	mux.HandleFunc("GET /api/v1/requests/{id}/download", func(w http.ResponseWriter, r *http.Request) {
		digest(w)
		switch r.PathValue("id") {
		case "4":
			fmt.Fprint(w, "damaged on the way")
		case "5":
			http.Redirect(w, r, "/object", http.StatusFound)
		default:
			fmt.Fprint(w, fakeBundle)
		}
	})
	mux.HandleFunc("GET /object", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, fakeBundle) })
	mux.HandleFunc("GET /api/v1/requests/{id}/logs", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "a line of the log")
	})
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("CACHITO_API", server.URL)
}
