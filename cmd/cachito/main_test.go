package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cachito": main})
}

// TestScripts runs testdata/*.txtar: one behaviour of the command line each. Besides testscript's
// own commands they have
//
//	exits CODE PROGRAM ARGS...   runs a program, whose exit code must be CODE
//	service                      starts a fake Cachito service and sets CACHITO_API
//	gitserver FOLDER             serves the folder's files as a git repository: REPO, REF, tag v1.0.0
//	npmregistry FOLDER           serves the folder's subfolders as npm packages: CACHITO_NPM_REGISTRY
//	pypi FOLDER                  serves the folder's subfolders as Python sdists: CACHITO_PIP_INDEX_URL
//	connect FILE                 waits for a port in the file and sets CACHITO_API to it
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"service":   service,
			"gitserver": gitserver,
			"connect":   connect,

			"npmregistry": npmregistry,
			"pypi":        pypi,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_PROXY", "127.0.0.1")
			// Nothing listens on port 1.
			env.Setenv("CACHITO_API", "http://127.0.0.1:1")
			env.Setenv("GOCOVERDIR", os.Getenv("GOCOVERDIR"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			for name, value := range map[string]string{
				"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
				"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@git.example", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
				"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@git.example", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
			} {
				env.Setenv(name, value)
			}
			return nil
		},
	})
}
