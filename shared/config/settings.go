package config

import (
	"math"
	"net"
	"strings"
)

// setting is one row of the table: everything the program knows of one environment variable.
type setting struct {
	name     string
	group    string
	fallback string
	meaning  string
	// set parses the value (the fallback when there is none). Its error's text says what was
	// expected, or is an *Error with a sentence of its own.
	set func(c *Config, value string) error
}

// Groups, in the order in which they are documented.
const (
	groupService = "Service"
	groupAWS     = "AWS"
	groupAPI     = "API"
	groupNetwork = "Network and repositories"
	groupGo      = "gomod"
	groupNPM     = "npm"
	groupYarn    = "yarn"
	groupPNPM    = "pnpm"
	groupPip     = "pip"
	groupRuby    = "rubygems"
	groupCargo   = "cargo"
	groupLogging = "Logging"
	groupWatch   = "Metrics and traces"
)

// Bounds of numeric settings.
const (
	maxWorkers   = 256
	maxPerPage   = 10_000
	maxDownloads = 1024
	// maxLargeAnswers bounds the large answers that are made at once.
	maxLargeAnswers = 1024
)

// settings lists every setting once. The order is that of the documentation; LOGIN_DISABLED comes
// after what its automatic value is made from.
var settings = []setting{
	{
		"CACHITO_DATA_DIR", groupService, "cachito-data",
		"Folder of the embedded service: database, caches, bundles. One `serve` at a time may use it. Functions use the machine's temporary folder.",
		func(c *Config, v string) error { return text(&c.DataDir, v) },
	},
	{
		"CACHITO_LISTEN", groupService, "127.0.0.1:8080",
		"Address and port of the HTTP server; port 0 takes a free one.",
		func(c *Config, v string) error { return listenAddress(&c.Listen, v) },
	},
	{
		"CACHITO_PUBLIC_URL", groupService, "",
		"Scheme, host and path prefix of the links in answers, when a proxy hides them. Empty: as the client addressed the service.",
		func(c *Config, v string) error { return httpURL(&c.PublicURL, v) },
	},
	{
		"CACHITO_TRUST_FORWARDED", groupService, "false",
		"Build links from X-Forwarded-Proto, -Host and -Prefix. Only behind a proxy that sets them.",
		func(c *Config, v string) error { return boolean(&c.TrustForwarded, v) },
	},
	{
		"CACHITO_WORKERS", groupService, "4",
		"Steps of requests that run side by side.",
		func(c *Config, v string) error { return number(&c.Workers, v, 1, maxWorkers) },
	},
	{
		"CACHITO_CACHE_MAX_BYTES", groupService, "50GiB",
		"What the storage, a folder or a bucket, may hold before the least recently used is removed, and the cache of git packs on disk " +
			"(`800MB`, `50GiB`); `0`: no limit.",
		func(c *Config, v string) error { return byteSize(&c.CacheMaxBytes, v) },
	},
	{
		"CACHITO_CACHE_GRACE", groupService, "1h",
		"What was used so lately stays, however full the storage is. Uses are noted four times in it: on S3 each note is a write, so days save money there.",
		func(c *Config, v string) error { return duration(&c.CacheGrace, v) },
	},
	{
		"CACHITO_REQUEST_LIFETIME", groupService, "1d",
		"Complete and unfinished requests become stale this long after their last change (a bare number counts days; `36h`, `1d`).",
		func(c *Config, v string) error { return lifetime(&c.Lifetime, v) },
	},
	{
		"CACHITO_REQUEST_LIFETIME_FAILED", groupService, "7d",
		"The same for failed requests.",
		func(c *Config, v string) error { return lifetime(&c.LifetimeFailed, v) },
	},
	{
		"CACHITO_RESEND_AFTER", groupService, "15m",
		"A step that nobody works on, and whose message is older than everything in its queue by this, counts as lost and is sent again.",
		func(c *Config, v string) error { return duration(&c.ResendAfter, v) },
	},
	{
		"CACHITO_TOOL_DIR", groupService, "",
		"Folder for Go toolchains, kept between requests. Empty: `toolchains` in the data folder.",
		func(c *Config, v string) error { return text(&c.ToolDir, v) },
	},

	{
		"CACHITO_TABLE", groupAWS, "",
		"Functions only, which need it: name of the table on DynamoDB. Functions know region, endpoint and credentials from AWS's own variables.",
		func(c *Config, v string) error { return text(&c.Table, v) },
	},
	{
		"CACHITO_BUCKET", groupAWS, "",
		"Functions only, which need it: name of the bucket on S3.",
		func(c *Config, v string) error { return text(&c.Bucket, v) },
	},
	{
		"CACHITO_QUEUE_PREFIX", groupAWS, "",
		"Functions only, which need it: what the names of the queues on SQS begin with, before `-source`, `-resolve-gomod`, `-dead-letter` ...",
		func(c *Config, v string) error { return text(&c.QueuePrefix, v) },
	},
	{
		"CACHITO_S3_PUBLIC_ENDPOINT", groupAWS, "",
		"Functions only: endpoint of S3 in the URLs that downloads are redirected to, when clients reach it under another name than the functions do.",
		func(c *Config, v string) error { return httpURL(&c.S3PublicEndpoint, v) },
	},

	{
		"CACHITO_PACKAGE_MANAGERS", groupAPI, "default",
		"Package managers that requests may name (comma list or JSON array). `default` stands for those that upstream Cachito has, `all` for every one that this program can resolve; `default,pnpm` adds one. Upstream enables only gomod: set `gomod` to get that. `cachito fetch` takes `default` for `all`.",
		func(c *Config, v string) error { return list(&c.PackageManagers, v) },
	},
	{
		"CACHITO_DEFAULT_PACKAGE_MANAGERS", groupAPI, "gomod",
		"Package managers of a request that names none.",
		func(c *Config, v string) error {
			if err := list(&c.DefaultPackageManagers, v); err != nil {
				return err
			}
			if len(c.DefaultPackageManagers) == 0 {
				return &Error{Message: `The configuration "CACHITO_DEFAULT_PACKAGE_MANAGERS" must be set`}
			}
			return nil
		},
	},
	{
		"CACHITO_DEFAULT_ENVIRONMENT_VARIABLES", groupAPI, "",
		"Variables that builds get besides those of the package managers: JSON, `{\"gomod\": {\"GOFLAGS\": {\"value\": \"-mod=mod\", \"kind\": \"literal\"}}}`. They replace a package manager's literals, never its paths.",
		func(c *Config, v string) error { return variables(&c.DefaultEnvironment, v) },
	},
	{
		"CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", groupAPI, `[["npm", "yarn"]]`,
		"Pairs that may not work on the same path: JSON, or `npm:yarn,gomod:git-submodule`.",
		func(c *Config, v string) error { return pairs(&c.MutuallyExclusive, v) },
	},
	{
		"CACHITO_MAX_PER_PAGE", groupAPI, "100",
		"Upper bound of `per_page`, applied silently.",
		func(c *Config, v string) error { return number(&c.MaxPerPage, v, 1, maxPerPage) },
	},
	{
		"CACHITO_REQUEST_FILE_LOGS_DIR", groupAPI, "true",
		"Requests have logs that clients can read: `true` or `false`. An absolute path, upstream's form, counts as `true`; logs lie in the data folder either way.",
		func(c *Config, v string) error {
			if strings.HasPrefix(v, "/") {
				c.LogsEnabled = true
				return nil
			}
			return boolean(&c.LogsEnabled, v)
		},
	},
	{
		"CACHITO_USER_REPRESENTATIVES", groupAPI, "[]",
		"Users that may send requests in another user's name, in the form that their identity has (docs/identity.md). The subject of a certificate has commas: write a JSON array.",
		func(c *Config, v string) error { return list(&c.UserRepresentatives, v) },
	},
	{
		"CACHITO_WORKER_USERNAMES", groupAPI, "[]",
		"Users that may change requests (PATCH, POST configuration-files).",
		func(c *Config, v string) error { return list(&c.WorkerUsernames, v) },
	},
	{
		"CACHITO_IDENTITY_HEADER", groupAPI, "",
		"Request header in which a trusted proxy names the user. Set it only where the service cannot be reached past that proxy.",
		func(c *Config, v string) error { return headerName(&c.IdentityHeader, v) },
	},
	{
		"CACHITO_TRUSTED_PROXIES", groupAPI, "",
		"Addresses and networks (`192.0.2.7,10.0.0.0/8`) from which the identity header and X-Forwarded-* count. Empty: they count from everybody who can reach the service.",
		func(c *Config, v string) error { return networks(&c.TrustedProxies, v) },
	},
	{
		"CACHITO_TLS_CERT", groupAPI, "",
		"PEM file with the service's certificate and those between it and its root. With CACHITO_TLS_KEY the service speaks https, otherwise http.",
		func(c *Config, v string) error { return text(&c.TLSCert, v) },
	},
	{
		"CACHITO_TLS_KEY", groupAPI, "",
		"PEM file with the key of CACHITO_TLS_CERT.",
		func(c *Config, v string) error { return text(&c.TLSKey, v) },
	},
	{
		"CACHITO_TLS_CLIENT_CA", groupAPI, "",
		"PEM file with the roots of client certificates: the subject of one that they vouch for is its owner's identity. Needs CACHITO_TLS_CERT.",
		func(c *Config, v string) error { return text(&c.TLSClientCA, v) },
	},
	{
		"CACHITO_KERBEROS_KEYTAB", groupAPI, "",
		"Keytab file of the service. With it callers may log in with Kerberos tickets (`Authorization: Negotiate`), and are asked to.",
		func(c *Config, v string) error { return text(&c.KerberosKeytab, v) },
	},
	{
		"CACHITO_KERBEROS_SERVICE", groupAPI, "",
		"Principal that tickets must be for, such as `HTTP/cachito.example.com@EXAMPLE.COM`. Empty: each one of the keytab that begins with `HTTP/`.",
		func(c *Config, v string) error { return text(&c.KerberosService, v) },
	},
	{
		"CACHITO_KERBEROS_REALMS", groupAPI, "",
		"Realms whose users are let in. Empty: every realm that the service's own KDC trusts.",
		func(c *Config, v string) error { return list(&c.KerberosRealms, v) },
	},
	{
		"CACHITO_KERBEROS_MAX_SKEW", groupAPI, "5m",
		"How far the clocks of clients and KDC may be off, 1s to 1h.",
		func(c *Config, v string) error { return skew(&c.KerberosMaxSkew, v) },
	},
	{
		"CACHITO_GATEWAY_CLAIM", groupAPI, "sub",
		"Behind API Gateway with a JWT authorizer: the claim that names the user.",
		func(c *Config, v string) error { return text(&c.GatewayClaim, v) },
	},
	{
		"LOGIN_DISABLED", groupAPI, "auto",
		"`true`: callers without an identity may do everything. `auto`: true when the service listens on a loopback address and no identity header, keytab or client CA is set, else false (upstream's default, and that of functions).",
		func(c *Config, v string) error {
			if v == "auto" {
				c.LoginDisabled = c.OnLoopback() && !c.KnowsUsers() && c.Table == ""
				return nil
			}
			return boolean(&c.LoginDisabled, v)
		},
	},
	{
		"CACHITO_TRUST_USER", groupAPI, "false",
		"`true`: without login, the `user` of a request is recorded unverified instead of being refused. For clients such as atomic-reactor that always send one.",
		func(c *Config, v string) error { return boolean(&c.TrustUser, v) },
	},
	{
		"CACHITO_DOWNLOAD", groupAPI, DownloadAuto,
		"How bundles are answered: `stream` (200), `redirect` (302 to a presigned URL) or `auto` (small ones inline, else a redirect where the storage has URLs).",
		func(c *Config, v string) error {
			return oneOf(&c.Download, v, DownloadAuto, DownloadRedirect, DownloadStream)
		},
	},
	{
		"CACHITO_LARGE_ANSWERS", groupAPI, "2",
		"How many answers made of more than 1 MiB of packages data are made at once, each in up to three times as much memory. Other clients wait 10 s for their turn, then they get 503 with `Retry-After`.",
		func(c *Config, v string) error { return number(&c.LargeAnswers, v, 1, maxLargeAnswers) },
	},

	{
		"CACHITO_MIRRORS", groupNetwork, "",
		"URL prefixes and where to fetch them from instead, like git's insteadOf: `https://github.com/=https://mirror.example/github/,...` or a JSON object. The longest prefix counts. Reports keep the original URL.",
		func(c *Config, v string) error { return mirrors(&c.Mirrors, v) },
	},
	{
		"CACHITO_NETRC", groupNetwork, "",
		"File with credentials in netrc form, matched by host. Never sent anywhere else, never logged.",
		func(c *Config, v string) error { return text(&c.Netrc, v) },
	},
	{
		"CACHITO_BEARER_TOKENS", groupNetwork, "",
		"File with one `host token` pair a line, sent as `Authorization: Bearer` to that host only.",
		func(c *Config, v string) error { return text(&c.BearerTokens, v) },
	},
	{
		"CACHITO_ALLOW_HOSTS", groupNetwork, "",
		"Hosts (`name` or `name:port`) that may be reached although their address is loopback or private.",
		func(c *Config, v string) error { return list(&c.AllowHosts, v) },
	},
	{
		"CACHITO_CA_CERT", groupNetwork, "",
		"PEM file with certificates trusted besides the system's.",
		func(c *Config, v string) error { return text(&c.CACert, v) },
	},
	{
		"CACHITO_MAX_DOWNLOADS", groupNetwork, "32",
		"HTTP requests that run at a time, all requests of users together.",
		func(c *Config, v string) error { return number(&c.MaxDownloads, v, 1, maxDownloads) },
	},
	{
		"CACHITO_MAX_DOWNLOADS_PER_HOST", groupNetwork, "32",
		"The same for one host. Lower it for a registry that limits its clients.",
		func(c *Config, v string) error { return number(&c.MaxDownloadsPerHost, v, 1, maxDownloads) },
	},
	{
		"HTTPS_PROXY", groupNetwork, "",
		"Proxy for https URLs.",
		func(c *Config, v string) error { return proxyURL(&c.HTTPSProxy, v) },
	},
	{
		"HTTP_PROXY", groupNetwork, "",
		"Proxy for http URLs.",
		func(c *Config, v string) error { return proxyURL(&c.HTTPProxy, v) },
	},
	{
		"NO_PROXY", groupNetwork, "",
		"Hosts, domains and networks that are reached without a proxy.",
		func(c *Config, v string) error { return text(&c.NoProxy, v) },
	},
	{
		"CACHITO_SSH_KEY", groupNetwork, "",
		"Private key file for ssh repositories.",
		func(c *Config, v string) error { return text(&c.SSHKey, v) },
	},
	{
		"CACHITO_KNOWN_HOSTS", groupNetwork, "",
		"known_hosts file; an ssh host that is not in it is refused.",
		func(c *Config, v string) error { return text(&c.KnownHosts, v) },
	},
	{
		"CACHITO_TAGS_REFRESH", groupNetwork, "false",
		"`true`: read a commit's tags anew for each request; else those of its first fetch are kept, so that the same request keeps its bytes.",
		func(c *Config, v string) error { return boolean(&c.TagsRefresh, v) },
	},
	{
		"CACHITO_SOURCE_MAX_BYTES", groupNetwork, "4GiB",
		"What one transfer of a repository may have.",
		func(c *Config, v string) error { return byteLimit(&c.SourceMaxBytes, v) },
	},
	{
		"CACHITO_SOURCE_MAX_TREE_BYTES", groupNetwork, "16GiB",
		"What all files of a commit may have together.",
		func(c *Config, v string) error { return byteLimit(&c.SourceMaxTreeBytes, v) },
	},
	{
		"CACHITO_SOURCE_MAX_ENTRIES", groupNetwork, "1000000",
		"How many files, links and folders a commit may have.",
		func(c *Config, v string) error { return number(&c.SourceMaxEntries, v, 1, math.MaxInt32) },
	},
	{
		"CACHITO_SOURCE_TIMEOUT", groupNetwork, "30m",
		"How long fetching a repository may take.",
		func(c *Config, v string) error { return duration(&c.SourceTimeout, v) },
	},

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

	{
		"CACHITO_LOG_LEVEL", groupLogging, "info",
		"`debug`, `info`, `warn` or `error`.",
		func(c *Config, v string) error { return level(&c.LogLevel, v) },
	},
	{
		"CACHITO_LOG_FORMAT", groupLogging, LogAuto,
		"`json`, `text`, or `auto`: text on a terminal, else JSON.",
		func(c *Config, v string) error { return oneOf(&c.LogFormat, v, LogAuto, LogJSON, LogText) },
	},

	{
		"CACHITO_METRICS_LISTEN", groupWatch, "",
		"Embedded service: address and port where Prometheus finds metrics at `/metrics`, such as `127.0.0.1:9464`. Whoever reaches it may read them. Empty: nowhere.",
		func(c *Config, v string) error {
			if v == "" {
				return nil
			}
			return listenAddress(&c.MetricsListen, v)
		},
	},
	{
		"CACHITO_METRICS_NAMESPACE", groupWatch, "Cachito",
		"Functions: the namespace of their metrics on CloudWatch, or `off`.",
		func(c *Config, v string) error { return namespace(&c.MetricsNamespace, v) },
	},
	{
		"CACHITO_METRICS_HOSTS", groupWatch,
		"github.com,gitlab.com,proxy.golang.org,sum.golang.org,registry.npmjs.org,registry.yarnpkg.com,pypi.org,files.pythonhosted.org,rubygems.org,static.crates.io,index.crates.io",
		"Hosts whose downloads are counted by name; all others are `other`. Each one is up to nine metrics, which CloudWatch charges for.",
		func(c *Config, v string) error { return list(&c.MetricsHosts, v) },
	},
	{
		"OTEL_EXPORTER_OTLP_ENDPOINT", groupWatch, "",
		"URL of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Traces go to `/v1/traces` below it. Empty: none are made.",
		func(c *Config, v string) error { return httpURL(&c.TracesEndpoint, v) },
	},
	{
		"OTEL_EXPORTER_OTLP_HEADERS", groupWatch, "",
		"Headers for the collector: `name=value` pairs joined by commas, values percent-encoded.",
		func(c *Config, v string) error { return headers(&c.TracesHeaders, v) },
	},
	{
		"OTEL_SERVICE_NAME", groupWatch, "cachito",
		"What the collector calls this deployment.",
		func(c *Config, v string) error { return text(&c.ServiceName, v) },
	},
	{
		"CACHITO_TRACES_RATIO", groupWatch, "1",
		"The part of all traces that is made, 0 to 1. A request's trace is made whole or not at all.",
		func(c *Config, v string) error { return ratio(&c.TracesRatio, v) },
	},
}

// OnLoopback reports whether the service can only be reached from this machine.
func (c *Config) OnLoopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
