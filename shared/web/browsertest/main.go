// Command browsertest makes the world that the browser tests look at: a data folder full of requests, which
// `cachito serve` is then started on, and git repositories on loopback.
//
//	browsertest DIR
//
// fills the service's data folder DIR, then prints one line of JSON (world) and obeys commands on a loopback
// port until its standard input ends. Everything in it is made up; times are relative to now, so that pages
// always say the same.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// world is what the tests are told.
type world struct {
	Control string `json:"control"` // URL that takes commands (seed.commands)
	Git     string `json:"git"`     // URL of a repository without dependencies
	Ref     string `json:"ref"`     // its commit
	IDs     ids    `json:"ids"`
}

// ids are the requests that tests look at.
type ids struct {
	Complete int64 `json:"complete"`
	Large    int64 `json:"large"` // 50,000 dependencies
	Hostile  int64 `json:"hostile"`
	Failed   int64 `json:"failed"`
	Stale    int64 `json:"stale"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: browsertest DIR")
		os.Exit(2)
	}
	if err := serve(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "browsertest:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, dir string) (err error) {
	s, err := openSeed(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	w := world{}
	if w.IDs, err = s.fill(ctx); err != nil {
		return err
	}

	repositories, err := gitrepotest.Start(filepath.Join(dir, "repositories"))
	if err != nil {
		return err
	}
	defer repositories.Close()
	w.Git = repositories.URL("team/hello")
	w.Ref = repositories.Init("team/hello").Commit(map[string]string{
		"README.md": "Hello\n", "src/main.c": "int main(void) { return 0; }\n",
	})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.commands(repositories), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	w.Control = "http://" + listener.Addr().String()
	if err := json.NewEncoder(os.Stdout).Encode(w); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
