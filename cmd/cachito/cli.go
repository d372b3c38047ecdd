package main

import "github.com/willabides/kongplete"

const description = `Fetch a git repository's locked dependencies into one bundle that builds offline.

Exit codes: 0 done, 1 the request failed, 2 bad usage, 3 service not reachable.`

// cli is the command line: one field a command, one file a command.
type cli struct {
	Serve      serveCmd                     `cmd:"" help:"Run the service with everything embedded."`
	Fetch      fetchCmd                     `cmd:"" help:"Make a bundle here and now, without a service."`
	Request    requestCmd                   `cmd:"" help:"Send a request to a service."`
	Wait       waitCmd                      `cmd:"" help:"Follow a request until it is finished."`
	Download   downloadCmd                  `cmd:"" help:"Download and check a request's bundle."`
	Logs       logsCmd                      `cmd:"" help:"Print a request's log."`
	SBOM       sbomCmd                      `cmd:"" name:"sbom" help:"Print a request's software bill of materials."`
	Settings   settingsCmd                  `cmd:"" help:"List every setting, its default and meaning."`
	Completion kongplete.InstallCompletions `cmd:"" help:"Print the line that switches shell completion on."`
	Version    versionCmd                   `cmd:"" help:"Print the version."`
}
