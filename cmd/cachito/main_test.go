package main

import (
	"os"
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
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"service": service,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_PROXY", "127.0.0.1")
			// Nothing listens on port 1.
			env.Setenv("CACHITO_API", "http://127.0.0.1:1")
			env.Setenv("GOCOVERDIR", os.Getenv("GOCOVERDIR"))
			return nil
		},
	})
}
