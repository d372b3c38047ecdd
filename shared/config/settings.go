package config

import (
	"math"
	"net"
	"slices"
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

// settings lists every setting once, in the order of the documentation.
var settings = slices.Concat(serviceSettings, managerSettings, watchSettings)

// serviceSettings are those of the service itself. LOGIN_DISABLED comes after what its automatic value is made
// from.
var serviceSettings = []setting{
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
