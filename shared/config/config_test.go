package config_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/settings.md")

func load(vars map[string]string) (config.Config, error) {
	return config.Load(func(name string) string { return vars[name] })
}

func TestDefaults(t *testing.T) {
	got, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		PackageManagers:        []string{"default"},
		DefaultPackageManagers: []string{"gomod"},
		MutuallyExclusive:      [][2]string{{"npm", "yarn"}},
		MaxPerPage:             100,
		LogsEnabled:            true,
		LoginDisabled:          true,
		KerberosMaxSkew:        5 * time.Minute,
		GatewayClaim:           "sub",
		Download:               "auto",
		LargeAnswers:           2,
		Lifetime:               24 * time.Hour,
		LifetimeFailed:         7 * 24 * time.Hour,
		CacheGrace:             time.Hour,
		ResendAfter:            15 * time.Minute,
		DataDir:                "cachito-data",
		Listen:                 "127.0.0.1:8080",
		Workers:                4,
		CacheMaxBytes:          50 << 30,
		SourceMaxBytes:         4 << 30,
		SourceMaxTreeBytes:     16 << 30,
		SourceMaxEntries:       1_000_000,
		SourceTimeout:          30 * time.Minute,
		MaxDownloads:           32,
		MaxDownloadsPerHost:    32,
		LogFormat:              "auto",
		MetricsNamespace:       "Cachito",
		MetricsHosts: []string{
			"github.com", "gitlab.com", "proxy.golang.org", "sum.golang.org", "registry.npmjs.org", "registry.yarnpkg.com", "pypi.org",
			"files.pythonhosted.org", "rubygems.org", "static.crates.io", "index.crates.io",
		},
		TracesRatio: 1,
		ServiceName: "cachito",
		Managers: map[string]map[string]string{
			"gomod": {
				"go_command": "go", "goproxy": "https://proxy.golang.org,direct", "gosumdb": "sum.golang.org", "gonosumdb": "", "goprivate": "",
				"ignore_missing_gomod_file": "true", "strict_vendor": "false",
			},
			"npm": {"registry": "https://registry.npmjs.org/", "registry_hosts": `["registry.npmjs.org","registry.yarnpkg.com"]`, "file_deps_allowlist": "{}"},
			"yarn": {
				"registry": "https://registry.yarnpkg.com/", "registry_hosts": `["registry.npmjs.org","registry.yarnpkg.com"]`, "jsr_registry": "https://npm.jsr.io/",
				"file_deps_allowlist": "{}",
			},
			"pip": {"index_url": "https://pypi.org/simple/", "allowed_indexes": "[]", "refuse_yanked": "false", "allow_weak_hashes": "false", "refuse_trusted_host": "false", "crates_url": ""},
			"pnpm": {
				"registry": "https://registry.npmjs.org/", "registry_hosts": `["registry.npmjs.org","registry.yarnpkg.com"]`, "jsr_registry": "https://npm.jsr.io/",
			},
			"rubygems": {"url": "https://rubygems.org/", "remote": "https://rubygems.org/"},
			"cargo":    {"crates_url": "https://static.crates.io/crates/"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	tests := []struct {
		name, setting, value string
		got                  func(config.Config) any
		want                 any
	}{
		{"comma list", "CACHITO_PACKAGE_MANAGERS", "gomod, npm,", func(c config.Config) any { return c.PackageManagers }, []string{"gomod", "npm"}},
		{"JSON list", "CACHITO_PACKAGE_MANAGERS", ` ["gomod","npm"]`, func(c config.Config) any { return c.PackageManagers }, []string{"gomod", "npm"}},
		{"all managers", "CACHITO_PACKAGE_MANAGERS", "all", func(c config.Config) any { return c.PackageManagers }, []string{"all"}},
		{"empty JSON list", "CACHITO_WORKER_USERNAMES", "[]", func(c config.Config) any { return c.WorkerUsernames }, []string(nil)},
		{"pairs in JSON", "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", `[["a","b"],["c","d"]]`, func(c config.Config) any { return c.MutuallyExclusive }, [][2]string{{"a", "b"}, {"c", "d"}}},
		{"pairs in commas", "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", "a:b, c:d", func(c config.Config) any { return c.MutuallyExclusive }, [][2]string{{"a", "b"}, {"c", "d"}}},
		{"variables", "CACHITO_DEFAULT_ENVIRONMENT_VARIABLES", `{"gomod": {"A": {"value": "b", "kind": "literal"}}}`, func(c config.Config) any { return c.DefaultEnvironment }, map[string]map[string]config.Variable{"gomod": {"A": {Value: "b", Kind: "literal"}}}},
		{"no pairs", "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", "[]", func(c config.Config) any { return c.MutuallyExclusive }, [][2]string(nil)},
		{"logs off", "CACHITO_REQUEST_FILE_LOGS_DIR", "false", func(c config.Config) any { return c.LogsEnabled }, false},
		{"logs on by a path", "CACHITO_REQUEST_FILE_LOGS_DIR", "/var/log/cachito", func(c config.Config) any { return c.LogsEnabled }, true},
		{"lifetime in bare days", "CACHITO_REQUEST_LIFETIME", "2", func(c config.Config) any { return c.Lifetime }, 48 * time.Hour},
		{"lifetime in days", "CACHITO_REQUEST_LIFETIME_FAILED", "0.5d", func(c config.Config) any { return c.LifetimeFailed }, 12 * time.Hour},
		{"lifetime as a duration", "CACHITO_REQUEST_LIFETIME", "90m", func(c config.Config) any { return c.Lifetime }, 90 * time.Minute},
		{"a registry gets its slash", "CACHITO_NPM_REGISTRY", "https://npm.example/all", func(c config.Config) any { return c.Managers["npm"]["registry"] }, "https://npm.example/all/"},
		{"names become JSON", "CACHITO_PIP_ALLOWED_INDEXES", "a.example, b.example", func(c config.Config) any { return c.Managers["pip"]["allowed_indexes"] }, `["a.example","b.example"]`},
		{"lists of names", "CACHITO_NPM_FILE_DEPS_ALLOWLIST", `{"app": ["a", "b"]}`, func(c config.Config) any { return c.Managers["npm"]["file_deps_allowlist"] }, `{"app":["a","b"]}`},
		{"size in bytes", "CACHITO_CACHE_MAX_BYTES", "1048576", func(c config.Config) any { return c.CacheMaxBytes }, int64(1 << 20)},
		{"size, powers of 1000", "CACHITO_CACHE_MAX_BYTES", "800MB", func(c config.Config) any { return c.CacheMaxBytes }, int64(800e6)},
		{"size, powers of 1024", "CACHITO_CACHE_MAX_BYTES", "3 TiB", func(c config.Config) any { return c.CacheMaxBytes }, int64(3 << 40)},
		{"no size limit", "CACHITO_CACHE_MAX_BYTES", "0", func(c config.Config) any { return c.CacheMaxBytes }, int64(0)},
		{"mirrors in commas", "CACHITO_MIRRORS", "https://b/=http://m/b/,https://a/=http://m/?x=1", func(c config.Config) any { return c.Mirrors }, []config.Mirror{{Prefix: "https://a/", Target: "http://m/?x=1"}, {Prefix: "https://b/", Target: "http://m/b/"}}},
		{"mirrors in JSON", "CACHITO_MIRRORS", `{"https://a/?q=,":"http://m/"}`, func(c config.Config) any { return c.Mirrors }, []config.Mirror{{Prefix: "https://a/?q=,", Target: "http://m/"}}},
		{"public URL loses its slash", "CACHITO_PUBLIC_URL", "https://host/stage/", func(c config.Config) any { return c.PublicURL }, "https://host/stage"},
		{"time limit", "CACHITO_SOURCE_TIMEOUT", "90s", func(c config.Config) any { return c.SourceTimeout }, 90 * time.Second},
		{"level", "CACHITO_LOG_LEVEL", "warn", func(c config.Config) any { return c.LogLevel }, slog.LevelWarn},
		{"login off explicitly", "LOGIN_DISABLED", "true", func(c config.Config) any { return c.LoginDisabled }, true},
		{"login needed on a public address", "CACHITO_LISTEN", "0.0.0.0:80", func(c config.Config) any { return c.LoginDisabled }, false},
		{"login needed on every address", "CACHITO_LISTEN", ":80", func(c config.Config) any { return c.LoginDisabled }, false},
		{"login needed when a header names the user", "CACHITO_IDENTITY_HEADER", "X-Remote-User", func(c config.Config) any { return c.LoginDisabled }, false},
		{"login needed with a keytab", "CACHITO_KERBEROS_KEYTAB", "/etc/krb5.keytab", func(c config.Config) any { return c.LoginDisabled }, false},
		{"login needed with client certificates", "CACHITO_TLS_CLIENT_CA", "ca.pem", func(c config.Config) any { return c.LoginDisabled }, false},
		{"proxies", "CACHITO_TRUSTED_PROXIES", "192.0.2.7, 10.1.2.3/8,2001:db8::/32,::ffff:192.0.2.8", func(c config.Config) any { return fmt.Sprint(c.TrustedProxies) }, "[192.0.2.7/32 10.0.0.0/8 2001:db8::/32 192.0.2.8/32]"},
		{"skew", "CACHITO_KERBEROS_MAX_SKEW", "90s", func(c config.Config) any { return c.KerberosMaxSkew }, 90 * time.Second},
		{"realms", "CACHITO_KERBEROS_REALMS", "EXAMPLE.COM,PARTNER.TEST", func(c config.Config) any { return c.KerberosRealms }, []string{"EXAMPLE.COM", "PARTNER.TEST"}},
		{"subjects in a JSON list", "CACHITO_WORKER_USERNAMES", `["CN=a,OU=b", "c@R"]`, func(c config.Config) any { return c.WorkerUsernames }, []string{"CN=a,OU=b", "c@R"}},
		{"metrics of no host", "CACHITO_METRICS_HOSTS", "[]", func(c config.Config) any { return c.MetricsHosts }, []string(nil)},
		{"metrics off", "CACHITO_METRICS_NAMESPACE", "off", func(c config.Config) any { return c.MetricsNamespace }, config.MetricsOff},
		{"metrics of a stack", "CACHITO_METRICS_NAMESPACE", "Cachito/prod-1", func(c config.Config) any { return c.MetricsNamespace }, "Cachito/prod-1"},
		{"metrics listener", "CACHITO_METRICS_LISTEN", "127.0.0.1:9464", func(c config.Config) any { return c.MetricsListen }, "127.0.0.1:9464"},
		{"collector", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/", func(c config.Config) any { return c.TracesEndpoint }, "http://127.0.0.1:4318"},
		{"headers for the collector", "OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20dTpw , x-scope=a=b", func(c config.Config) any { return c.TracesHeaders }, map[string]string{"Authorization": "Basic dTpw", "x-scope": "a=b"}},
		{"one trace of ten", "CACHITO_TRACES_RATIO", "0.1", func(c config.Config) any { return c.TracesRatio }, 0.1},
		{"no trace", "CACHITO_TRACES_RATIO", "0", func(c config.Config) any { return c.TracesRatio }, 0.0},
		{"no login on localhost", "CACHITO_LISTEN", "localhost:0", func(c config.Config) any { return c.LoginDisabled }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(map[string]string{tt.setting: tt.value})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.got(c)); diff != "" {
				t.Errorf("%s=%s (-want +got):\n%s", tt.setting, tt.value, diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := []struct{ setting, value, want string }{
		{"CACHITO_WORKERS", "many", `CACHITO_WORKERS: want a whole number from 1 to 256, got "many"`},
		{"CACHITO_WORKERS", "0", `CACHITO_WORKERS: want a whole number from 1 to 256, got "0"`},
		{"CACHITO_MAX_PER_PAGE", "-1", `CACHITO_MAX_PER_PAGE: want a whole number from 1 to 10000, got "-1"`},
		{"CACHITO_LISTEN", "8080", `CACHITO_LISTEN: want host:port with a port from 0 to 65535, for example 127.0.0.1:8080 or :8080, got "8080"`},
		{"CACHITO_LISTEN", "localhost:http", `CACHITO_LISTEN: want host:port with a port from 0 to 65535, for example 127.0.0.1:8080 or :8080, got "localhost:http"`},
		{"CACHITO_NPM_REGISTRY", "https://u:p@h/", `CACHITO_NPM_REGISTRY: want an http or https URL without user info, query and fragment, got "https://u:p@h/"`},
		{"CACHITO_YARN_FILE_DEPS_ALLOWLIST", "[]", `CACHITO_YARN_FILE_DEPS_ALLOWLIST: want a JSON object of arrays, {"package": ["dependency"]}, got "[]"`},
		{"CACHITO_GOMOD_STRICT_VENDOR", "maybe", `CACHITO_GOMOD_STRICT_VENDOR: want true or false, got "maybe"`},
		{"CACHITO_PUBLIC_URL", "host/path", `CACHITO_PUBLIC_URL: want an http or https URL without user, query and fragment, got "host/path"`},
		{"CACHITO_PACKAGE_MANAGERS", "[1]", `CACHITO_PACKAGE_MANAGERS: want a comma list or a JSON array of strings (["a", "b"]), got "[1]"`},
		{"CACHITO_DEFAULT_PACKAGE_MANAGERS", "[]", `The configuration "CACHITO_DEFAULT_PACKAGE_MANAGERS" must be set`},
		{"CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", `[["npm"]]`, `All values in "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS" must be pairs (2-tuples or 2-item lists)`},
		{"CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS", "npm,yarn", `All values in "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS" must be pairs (2-tuples or 2-item lists)`},
		{"CACHITO_REQUEST_LIFETIME", "0", `CACHITO_REQUEST_LIFETIME: want a time above zero such as 1d or 36h (a bare number counts days), got "0"`},
		{"CACHITO_REQUEST_LIFETIME", "NaN", `CACHITO_REQUEST_LIFETIME: want a time above zero such as 1d or 36h (a bare number counts days), got "NaN"`},
		{"CACHITO_REQUEST_LIFETIME", "1e99d", `CACHITO_REQUEST_LIFETIME: want a time above zero such as 1d or 36h (a bare number counts days), got "1e99d"`},
		{"CACHITO_CACHE_MAX_BYTES", "9999999999TiB", `CACHITO_CACHE_MAX_BYTES: want a size such as 50GiB, 800MB or 1048576, got "9999999999TiB"`},
		{"CACHITO_SOURCE_MAX_BYTES", "0", `CACHITO_SOURCE_MAX_BYTES: want a size above zero such as 50GiB, 800MB or 1048576, got "0"`},
		{"CACHITO_SOURCE_TIMEOUT", "-1s", `CACHITO_SOURCE_TIMEOUT: want a time above zero such as 90s or 30m, got "-1s"`},
		{"CACHITO_DOWNLOAD", "fast", `CACHITO_DOWNLOAD: want one of auto, redirect, stream, got "fast"`},
		{"CACHITO_MIRRORS", "https://github.com/", `CACHITO_MIRRORS: want prefix=target pairs joined by commas, or a JSON object {"prefix": "target"}, got "https://github.com/"`},
		{"CACHITO_IDENTITY_HEADER", "X User", `CACHITO_IDENTITY_HEADER: want a header name such as X-Remote-User, got "X User"`},
		{"CACHITO_TRUSTED_PROXIES", "proxy.example.com", `CACHITO_TRUSTED_PROXIES: want addresses and networks such as 192.0.2.7 or 10.0.0.0/8, got "proxy.example.com"`},
		{"CACHITO_TRUSTED_PROXIES", "10.0.0.0/33", `CACHITO_TRUSTED_PROXIES: want addresses and networks such as 192.0.2.7 or 10.0.0.0/8, got "10.0.0.0/33"`},
		{"CACHITO_KERBEROS_MAX_SKEW", "0", `CACHITO_KERBEROS_MAX_SKEW: want a time from 1s to 1h, got "0"`},
		{"CACHITO_KERBEROS_MAX_SKEW", "24h", `CACHITO_KERBEROS_MAX_SKEW: want a time from 1s to 1h, got "24h"`},
		{"HTTPS_PROXY", "ftp://user:secret@proxy", `HTTPS_PROXY: want an http, https or socks5 URL, got "(hidden)"`},
		{"CACHITO_LOG_LEVEL", "INFO", `CACHITO_LOG_LEVEL: want one of debug, info, warn, error, got "INFO"`},
		{"LOGIN_DISABLED", "maybe", `LOGIN_DISABLED: want true or false, got "maybe"`},
		{"CACHITO_TRACES_RATIO", "1.1", `CACHITO_TRACES_RATIO: want a number from 0 to 1, got "1.1"`},
		{"CACHITO_TRACES_RATIO", "NaN", `CACHITO_TRACES_RATIO: want a number from 0 to 1, got "NaN"`},
		{"CACHITO_METRICS_NAMESPACE", "AWS/Lambda", `CACHITO_METRICS_NAMESPACE: want at most 255 characters that do not begin with a colon or AWS/, got "AWS/Lambda"`},
		{"CACHITO_METRICS_NAMESPACE", "a{b}", `CACHITO_METRICS_NAMESPACE: want letters, digits, blanks and .-_/#: alone, got "a{b}"`},
		{"CACHITO_METRICS_LISTEN", "9464", `CACHITO_METRICS_LISTEN: want host:port with a port from 0 to 65535, for example 127.0.0.1:8080 or :8080, got "9464"`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", `OTEL_EXPORTER_OTLP_ENDPOINT: want an http or https URL without user, query and fragment, got "collector:4317"`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization: s3cret", `OTEL_EXPORTER_OTLP_HEADERS: want name=value pairs joined by commas, values percent-encoded, got "(hidden)"`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0d%0ab", `OTEL_EXPORTER_OTLP_HEADERS: want name=value pairs joined by commas, values percent-encoded, got "(hidden)"`},
		{"CACHITO_GOPROXY", "a\nb", `CACHITO_GOPROXY: want a value on one line, got "a\nb"`},
	}
	for _, tt := range tests {
		t.Run(tt.setting+"="+tt.value, func(t *testing.T) {
			_, err := load(map[string]string{tt.setting: tt.value})
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			var e *config.Error
			if !errors.As(err, &e) || e.Setting != tt.setting {
				t.Errorf("errors.As gave %+v, want the setting's name", e)
			}
		})
	}
}

func TestAllWrongSettingsAreNamed(t *testing.T) {
	_, err := load(map[string]string{"CACHITO_WORKERS": "x", "CACHITO_LOG_LEVEL": "x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"CACHITO_WORKERS", "CACHITO_LOG_LEVEL"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestUnknown(t *testing.T) {
	environ := []string{"PATH=/bin", "CACHITO_PACKAGE_MANAGER=all", "CACHITO_PACKAGE_MANAGERS=all", "CACHITO_API=http://x", "CACHITO_GOPROXY_=", "LOGIN_DISABLED=true"}
	want := []string{"CACHITO_GOPROXY_", "CACHITO_PACKAGE_MANAGER"}
	if diff := cmp.Diff(want, config.Unknown(environ, "CACHITO_API")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDocIsComplete(t *testing.T) {
	seen := map[string]bool{}
	group := ""
	closed := map[string]bool{}
	for _, s := range config.Doc() {
		if s.Name == "" || s.Meaning == "" || seen[s.Name] {
			t.Errorf("%+v: a setting needs a name of its own and a meaning", s)
		}
		seen[s.Name] = true
		if s.Group != group {
			if closed[s.Group] {
				t.Errorf("%s: group %q is split", s.Name, s.Group)
			}
			closed[group], group = true, s.Group
		}
	}
}

func TestSettingsPageIsCurrent(t *testing.T) {
	const page = "../../docs/settings.md"
	want := config.Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/settings.md is not what the table says; run `make golden` (-want +got):\n%s", diff)
	}
}
