package npm

import (
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestPackages(t *testing.T) {
	const (
		workspaces = plainPackage + `-- repo/packages/ws1/package.json --
{"name": "ws1"}
-- repo/package-lock.json --
{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0","workspaces":["packages/*"]},
"node_modules/ws1":{"resolved":"packages/ws1","link":true},"packages/ws1":{"version":"0.1.0"}}}
`
		ws1  = "npm a 1.0.0\n  npm ws1 file:packages/ws1"
		isX  = `"node_modules/x":{"version":"1.0.0",`
		ssh  = "git+ssh://git@github.com/o/p.git#COMMIT"
		pTgz = "npm/external-p/p-2.3.4-external-gitcommit-COMMIT.tgz"
	)
	runCases(t, []scenarioCase{
		{"N50 name from the key", v3(`"node_modules/a":{"version":"1.0.0","resolved":"R/a/-/a-1.0.0.tgz"},
			"node_modules/a/node_modules/@b/c":{"version":"1.0.0","resolved":"R/@b/c/-/c-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm @b/c 1.0.0\n  npm a 1.0.0", "deps", "npm/@b/c/b-c-1.0.0.tgz\nnpm/a/a-1.0.0.tgz")},
		{"N51 alias", v3(`"node_modules/alias":{"name":"isarray","version":"2.0.5","resolved":"R/isarray/-/isarray-2.0.5.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm isarray 2.0.5", "deps", "npm/isarray/isarray-2.0.5.tgz")},
		{"N52 workspace", workspaces + want("packages", ws1, "deps", noDeps, "overlays", "")},
		{"N52 workspaces as an object", strings.Replace(workspaces, `["packages/*"]`, `{"packages":["packages/*"],"nohoist":[]}`, 1) + want("packages", ws1)},
		{"N53 workspace without a version", strings.Replace(workspaces, `{"version":"0.1.0"}`, `{}`, 1) + want("packages", ws1)},
		{"N54 no workspaces", strings.Replace(workspaces, `"workspaces":["packages/*"]`, `"x":1`, 1) + refused(fault.InvalidRepoStructure, "ws1@file:packages/ws1"+fileText)},
		{"N54 a workspace taken out", strings.Replace(workspaces, `["packages/*"]`, `["packages/*","!packages/ws1"]`, 1) + refused(fault.InvalidRepoStructure, "ws1@file:packages/ws1"+fileText)},
		{"N55 bundled", v3(isX+`"inBundle":true}`) + want("packages", "npm a 1.0.0\n  npm x 1.0.0 bundled", "deps", noDeps, "overlays", "")},
		{"N56 to be bundled", v3(isX+`"inBundle":true,"resolved":"R/x/-/x-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm x 1.0.0", "deps", "npm/x/x-1.0.0.tgz")},
		{"N57 devOptional", v3(isX+`"devOptional":true,"resolved":"R/x/-/x-1.0.0.tgz"}`) + want("packages", "npm a 1.0.0\n  npm x 1.0.0")},
		{"dev", v3(isX+`"dev":true,"resolved":"R/x/-/x-1.0.0.tgz"}`) + want("packages", "npm a 1.0.0\n  npm x 1.0.0 dev")},
		{"N58 another platform", v3(isX+`"optional":true,"os":["darwin"],"resolved":"R/x/-/x-1.0.0.tgz"}`) +
			want("packages", "npm a 1.0.0\n  npm x 1.0.0", "deps", "npm/x/x-1.0.0.tgz")},
		{"N59 git", v3(`"node_modules/p":{"version":"1.0.0","resolved":"`+ssh+`","integrity":"sha512-xyz","license":"MIT"}`) +
			want("packages", "npm a 1.0.0\n  npm p "+ssh, "deps", pTgz, "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "name": "a",
      "version": "1.0.0"
    },
    "node_modules/p": {
      "version": "1.0.0",
      "resolved": "file:../deps/`+pTgz+`",
      "integrity": "PACKED(p)",
      "license": "MIT"
    }
  }
}`)},
		{"N60 both halves", plainPackage + `-- repo/package-lock.json --
{"name":"a","version":"1.0.0","lockfileVersion":2,"packages":{"":{"name":"a","version":"1.0.0"},
"node_modules/x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"},
"node_modules/alias":{"name":"isarray","version":"2.0.5","resolved":"R/isarray/-/isarray-2.0.5.tgz"},
"node_modules/ms":{"version":"2.1.3","resolved":"R/ms/-/ms-2.1.3.tgz"},
"node_modules/p":{"version":"1.0.0","resolved":"` + ssh + `"}},
"dependencies":{"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz","requires":{"p":"o/p"}},
"alias":{"version":"npm:isarray@2.0.5","resolved":"R/isarray/-/isarray-2.0.5.tgz"},
"ms":{"version":"R/ms/-/ms-2.1.3.tgz"},
"only-here":{"version":"1.0.0","resolved":"R/only-here/-/only-here-1.0.0.tgz"},
"p":{"version":"` + ssh + `","from":"p@o/p"}}}
` + want("packages", "npm a 1.0.0\n  npm isarray 2.0.5\n  npm ms 2.1.3\n  npm p "+ssh+"\n  npm x 1.0.0", "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 2,
  "packages": {
    "": {
      "name": "a",
      "version": "1.0.0"
    },
    "node_modules/x": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/x/x-1.0.0.tgz"
    },
    "node_modules/alias": {
      "name": "isarray",
      "version": "2.0.5",
      "resolved": "file:../deps/npm/isarray/isarray-2.0.5.tgz"
    },
    "node_modules/ms": {
      "version": "2.1.3",
      "resolved": "file:../deps/npm/ms/ms-2.1.3.tgz"
    },
    "node_modules/p": {
      "version": "1.0.0",
      "resolved": "file:../deps/`+pTgz+`"
    }
  },
  "dependencies": {
    "x": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/x/x-1.0.0.tgz",
      "requires": {
        "p": ""
      }
    },
    "alias": {
      "version": "npm:isarray@2.0.5",
      "resolved": "file:../deps/npm/isarray/isarray-2.0.5.tgz"
    },
    "ms": {
      "version": "2.1.3",
      "resolved": "file:../deps/npm/ms/ms-2.1.3.tgz"
    },
    "only-here": {
      "version": "1.0.0",
      "resolved": "R/only-here/-/only-here-1.0.0.tgz"
    },
    "p": {
      "version": "2.3.4",
      "resolved": "file:../deps/`+pTgz+`",
      "integrity": "PACKED(p)"
    }
  }
}`)},
		{"N61 a package further down", `
-- request.json --
{"packages": [{"path": "a/b"}]}
-- repo/a/b/package.json --
{}
-- repo/a/b/package-lock.json --
{"name":"n","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}}}
` + want("packages", "npm n 1.0.0 (a/b)\n  npm x 1.0.0", "overlays", "a/b/package-lock.json", "reasons", `Fetching the npm dependencies at the "a/b" directory"`,
			"app/a/b/package-lock.json", `{
  "name": "n",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "packages": {
    "node_modules/x": {
      "version": "1.0.0",
      "resolved": "file:../../../deps/npm/x/x-1.0.0.tgz"
    }
  }
}`)},
		{"N61 a package behind a link", `
-- request.json --
{"packages": [{"path": "link"}], "links": {"link": "a/b"}}
-- repo/a/b/package.json --
{}
-- repo/a/b/package-lock.json --
{"name":"n","version":"1.0.0","lockfileVersion":1,"dependencies":{"x":{"version":"1.0.0","resolved":"R/x/-/x-1.0.0.tgz"}}}
` + want("packages", "npm n 1.0.0 (link)\n  npm x 1.0.0", "overlays", "a/b/package-lock.json", "app/a/b/package-lock.json", `{
  "name": "n",
  "version": "1.0.0",
  "lockfileVersion": 1,
  "dependencies": {
    "x": {
      "version": "1.0.0",
      "resolved": "file:../../../deps/npm/x/x-1.0.0.tgz",
      "integrity": "SRI(x-1.0.0.tgz)"
    }
  }
}`)},
		{"N62 specifications", `
-- repo/package.json --
{"name":"a","version":"1.0.0", "dependencies":{"p":"o/p","x":"^1.0.0","alias":"npm:isarray@2.0.5"}}
-- repo/package-lock.json --
{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0","dependencies":{"p":"o/p","x":"^1.0.0","alias":"npm:isarray@2.0.5"}},
"node_modules/p":{"version":"1.0.0","resolved":"` + ssh + `","dependencies":{"q":"https://x.test/q.tgz","f":"file:../f"},"peerDependencies":{"x":"git@h:x/x.git"},"bin":{"o/p":"o/p"}}}}
` + want("overlays", "package-lock.json\npackage.json", "app/package.json", `{
  "name": "a",
  "version": "1.0.0",
  "dependencies": {
    "p": "",
    "x": "^1.0.0",
    "alias": "npm:isarray@2.0.5"
  }
}`, "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "name": "a",
      "version": "1.0.0",
      "dependencies": {
        "p": "",
        "x": "^1.0.0",
        "alias": "npm:isarray@2.0.5"
      }
    },
    "node_modules/p": {
      "version": "1.0.0",
      "resolved": "file:../deps/`+pTgz+`",
      "dependencies": {
        "q": "",
        "f": "file:../f"
      },
      "peerDependencies": {
        "x": ""
      },
      "bin": {
        "o/p": "o/p"
      }
    }
  }
}`)},
		{"N63 a workspace's specification", strings.Replace(workspaces, `{"name": "ws1"}`, `{"name": "ws1", "dependencies": {"q": "https://x.test/q.tgz"}, "overrides": {"r": "o/r"}}`, 1) +
			want("overlays", "packages/ws1/package.json", "app/packages/ws1/package.json", `{
  "name": "ws1",
  "dependencies": {
    "q": ""
  },
  "overrides": {
    "r": "o/r"
  }
}`)},
		{"N64 nothing but registry dependencies", v3(isX+`"integrity":"SRI(x-1.0.0.tgz)"}`) + want("overlays", "package-lock.json")},
		{"no resolved (omit-lockfile-registry-resolved)", v3(isX+`"integrity":"SRI(x-1.0.0.tgz)"},"node_modules/b":{"resolved":false,"version":"1.0.0"}`) +
			want("packages", "npm a 1.0.0\n  npm b 1.0.0\n  npm x 1.0.0", "deps", "npm/b/b-1.0.0.tgz\nnpm/x/x-1.0.0.tgz", "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "name": "a",
      "version": "1.0.0"
    },
    "node_modules/x": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/x/x-1.0.0.tgz",
      "integrity": "SRI(x-1.0.0.tgz)"
    },
    "node_modules/b": {
      "version": "1.0.0",
      "resolved": "file:../deps/npm/b/b-1.0.0.tgz"
    }
  }
}`)},
		{"no version and no resolved", v3(`"node_modules/x":{}`) + refused(fault.InvalidRepoStructure, "x@file:node_modules/x"+fileText)},
		{"overrides", `
-- repo/package.json --
{"name":"a","version":"1.0.0","dependencies":{"fecha":"https://x.test/f.tgz","x":"^1"},"overrides":{"fecha":"https://x.test/f.tgz","x":{".":"1.0.0","p@^1":"o/p#main"},"unused":"o/unused","b":"2.0.0"}}
-- repo/package-lock.json --
{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0","dependencies":{"fecha":"https://x.test/f.tgz","x":"^1"}},
"node_modules/fecha":{"version":"4.2.0","resolved":"https://x.test/f.tgz","integrity":"SRI(f.tgz)"},
"node_modules/p":{"version":"1.0.0","resolved":"` + ssh + `"}}}
` + want("app/package.json", `{
  "name": "a",
  "version": "1.0.0",
  "dependencies": {
    "fecha": "file:../deps/npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz",
    "x": "^1"
  },
  "overrides": {
    "fecha": "file:../deps/npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz",
    "x": {
      ".": "1.0.0",
      "p@^1": "file:../deps/`+pTgz+`"
    },
    "unused": "",
    "b": "2.0.0"
  }
}`, "app/package-lock.json", `{
  "name": "a",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "name": "a",
      "version": "1.0.0",
      "dependencies": {
        "fecha": "file:../deps/npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz",
        "x": "^1"
      }
    },
    "node_modules/fecha": {
      "version": "4.2.0",
      "resolved": "file:../deps/npm/external-fecha/fecha-4.2.0-external-sha512-HEX(f.tgz).tgz",
      "integrity": "SRI(f.tgz)"
    },
    "node_modules/p": {
      "version": "1.0.0",
      "resolved": "file:../deps/`+pTgz+`"
    }
  }
}`)},
	})
}
