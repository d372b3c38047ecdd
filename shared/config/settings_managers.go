package config

// managerSettings are read by one package manager's resolver each.
var managerSettings = []setting{
	{
		"CACHITO_GO", groupGo, "go",
		"The go command (name or path). Other versions that a go.mod asks for are fetched and verified.",
		forManager("gomod", "go_command", line),
	},
	{
		"CACHITO_GOPROXY", groupGo, "https://proxy.golang.org,direct",
		"Go module proxies, in the form of GOPROXY. `direct` makes tagged versions of modules that no proxy has from their git repositories, with the mirrors and credentials of sources.",
		forManager("gomod", "goproxy", line),
	},
	{
		"CACHITO_GOSUMDB", groupGo, "sum.golang.org",
		"Go checksum database, in the form of GOSUMDB.",
		forManager("gomod", "gosumdb", line),
	},
	{
		"CACHITO_GONOSUMDB", groupGo, "",
		"Module path patterns that are not looked up in the checksum database, in the form of GONOSUMDB.",
		forManager("gomod", "gonosumdb", line),
	},
	{
		"CACHITO_GOPRIVATE", groupGo, "",
		"Module path patterns of private modules, in the form of GOPRIVATE.",
		forManager("gomod", "goprivate", line),
	},
	{
		"CACHITO_GOMOD_STRICT_VENDOR", groupGo, "false",
		"`true`: a repository with a vendor folder must be requested with a vendor flag.",
		forManager("gomod", "strict_vendor", truth),
	},
	{
		"CACHITO_GOMOD_IGNORE_MISSING_GOMOD_FILE", groupGo, "true",
		"`true`: a single path without a go.mod is skipped; `false`: it fails the request.",
		forManager("gomod", "ignore_missing_gomod_file", truth),
	},

	{
		"CACHITO_NPM_REGISTRY", groupNPM, "https://registry.npmjs.org/",
		"Registry that npm packages come from. Lock files that name the public registries are read from here; others keep their URL.",
		forManager("npm", "registry", baseURL),
	},
	{
		"CACHITO_NPM_REGISTRY_HOSTS", groupNPM, `["registry.npmjs.org","registry.yarnpkg.com"]`,
		"Hosts of lock files that stand for the registry; tarballs on other hosts need an integrity value (comma list or JSON array).",
		forManager("npm", "registry_hosts", names),
	},
	{
		"CACHITO_NPM_FILE_DEPS_ALLOWLIST", groupNPM, "{}",
		"`file:` dependencies that are allowed besides workspaces: JSON, package name to names of dependencies.",
		forManager("npm", "file_deps_allowlist", nameLists),
	},

	{
		"CACHITO_YARN_REGISTRY", groupYarn, "https://registry.yarnpkg.com/",
		"Registry that yarn packages come from. Lock files that name the public registries are read from here; others keep their URL.",
		forManager("yarn", "registry", baseURL),
	},
	{
		"CACHITO_YARN_REGISTRY_HOSTS", groupYarn, `["registry.npmjs.org","registry.yarnpkg.com"]`,
		"Hosts of lock files that stand for the registry; tarballs on other hosts need an integrity value (comma list or JSON array).",
		forManager("yarn", "registry_hosts", names),
	},
	{
		"CACHITO_YARN_JSR_REGISTRY", groupYarn, "https://npm.jsr.io/",
		"Registry of the scope @jsr (Yarn 4), unless a repository names another.",
		forManager("yarn", "jsr_registry", baseURL),
	},
	{
		"CACHITO_YARN_FILE_DEPS_ALLOWLIST", groupYarn, "{}",
		"`file:` dependencies that are allowed besides workspaces: JSON, package name to names of dependencies.",
		forManager("yarn", "file_deps_allowlist", nameLists),
	},

	{
		"CACHITO_PNPM_REGISTRY", groupPNPM, "https://registry.npmjs.org/",
		"Registry that pnpm packages come from. Lock files and configuration that name the public registries are read from here; others keep their URL.",
		forManager("pnpm", "registry", baseURL),
	},
	{
		"CACHITO_PNPM_REGISTRY_HOSTS", groupPNPM, `["registry.npmjs.org","registry.yarnpkg.com"]`,
		"Hosts of lock files that stand for the registry (comma list or JSON array).",
		forManager("pnpm", "registry_hosts", names),
	},
	{
		"CACHITO_PNPM_JSR_REGISTRY", groupPNPM, "https://npm.jsr.io/",
		"Registry of the scope @jsr, unless a repository names another.",
		forManager("pnpm", "jsr_registry", baseURL),
	},

	{
		"CACHITO_PIP_INDEX_URL", groupPip, "https://pypi.org/simple/",
		"Index that Python packages come from: the simple API, HTML or JSON.",
		forManager("pip", "index_url", baseURL),
	},
	{
		"CACHITO_PIP_ALLOWED_INDEXES", groupPip, "[]",
		"Hosts that requirements files may name with --index-url besides the configured index's (comma list or JSON array).",
		forManager("pip", "allowed_indexes", names),
	},
	{
		"CACHITO_PIP_REFUSE_YANKED", groupPip, "false",
		"`true`: a version of which every file was yanked fails the request; `false`: it is fetched with a warning, as pip does with pinned versions.",
		forManager("pip", "refuse_yanked", truth),
	},
	{
		"CACHITO_PIP_ALLOW_WEAK_HASHES", groupPip, "false",
		"`true`: md5 and sha1 in requirements files count; `false`: only beside a stronger hash.",
		forManager("pip", "allow_weak_hashes", truth),
	},
	{
		"CACHITO_PIP_CRATES_URL", groupPip, "",
		"Base URL of crates.io's files, `https://static.crates.io/crates/`: the crates that sdists with Rust extensions lock are put into the bundle and reported. Empty: they are not, as with Cachito.",
		forManager("pip", "crates_url", optionalURL),
	},
	{
		"CACHITO_PIP_REFUSE_TRUSTED_HOST", groupPip, "false",
		"`true`: a requirements file with --trusted-host fails the request; `false`: a warning. Certificates are checked either way.",
		forManager("pip", "refuse_trusted_host", truth),
	},

	{
		"CACHITO_RUBYGEMS_URL", groupRuby, "https://rubygems.org/",
		"Where gems come from.",
		forManager("rubygems", "url", baseURL),
	},
	{
		"CACHITO_RUBYGEMS_REMOTE", groupRuby, "https://rubygems.org/",
		"The only remote that a Gemfile.lock may name for gems of a registry.",
		forManager("rubygems", "remote", baseURL),
	},

	{
		"CACHITO_CARGO_CRATES_URL", groupCargo, "https://static.crates.io/crates/",
		"Base URL of crates.io's files. Other registries are asked where a Cargo.lock says that they are.",
		forManager("cargo", "crates_url", baseURL),
	},
}
