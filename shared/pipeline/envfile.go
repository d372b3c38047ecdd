package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
)

// EnvFileName is the file at the bundle's root that sets the environment for a build. It is never
// among the configuration files: OSBS writes a file of the same name itself.
const EnvFileName = "cachito.env"

// envHeader finds the bundle's own folder in any POSIX shell: told by the caller, or by the path of
// the sourced file (bash, zsh), or upward from the working directory (dash knows no better).
const envHeader = `# Source this file: it sets what a build from this bundle needs, wherever the bundle lies.
#   . ./cachito.env
# If your shell cannot tell where the file is, set CACHITO_BUNDLE to the bundle's folder first.
if [ -z "${CACHITO_BUNDLE:-}" ]; then
  if [ -n "${BASH_SOURCE:-}" ]; then
    CACHITO_BUNDLE=$(CDPATH= cd -- "$(dirname -- "$BASH_SOURCE")" && pwd)
  elif [ -n "${ZSH_VERSION:-}" ]; then
    CACHITO_BUNDLE=$(eval 'CDPATH= cd -- "$(dirname -- "${(%):-%x}")" && pwd')
  else
    CACHITO_BUNDLE=$PWD
    while [ ! -f "$CACHITO_BUNDLE/cachito.env" ] && [ -n "$CACHITO_BUNDLE" ]; do
      CACHITO_BUNDLE=${CACHITO_BUNDLE%/*}
    done
  fi
fi
if [ ! -f "${CACHITO_BUNDLE:-}/cachito.env" ]; then
  echo "cachito.env: cannot find the bundle; set CACHITO_BUNDLE to its folder" >&2
  unset CACHITO_BUNDLE
  return 1 2>/dev/null || exit 1
fi
export CACHITO_BUNDLE
`

// envFile makes the content of cachito.env. The same variables always give the same bytes.
func envFile(vars map[string]request.EnvironmentVariable) []byte {
	var b strings.Builder
	b.WriteString(envHeader)
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !shellName(name) { // a variable set through PATCH may have any name; no shell can hold it
			continue
		}
		v := vars[name]
		if v.Kind == "path" {
			fmt.Fprintf(&b, "export %s=\"$CACHITO_BUNDLE\"/%s\n", name, quote(v.Value))
			continue
		}
		fmt.Fprintf(&b, "export %s=%s\n", name, quote(v.Value))
	}
	return []byte(b.String())
}

func shellName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// quote makes one shell word of any text.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
